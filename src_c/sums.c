/* sums.c - gradients of parameters: sums over all elements, without arrays of their terms.
 *
 * The order is that of NumPy's np.sum(a, dtype=np.float64), for the same bits: halves of halves, and what is no
 * double, which NumPy converts, BUFFER at a time.  See vector_sum.h. */
#include <stdint.h>
#include <stdlib.h>

#include "cact.h"
#include "flags.h"
#include "stream.h"
#include "threads.h"

#define NODE CACT_NODE /* elements at a time: a node of that tree */
#define BUFFER 8192

static const size_t sizes[] = {[CACT_FLOAT] = 4, [CACT_DOUBLE] = 8, [CACT_HALF] = 2, [CACT_BFLOAT] = 2};

static size_t half_of(size_t n) { return n / 2 - n / 2 % 8; }

typedef struct {
    size_t begin, n;
    double sum[CACT_MAX_PARAMS];
} node;

typedef struct {
    int index;
    char *const *args;
    const ptrdiff_t *steps;
    const cact_type *type;
    node *nodes;
    int streams; /* dx, past the caches */
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

enum { OPERANDS = 2 + 2 * CACT_MAX_PARAMS + 1 };

static void sums_piece(void *context, size_t begin, size_t end)
{
    const sums_work *w = context;
    const int params = cact_params(w->index), given = 2 + params + 1;
    const cact_type type = w->type[0];
    _Alignas(LINE) double terms[CACT_MAX_PARAMS][NODE], dx[NODE];
    char *args[OPERANDS];
    ptrdiff_t steps[OPERANDS];
    cact_type types[OPERANDS];
    for (int k = 0; k < given + params; k++) {
        types[k] = k < given ? w->type[k] : type;
        steps[k] = k < given ? w->steps[k] : (ptrdiff_t)sizes[type];
    }
    for (size_t i = begin; i < end; i++) {
        node *const v = w->nodes + i;
        for (int k = 0; k < given + params; k++)
            args[k] = k < given ? w->args[k] + (ptrdiff_t)v->begin * steps[k] : (char *)terms[k - given];
        char *const out = args[given - 1];
        if (w->streams) {
            ask_ahead(args[0], v->n * sizes[type]), ask_ahead(args[1], v->n * sizes[type]);
            args[given - 1] = (char *)dx;
        }
        cact_run(w->index, CACT_LEARN, v->n, args, steps, types);
        if (w->streams)
            stream(out, (const char *)dx, v->n * sizes[type]);
        for (int k = 0; k < params; k++)
            v->sum[k] = cact_sum_of(type, v->n, terms[k]);
    }
    if (w->streams)
        streamed();
}

int cact_learn(int index, size_t n, char *const *args, const ptrdiff_t *steps, const cact_type *type, double *sums)
{
    const size_t buffer = type[0] == CACT_DOUBLE ? n ? n : 1 : BUFFER;
    const size_t most = n / (NODE / 2) + 2; /* halves of more than NODE have NODE/2 - 8 and more: 8 fewer, once */
    const int heavy = type[0] > CACT_DOUBLE || cact_heavy(index);
    node few[4], *const nodes = most <= 4 ? few : malloc((most + most / 32) * sizeof(node));
    size_t count = 0;
    if (!nodes)
        return -1;
    for (size_t i = 0; i < n; i += buffer)
        count = list_nodes(nodes, count, i, n - i < buffer ? n - i : buffer);
    const int out = 2 + cact_params(index), large = n * sizes[type[0]] >= stream_from() / 3;
    int streams = large && !cact_heavy(index) && type[0] <= CACT_DOUBLE && steps[out] == (ptrdiff_t)sizes[type[0]];
    for (int k = 0; k < 2; k++)
        streams &= steps[k] == steps[out] && args[k] != args[out];
    sums_work w = {index, args, steps, type, nodes, streams};
    FLAGS_SAVE;
    cact_in_pieces(heavy, count, sizes[type[0]], NODE, sums_piece, &w);
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
