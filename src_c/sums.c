/* sums.c - gradients of parameters: sums over all elements, without arrays of their terms.
 *
 * The order is that of NumPy's np.sum(a, dtype=np.float64), for the same bits: halves of halves down to LEAF
 * elements, which eight lanes share; floats, which NumPy converts, BUFFER at a time. */
#include <stdint.h>
#include <stdlib.h>

#include "cact.h"
#include "flags.h"
#include "threads.h"

#define LEAF 128
#define NODE 1024 /* elements at a time: a node of that tree */
#define BUFFER 8192

#define LEAF_SUM(real)                                                                                             \
    static double leaf_sum_##real(size_t n, const real *a, const real *b)                                          \
    {                                                                                                              \
        double lane[8] = {0}, total = 0;                                                                           \
        size_t i = 0;                                                                                              \
        if (n >= 8) {                                                                                              \
            for (; i < 8; i++)                                                                                     \
                lane[i] = (real)(a[i] * b[i]);                                                                     \
            for (; i + 8 <= n; i += 8)                                                                             \
                for (int j = 0; j < 8; j++)                                                                        \
                    lane[j] += (real)(a[i + j] * b[i + j]);                                                        \
            total = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));     \
        }                                                                                                          \
        for (; i < n; i++)                                                                                         \
            total += (real)(a[i] * b[i]);                                                                          \
        return total;                                                                                              \
    }
LEAF_SUM(float)
LEAF_SUM(double)

static size_t size_of(cact_type type) { return type == CACT_FLOAT ? sizeof(float) : sizeof(double); }

static size_t half_of(size_t n) { return n / 2 - n / 2 % 8; }

static double node_sum(cact_type type, size_t n, const char *a, const char *b)
{
    if (n > LEAF) {
        const size_t half = half_of(n), bytes = half * size_of(type);
        return node_sum(type, half, a, b) + node_sum(type, n - half, a + bytes, b + bytes);
    }
    return type == CACT_FLOAT ? leaf_sum_float(n, (const void *)a, (const void *)b)
                              : leaf_sum_double(n, (const void *)a, (const void *)b);
}

typedef struct {
    size_t begin, n;
    double sum[CACT_MAX_PARAMS];
} node;

typedef struct {
    int index;
    cact_type type;
    const char *dy, *x;
    const double *params;
    node *nodes;
} sums_work;

static size_t list_nodes(node *nodes, size_t count, size_t begin, size_t n)
{
    if (n > NODE) {
        const size_t half = half_of(n);
        count = list_nodes(nodes, count, begin, half);
        return list_nodes(nodes, count, begin + half, n - half);
    }
    nodes[count].begin = begin, nodes[count].n = n;
    return count + 1;
}

static double tree_sum(const node **next, int k, size_t n)
{
    if (n > NODE) {
        const size_t half = half_of(n);
        const double left = tree_sum(next, k, half);
        return left + tree_sum(next, k, n - half);
    }
    return (*next)++->sum[k];
}

static void sums_piece(void *context, size_t begin, size_t end)
{
    const sums_work *w = context;
    const size_t size = size_of(w->type);
    const int params = cact_params(w->index);
    double terms[CACT_MAX_PARAMS][NODE];
    char *args[1 + 2 * CACT_MAX_PARAMS];
    ptrdiff_t steps[1 + 2 * CACT_MAX_PARAMS];
    cact_type types[1 + 2 * CACT_MAX_PARAMS];
    for (int k = 0; k <= 2 * params; k++) {
        types[k] = k && k <= params ? CACT_DOUBLE : w->type;
        steps[k] = k && k <= params ? 0 : (ptrdiff_t)size;
        if (k)
            args[k] = k <= params ? (char *)(w->params + k - 1) : (char *)terms[k - params - 1];
    }
    for (size_t i = begin; i < end; i++) {
        node *const v = w->nodes + i;
        args[0] = (char *)w->x + v->begin * size;
        cact_run(w->index, CACT_PARAM_GRAD, v->n, args, steps, types);
        for (int k = 0; k < params; k++)
            v->sum[k] = node_sum(w->type, v->n, args[1 + params + k], w->dy + v->begin * size);
    }
}

int cact_param_sums(int index, cact_type type, size_t n, const void *dy, const void *x, const double *params,
                    double *sums)
{
    const size_t buffer = type == CACT_FLOAT ? BUFFER : n ? n : 1;
    const size_t most = n / (NODE / 2) + 2; /* halves of more than NODE have NODE/2 - 8 and more: 8 fewer, once */
    node few[4], *const nodes = most <= 4 ? few : malloc((most + most / 32) * sizeof(node));
    size_t count = 0;
    if (!nodes)
        return -1;
    for (size_t i = 0; i < n; i += buffer)
        count = list_nodes(nodes, count, i, n - i < buffer ? n - i : buffer);
    sums_work w = {index, type, dy, x, params, nodes};
    FLAGS_SAVE;
    cact_in_pieces(cact_heavy(index), count, size_of(type), NODE, sums_piece, &w);
    for (int k = 0; k < cact_params(index); k++) {
        const node *next = nodes;
        sums[k] = 0;
        for (size_t i = 0; i < n; i += buffer)
            sums[k] += tree_sum(&next, k, n - i < buffer ? n - i : buffer);
    }
    FLAGS_RESTORE;
    if (nodes != few)
        free(nodes);
    return 0;
}
