/* training.h - what a step of training does beside matrix products and activations.  Every operation and its order
 * are those of the NumPy code in cact/nn, for the same bits: no fma, sums row by row.  Part of kernels.c. */
#if CACT_REAL == 32
#define ROOT __builtin_sqrtf
#else
#define ROOT __builtin_sqrt
#endif

#define PARAMETERS for (size_t i = 0; i < n; i++)

/* p: parameters; g: their gradients; with L2 decay d.  See cact/nn/optimizers.py for the formulas. */
#define GRADIENT const real grad = d != 0 ? p[i] * d + g[i] : g[i]

static void sgd(size_t n, real *restrict p, const real *restrict g, void *const *state, const double *s)
{
    const real d = (real)s[0], lr = (real)s[1];
    (void)state;
    PARAMETERS
    {
        GRADIENT;
        p[i] -= grad * lr;
    }
}

static void momentum(size_t n, real *restrict p, const real *restrict g, void *const *state, const double *s)
{
    const real d = (real)s[0], lr = (real)s[1], mu = (real)s[2];
    real *restrict v = state[0];
    PARAMETERS
    {
        GRADIENT;
        v[i] = v[i] * mu - grad * lr;
        p[i] += v[i];
    }
}

static void nesterov(size_t n, real *restrict p, const real *restrict g, void *const *state, const double *s)
{
    const real d = (real)s[0], lr = (real)s[1], mu = (real)s[2];
    real *restrict v = state[0];
    PARAMETERS
    {
        GRADIENT;
        const real t = grad * lr;
        v[i] = v[i] * mu - t;
        p[i] = (p[i] - t) + v[i] * mu;
    }
}

static void rmsprop(size_t n, real *restrict p, const real *restrict g, void *const *state, const double *s)
{
    const real d = (real)s[0], lr = (real)s[1], mu = (real)s[2], rho = (real)s[3], rest = (real)s[4], eps = (real)s[5];
    real *restrict q = state[0], *restrict u = state[1];
    PARAMETERS
    {
        GRADIENT;
        q[i] = q[i] * rho + grad * grad * rest;
        real t = grad / (ROOT(q[i]) + eps);
        if (u)
            t = u[i] = u[i] * mu + t;
        p[i] -= t * lr;
    }
}

static void adam(size_t n, real *restrict p, const real *restrict g, void *const *state, const double *s)
{
    const real d = (real)s[0], rate = (real)s[1], b1 = (real)s[2], rest1 = (real)s[3], b2 = (real)s[4],
               rest2 = (real)s[5], eps = (real)s[6];
    real *restrict m = state[0], *restrict v = state[1];
    PARAMETERS
    {
        GRADIENT;
        m[i] = m[i] * b1 + grad * rest1;
        v[i] = v[i] * b2 + grad * grad * rest2;
        p[i] -= m[i] / (ROOT(v[i]) + eps) * rate;
    }
}

static void update(cact_optimizer which, size_t n, void *p, const void *g, void *const *state, const double *s)
{
    switch (which) {
    case CACT_SGD: sgd(n, p, g, state, s); break;
    case CACT_MOMENTUM: momentum(n, p, g, state, s); break;
    case CACT_NESTEROV: nesterov(n, p, g, state, s); break;
    case CACT_RMSPROP: rmsprop(n, p, g, state, s); break;
    case CACT_ADAM: adam(n, p, g, state, s); break;
    }
}

enum { SQUARES = 16 }; /* sums side by side, the same on every instruction set */

static double square_sum(size_t n, const void *a)
{
    const real *x = a;
    double lane[SQUARES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + SQUARES <= n; i += SQUARES)
        for (int k = 0; k < SQUARES; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (int k = 0; k < SQUARES; k++)
        sum += lane[k];
    return sum;
}

/* Whether no element is infinite or NaN: as integers such are the greatest. */
static int all_finite(size_t n, const void *a)
{
#if CACT_REAL == 32
    typedef int32_t bits;
    const bits least = 0x7f800000, magnitude = INT32_MAX;
#else
    typedef int64_t bits;
    const bits least = 0x7ff0000000000000, magnitude = INT64_MAX;
#endif
    bits most = 0;
    PARAMETERS
    {
        bits b;
        memcpy(&b, (const real *)a + i, sizeof b);
        b &= magnitude;
        most = b > most ? b : most;
    }
    return most < least;
}

static void add_row(size_t rows, size_t n, const void *row, void *a)
{
    const real *restrict b = row;
    for (size_t r = 0; r < rows; r++) {
        real *restrict x = (real *)a + r * n;
        PARAMETERS x[i] += b[i];
    }
}

/* As np.add.reduce(a, axis=0): 0 and the first row, which makes 0 of -0, then each of the others. */
#define SUM_ROWS(type)                                                                                 \
    PARAMETERS sum[i] = (type)(rows ? ((const real *)a)[i] : 0) + 0;                                   \
    for (size_t r = 1; r < rows; r++) {                                                                \
        const real *restrict x = (const real *)a + r * n;                                              \
        PARAMETERS sum[i] += (type)x[i];                                                               \
    }

static void sum_rows(size_t rows, size_t n, const void *a, void *out)
{
    real *restrict sum = out;
    SUM_ROWS(real)
}

static void double_sums(size_t rows, size_t n, const void *a, double *restrict sum)
{
    SUM_ROWS(double)
}

/* Dropout: of numbers in [0, 1) the factors, and their products with y. */
static void drop(size_t n, double rate, const void *y, void *mask, void *out)
{
    const real least = (real)rate, kept = (real)(1 / (1 - rate)), *restrict from = y;
    real *restrict factor = mask, *restrict to = out;
    PARAMETERS
    {
        factor[i] = factor[i] >= least ? kept : 0;
        to[i] = from[i] * factor[i];
    }
}

static void apply_mask(size_t n, const void *a, const void *mask, void *out)
{
    const real *x = a, *restrict factor = mask;
    real *to = out; /* may be a */
    PARAMETERS to[i] = x[i] * factor[i];
}

/* The gradient of the cross-entropy of softmax p: each row's share (p - 1 at its class). */
static void cross_entropy_slope(size_t rows, size_t n, const void *p, const int64_t *class_, const void *share,
                                void *grad)
{
    for (size_t r = 0; r < rows; r++) {
        const real *restrict x = (const real *)p + r * n, w = ((const real *)share)[r];
        real *restrict g = (real *)grad + r * n;
        PARAMETERS g[i] = x[i] * w;
        g[class_[r]] = (x[class_[r]] - 1) * w;
    }
}

/* Of p at each row's class the product, as a number from 1 to 2 and a power of 2; NaN where one is below `least`. */
static double product_of_chosen(size_t rows, size_t n, const void *p, const int64_t *class_, double least,
                                int64_t *exponent)
{
    double product = 1;
    *exponent = 0;
    for (size_t r = 0; r < rows; r++) {
        const double chosen = ((const real *)p)[r * n + (size_t)class_[r]];
        if (!(chosen >= least))
            return NAN;
        const uint64_t bits = to_bits(product * chosen);
        *exponent += (int64_t)(bits >> 52) - 1023;
        product = from_bits((bits & ((UINT64_C(1) << 52) - 1)) | to_bits(1.0));
    }
    return product;
}
