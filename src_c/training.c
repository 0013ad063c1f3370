/* training.c - what a step of training does beside matrix products, in blocks and on threads. */
#include "cact.h"
#include "flags.h"
#include "threads.h"

static size_t size_of(cact_type type) { return type == CACT_DOUBLE ? 8 : 4; }

/* ------------------------------------------------------------------ the optimiser */
typedef struct {
    cact_optimizer which;
    cact_type type;
    char *p;
    const char *g;
    void *const *state;
    const double *s;
} update_work;

static void update_piece(void *context, size_t begin, size_t end)
{
    const update_work *w = context;
    const size_t at = begin * size_of(w->type);
    void *const state[] = {w->state[0] ? (char *)w->state[0] + at : NULL, w->state[1] ? (char *)w->state[1] + at : NULL};
    cact_training_loops(w->type)->update(w->which, end - begin, w->p + at, w->g + at, state, w->s);
}

void cact_update(cact_optimizer which, cact_type type, size_t n, void *p, const void *g, void *const *state,
                 const double *s)
{
    update_work w = {which, type, p, g, state, s};
    FLAGS_SAVE;
    cact_in_pieces(PRODUCTS, n, size_of(type), 1, update_piece, &w);
    FLAGS_RESTORE;
}

double cact_square_sum(cact_type type, size_t n, const void *a)
{
    FLAGS_SAVE;
    const double sum = cact_training_loops(type)->square_sum(n, a);
    FLAGS_RESTORE;
    return sum;
}

int cact_all_finite(cact_type type, size_t n, const void *a) { return cact_training_loops(type)->all_finite(n, a); }

/* ------------------------------------------------------------------ a layer */
typedef struct {
    const cact_layer *layer;
    cact_op op;
    const char *dy;
    const void *bias;
    char *z, *out;
    const cact_dropout *dropout; /* or NULL */
} layer_work;

/* As cact_run takes them; of the arrays the caller says where they are. */
typedef struct {
    char *args[CACT_MAX_INPUTS + CACT_MAX_PARAMS + 1];
    ptrdiff_t steps[CACT_MAX_INPUTS + CACT_MAX_PARAMS + 1];
    cact_type types[CACT_MAX_INPUTS + CACT_MAX_PARAMS + 1];
} layer_operands;

static layer_operands operands_of(const cact_layer *l, int ins)
{
    layer_operands o;
    const int params = cact_params(l->activation);
    for (int k = 0; k < ins + params + 1; k++) {
        const int parameter = k >= ins && k < ins + params;
        o.args[k] = parameter ? (char *)(l->p + (k - ins)) : NULL;
        o.steps[k] = parameter ? 0 : (ptrdiff_t)size_of(l->type);
        o.types[k] = parameter ? CACT_DOUBLE : l->type;
    }
    return o;
}

enum { BLOCK = 4096 }; /* elements that stay in the nearest caches from one pass to the next */

/* Rows begin to end: a few at a time are given their bias, f or f', and dropout. */
static void layer_piece(void *context, size_t begin, size_t end)
{
    const layer_work *w = context;
    const cact_layer *l = w->layer;
    const cact_training *const loops = cact_training_loops(l->type);
    const size_t size = size_of(l->type), few = l->n < BLOCK ? BLOCK / l->n : 1;
    const int params = cact_params(l->activation), back = w->op == CACT_BACKWARD, ins = 1 + back;
    layer_operands o = operands_of(l, ins);
    for (size_t r = begin; r < end; r += few) {
        const size_t rows = end - r < few ? end - r : few, n = rows * l->n, at = r * l->n * size;
        char *const mask = w->dropout ? (char *)w->dropout->mask + at : NULL;
        if (w->bias)
            loops->add_row(rows, l->n, w->bias, w->z + at);
        if (back && mask)
            loops->apply_mask(n, w->dy + at, mask, w->out + at);
        if (back)
            o.args[0] = mask ? w->out + at : (char *)w->dy + at;
        o.args[ins - 1] = w->z + at;
        o.args[ins + params] = w->out + at;
        cact_run(l->activation, w->op, n, o.args, o.steps, o.types);
        if (!back && mask)
            loops->drop(n, w->dropout->rate, w->out + at, mask, (char *)w->dropout->y + at);
    }
}

static void layer(layer_work w)
{
    if (w.layer->n)
        cact_in_pieces(PRODUCTS, w.layer->rows, size_of(w.layer->type), w.layer->n, layer_piece, &w);
}

void cact_layer_forward(const cact_layer *l, const void *bias, void *z, void *y, const cact_dropout *dropout)
{
    FLAGS_SAVE;
    layer((layer_work){l, CACT_FORWARD, NULL, bias, z, y, dropout});
    FLAGS_RESTORE;
}

/* dz, and the sums of cact_learn, whose order is that of all elements */
static int layer_learn(const cact_layer *l, const void *dy, const void *z, void *dz, const cact_dropout *dropout,
                       double *sums)
{
    const size_t n = l->rows * l->n;
    layer_operands o = operands_of(l, 2);
    if (dropout)
        cact_training_loops(l->type)->apply_mask(n, dy, dropout->mask, dz);
    o.args[0] = dropout ? dz : (char *)dy;
    o.args[1] = (char *)z;
    o.args[2 + cact_params(l->activation)] = dz;
    return cact_learn(l->activation, n, o.args, o.steps, o.types, sums);
}

int cact_layer_backward(const cact_layer *l, const void *dy, const void *z, void *dz, void *dbias,
                        const cact_dropout *dropout, double *sums)
{
    int failed = 0;
    FLAGS_SAVE;
    if (sums)
        failed = layer_learn(l, dy, z, dz, dropout, sums);
    else
        layer((layer_work){l, CACT_BACKWARD, dy, NULL, (char *)z, dz, dropout});
    if (dbias)
        cact_training_loops(l->type)->sum_rows(l->rows, l->n, dz, dbias);
    FLAGS_RESTORE;
    return failed;
}

void cact_add_row(cact_type type, size_t rows, size_t n, const void *bias, void *z)
{
    FLAGS_SAVE;
    cact_training_loops(type)->add_row(rows, n, bias, z);
    FLAGS_RESTORE;
}

void cact_sum_rows(cact_type type, size_t rows, size_t n, const void *dz, void *dbias)
{
    FLAGS_SAVE;
    cact_training_loops(type)->sum_rows(rows, n, dz, dbias);
    FLAGS_RESTORE;
}

void cact_double_sums(cact_type type, size_t rows, size_t n, const void *a, double *out)
{
    FLAGS_SAVE;
    cact_training_loops(type)->double_sums(rows, n, a, out);
    FLAGS_RESTORE;
}

/* ------------------------------------------------------------------ cross-entropy */
double cact_product_of_chosen(cact_type type, size_t rows, size_t n, const void *p, const int64_t *class_, double least,
                              int64_t *exponent)
{
    FLAGS_SAVE;
    const double product = cact_training_loops(type)->product_of_chosen(rows, n, p, class_, least, exponent);
    FLAGS_RESTORE;
    return product;
}

void cact_cross_entropy_slope(cact_type type, size_t rows, size_t n, const void *p, const int64_t *class_,
                              const void *share, void *grad)
{
    FLAGS_SAVE;
    cact_training_loops(type)->cross_entropy_slope(rows, n, p, class_, share, grad);
    FLAGS_RESTORE;
}
