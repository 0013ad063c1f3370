/* driver.c - every kernel on given inputs, without Python, for compilers and processors that have none here.
 *
 * stdin: for each dtype and row-ness the inputs as tests/test_hashes.py writes them; stdout: for each function,
 * dtype and operation that exists a header line "name dtype operation bytes" and the bytes of the outputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cact.h"

enum { N = 8192, COLUMNS = 251, ROWS = N / COLUMNS };
static const cact_type types[] = {CACT_FLOAT, CACT_DOUBLE, CACT_HALF, CACT_BFLOAT};
static const size_t sizes[] = {4, 8, 2, 2};

/* In rows of 128 on the side of the more elements, as compute_pieces of tests/hashes.py has them. */
static void write_pieces(int i, int t, const char *x, const char *dy, char *output)
{
    const int joins = cact_side(i) == CACT_JOINS;
    for (int backward = 0; backward < 2 && types[t] <= CACT_DOUBLE; backward++) {
        const size_t n = joins == backward ? N : N / 2;
        cact_run_pieces(i, backward ? CACT_BACKWARD : CACT_FORWARD, types[t], joins ? N / 2 : N / 128,
                        joins ? 1 : 64, 2, backward ? dy : NULL, x, output);
        printf("%s %d %d %zu\n", cact_name(i), t, backward ? CACT_BACKWARD : CACT_FORWARD, n * sizes[t]);
        fwrite(output, sizes[t], n, stdout);
    }
}

int main(void)
{
    static char input[4][2][3][N * 8], output[CACT_MAX_OUTPUTS][N * 8];
    static double params[256][CACT_MAX_PARAMS];
    for (int t = 0; t < 4; t++)
        for (int rows = 0; rows < 2; rows++)
            for (int k = 0; k < 3; k++)
                if (fread(input[t][rows][k], sizes[t], rows ? ROWS * COLUMNS : N, stdin) == 0)
                    return 1;
    if (fread(params, sizeof params[0], (size_t)cact_count(), stdin) != (size_t)cact_count())
        return 1;
    for (int i = 0; i < cact_count(); i++)
        for (int t = 0; t < 4; t++) {
            if (cact_side(i))
                write_pieces(i, t, input[t][0][0], input[t][0][1], output[0]);
            for (int op = 0; op < CACT_OPS; op++) {
                if (!cact_has(i, (cact_op)op))
                    continue;
                const int rows = cact_rows(i), ins = rows ? 1 + (op == CACT_BACKWARD) : cact_inputs(i, (cact_op)op);
                const int count = rows ? 0 : cact_params(i), outs = rows ? 1 : cact_outputs(i, (cact_op)op);
                char *args[CACT_MAX_INPUTS + CACT_MAX_PARAMS + CACT_MAX_OUTPUTS];
                ptrdiff_t steps[CACT_MAX_INPUTS + CACT_MAX_PARAMS + CACT_MAX_OUTPUTS], inner[3];
                cact_type kinds[CACT_MAX_INPUTS + CACT_MAX_PARAMS + CACT_MAX_OUTPUTS];
                for (int k = 0; k < ins + count + outs; k++) {
                    const int parameter = k >= ins && k < ins + count;
                    args[k] = k < ins     ? input[t][rows][k]
                              : parameter ? (char *)&params[i][k - ins]
                                          : output[k - ins - count];
                    steps[k] = parameter ? 0 : (ptrdiff_t)sizes[t] * (rows ? COLUMNS : 1);
                    kinds[k] = parameter ? CACT_DOUBLE : types[t];
                    if (rows)
                        inner[k] = (ptrdiff_t)sizes[t];
                }
                const size_t n = rows ? ROWS * COLUMNS : N;
                if (!rows)
                    cact_run(i, (cact_op)op, N, args, steps, kinds);
                else if (cact_run_rows(i, (cact_op)op, ROWS, COLUMNS, args, steps, inner, kinds))
                    return 1;
                printf("%s %d %d %zu\n", cact_name(i), t, op, n * sizes[t] * (size_t)outs);
                for (int k = 0; k < outs; k++)
                    fwrite(output[k], sizes[t], n, stdout);
            }
        }
    return 0;
}
