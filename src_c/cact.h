/* cact.h - all of the C that the binding sees. */
#ifndef CACT_H
#define CACT_H

#include <stddef.h>
#include <stdint.h>

#define CACT_MAX_PARAMS 4
#define CACT_MAX_OUTPUTS (1 + CACT_MAX_PARAMS)
#define CACT_LANES 16 /* kernels work on whole blocks of this many elements */

/* Operations with their inputs and outputs; f stands for the activation. */
typedef enum {
    CACT_FORWARD,              /* x -> f(x) */
    CACT_GRAD,                 /* x -> f'(x) */
    CACT_BACKWARD,             /* dy, x -> dy f'(x) */
    CACT_VALUE_AND_GRAD,       /* x -> f(x), f'(x) */
    CACT_PARAM_GRAD,           /* x -> df/dp_k for each parameter */
    CACT_GRAD_FROM_OUTPUT,     /* y -> f'(x) where f(x) = y */
    CACT_BACKWARD_FROM_OUTPUT, /* dy, y -> dy f'(x) */
    CACT_GATE,                 /* a, x -> a f(x) */
    CACT_GATE_BACKWARD,        /* dy, a, x -> dy f(x), dy (a f'(x)) */
    CACT_LEARN,                /* dy, x -> dy f'(x), dy df/dp_k for each parameter */
    CACT_OPS
} cact_op;
typedef enum { CACT_F32, CACT_F64, CACT_DTYPES } cact_dtype;

enum { CACT_LIGHT, CACT_HEAVY, CACT_PLAIN };

/* What an operand in memory is made of.  The kernels compute in float or double; the other
 * types are converted block by block.  The order is that of `sizes` and `load` in dispatch.c. */
typedef enum {
    CACT_FLOAT, CACT_DOUBLE, CACT_HALF, CACT_BFLOAT, CACT_BOOL, CACT_INT8, CACT_UINT8, CACT_INT16,
    CACT_UINT16, CACT_INT32, CACT_UINT32, CACT_INT64, CACT_UINT64, CACT_TYPES
} cact_type;

#define CACT_MAX_INPUTS 3

/* One loop over n elements, n a multiple of CACT_LANES, everything contiguous.  Parameter k is
 * p[k][0], or p[k][i] where `each` is 1.  Where it is more, p[k][i % each]: of CACT_PLAIN alone, n a multiple of it, each
 * at least CACT_LANES.  An output may be an input, but not where `each` is more and no multiple of CACT_LANES. */
typedef void cact_loop(size_t n, const void *const *in, const double *const *p, int each, void *const *out);

/* The sum of n floats or doubles, in double; see vector_sum.h. */
typedef double cact_sum(size_t n, const void *a);

/* Rows: y and x are contiguous rows, up to CACT_ROWS of them; backward: dx from dy and the output y.  An output may be
 * the input of its own row. */
#define CACT_ROWS 16
typedef void cact_rows_loop(size_t rows, size_t n, const void *const *dy, const void *const *x, void *const *out);

/* Pieces: k elements on one side, x's where they are joined (maxout), y's where one is split (crelu, k = 2),
 * stand for one on the other.  Number i < n there has here i * step + j * apart, j < k: step is 1, or k where
 * they stand together, and then apart is 1.  Backward: dx from dy and x, which dx may be. */
typedef void cact_pieces(size_t n, size_t k, size_t step, size_t apart, const void *dy, const void *x,
                         void *out);
enum { CACT_JOINS = 1, CACT_SPLITS };

typedef struct {
    const char *name;
    int params;
    int rows; /* a function of whole rows: `loop` is empty, `rows_loop` has forward and backward */
    int cost; /* CACT_LIGHT: memory sets the pace; CACT_HEAVY: arithmetic does; CACT_PLAIN: light, made by plain.h */
    cact_loop *loop[CACT_OPS];
    cact_rows_loop *rows_loop[2];
    int side; /* CACT_JOINS, CACT_SPLITS: a function of pieces, `pieces` as `rows_loop`; 0: any other */
    cact_pieces *pieces[2];
} cact_kernels;

/* The loops of a half type, over whole blocks of CACT_LANES contiguous elements.  narrow() rounds to nearest, lists
 * the places, in no order, where a float lies midway between two numbers of the type, if not more, and returns how
 * many there are; times() is the product, rounded once. */
typedef struct {
    void (*widen)(size_t n, const uint16_t *from, float *into);
    size_t (*narrow)(size_t n, const float *from, uint16_t *into, uint16_t *undecided);
    void (*times)(size_t n, const uint16_t *a, const uint16_t *b, uint16_t *into);
} cact_half_loops;

/* What a step of training does beside products and activations; see training.h. */
typedef enum { CACT_SGD, CACT_MOMENTUM, CACT_NESTEROV, CACT_RMSPROP, CACT_ADAM } cact_optimizer;
typedef struct {
    void (*update)(cact_optimizer which, size_t n, void *p, const void *g, void *const *state, const double *s);
    double (*square_sum)(size_t n, const void *a);
    int (*all_finite)(size_t n, const void *a);
    void (*add_row)(size_t rows, size_t n, const void *row, void *a);
    void (*sum_rows)(size_t rows, size_t n, const void *a, void *out);
    void (*double_sums)(size_t rows, size_t n, const void *a, double *out); /* the same in double */
    void (*drop)(size_t n, double rate, const void *y, void *mask, void *out);
    void (*apply_mask)(size_t n, const void *a, const void *mask, void *out);
    void (*cross_entropy_slope)(size_t rows, size_t n, const void *p, const int64_t *class_, const void *share,
                                void *grad);
    double (*product_of_chosen)(size_t rows, size_t n, const void *p, const int64_t *class_, double least,
                                int64_t *exponent);
} cact_training;
const cact_training *cact_training_loops(cact_type type); /* of the instruction set in use */

/* Instruction sets, best first; chosen at load by what CPU and operating system support. */
int cact_isa_count(void);              /* how many this machine can run */
const char *cact_isa_name(int i);      /* the i-th of them */
const char *cact_isa_active(void);     /* NULL: none */
int cact_isa_select(const char *name); /* 0, or -1: unknown or not supported here */

int cact_count(void);
const char *cact_name(int i);
int cact_params(int i);
int cact_rows(int i);
int cact_side(int i); /* CACT_JOINS, CACT_SPLITS, or 0: not of pieces */
int cact_heavy(int i); /* CACT_HEAVY */
int cact_plain(int i); /* CACT_PLAIN */
int cact_has(int i, cact_op op);
int cact_inputs(int i, cact_op op);  /* parameters not counted */
int cact_outputs(int i, cact_op op);

/* Whether n elements of two operands are the same ones, or have no byte in common */
static inline int cact_apart(size_t n, const char *a, ptrdiff_t step_a, size_t size_a, const char *b, ptrdiff_t step_b,
                             size_t size_b)
{
    const ptrdiff_t last = (ptrdiff_t)n - 1;
    const uintptr_t first_a = (uintptr_t)a, last_a = (uintptr_t)(a + last * step_a);
    const uintptr_t first_b = (uintptr_t)b, last_b = (uintptr_t)(b + last * step_b);
    if (n == 0 || (a == b && step_a == step_b && size_a == size_b))
        return 1;
    return (first_a > last_a ? first_a : last_a) + size_a <= (first_b < last_b ? first_b : last_b) ||
           (first_b > last_b ? first_b : last_b) + size_b <= (first_a < last_a ? first_a : last_a);
}

/* Run one operation of activation i on n elements with steps in bytes, of any alignment that
 * the types allow.  type[] and args[] in the order of a ufunc: inputs, parameters, outputs;
 * parameters are doubles.  Overlap of inputs and outputs is allowed only where they are the same
 * elements.  Raises no floating-point flag. */
void cact_run(int i, cact_op op, size_t n, char *const *args, const ptrdiff_t *steps,
              const cact_type *type);

/* The same where what an element is read from may be overwritten by the results of later ones, as NumPy lets a ufunc's
 * operands overlap. */
void cact_run_in_order(int i, cact_op op, size_t n, char *const *args, const ptrdiff_t *steps, const cact_type *type);

/* The same as cact_run on arrays of any number of dimensions (parameters too, with steps of 0 where they are broadcast) with
 * outputs of float or double; inputs and outputs are the same elements with the same steps, or apart. */
#define CACT_MAX_DIMS 64
void cact_run_strided(int i, cact_op op, int dims, const size_t *shape, char *const *args,
                      const ptrdiff_t (*steps)[CACT_MAX_DIMS], const cact_type *type);

/* The same on `count` stretches of n elements each, for a function without parameters and outputs that are no inputs.
 * steps: between stretches; inner: between the elements of one. */
void cact_run_stretches(int i, cact_op op, size_t count, size_t n, char *const *args, const ptrdiff_t *steps,
                        const ptrdiff_t *inner, const cact_type *type);

/* The same for rows: `rows` rows of n elements; out 0 on success, -1 without memory.
 * steps: between rows; inner: between the elements of a row. */
int cact_run_rows(int i, cact_op op, size_t rows, size_t n, char *const *args, const ptrdiff_t *steps,
                  const ptrdiff_t *inner, const cact_type *type);

/* A function of pieces, of contiguous floats or doubles: `rows` stretches of n elements on the side of the
 * one, k times as many stretches, one after the other, on the side of the k.  dy: for the derivative only.
 * Outputs are apart from inputs, but dx may be x.  Raises no floating-point flag. */
void cact_run_pieces(int i, cact_op op, cact_type type, size_t rows, size_t n, size_t k, const void *dy,
                     const void *x, void *out);

/* dx = dy f'(x), and the sums over all i of dy df/dp_k, for each parameter: each product rounded to dx's type,
 * added in double in the order of NumPy's pairwise summation.  Arguments are those of cact_run for CACT_BACKWARD, all
 * of one type and parameters one for all.  0, or -1 without memory.  Raises no floating-point flag. */
int cact_learn(int index, size_t n, char *const *args, const ptrdiff_t *steps, const cact_type *type, double *sums);

/* A step of an optimiser on n parameters p with gradients g, both of `type`, float or double, as are the up to two
 * arrays of its state (NULL where it has none).  s: the scalars that training.h names. */
#define CACT_OPTIMIZER_SCALARS 7
void cact_update(cact_optimizer which, cact_type type, size_t n, void *p, const void *g, void *const *state,
                 const double *s);

/* The sum of the squares of n floats or doubles, in double; infinite or NaN only where it cannot be a number. */
double cact_square_sum(cact_type type, size_t n, const void *a);
int cact_all_finite(cact_type type, size_t n, const void *a);

/* A layer's pass over the product z, `rows` rows of n, contiguous: z += bias, y = f(z), and the dropout after it, if any:
 * its mask, which comes as numbers in [0, 1), becomes the factor of each element, 0 below rate, else 1 / (1 - rate), and
 * its y their product with y.  And back: dz = dy mask f'(z), and dbias, the sum of dz's rows.  All of `type`, float or
 * double; the parameters of f as doubles; bias, dbias and dropout may be NULL, dz may be dy.  Where `sums` is not NULL
 * those of cact_learn come with it, and -1 without memory for them. */
typedef struct {
    int activation;
    cact_type type;
    size_t rows, n;
    const double *p;
} cact_layer;
typedef struct {
    double rate;
    void *mask, *y; /* y: forward only */
} cact_dropout;
void cact_layer_forward(const cact_layer *l, const void *bias, void *z, void *y, const cact_dropout *dropout);
int cact_layer_backward(const cact_layer *l, const void *dy, const void *z, void *dz, void *dbias,
                        const cact_dropout *dropout, double *sums);

/* Bias and its gradient alone: z += bias, dbias = the sum of dz's rows. */
void cact_add_row(cact_type type, size_t rows, size_t n, const void *bias, void *z);
void cact_sum_rows(cact_type type, size_t rows, size_t n, const void *dz, void *dbias);
void cact_double_sums(cact_type type, size_t rows, size_t n, const void *a, double *out);

/* Cross-entropy of the softmax p of `rows` rows of n, with a class for each, 0 to n - 1.  The product of p at the
 * classes is the result, from 1 to 2, times 2 to the exponent: one logarithm is then the sum of all; NaN where one is
 * below `least` or NaN.  The gradient is (p - 1 at the class) times the row's share. */
double cact_product_of_chosen(cact_type type, size_t rows, size_t n, const void *p, const int64_t *class_, double least,
                              int64_t *exponent);
void cact_cross_entropy_slope(cact_type type, size_t rows, size_t n, const void *p, const int64_t *class_,
                              const void *share, void *grad);

/* A double as the bits of a half type, rounded as NumPy and ml_dtypes do. */
uint16_t cact_half_of(cact_type type, double v);

/* The sum of n contiguous numbers of float, double or a half type, at most CACT_NODE of a half type. */
double cact_sum_of(cact_type type, size_t n, const void *a);
#define CACT_NODE 1024

/* Threads for large arrays: how many may work, the caller included. */
void cact_set_threads(int n);
int cact_get_threads(void);

#endif
