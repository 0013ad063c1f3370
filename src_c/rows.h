/* rows.h - functions of whole rows, with a fixed order of summation.
 *
 * Sums run in 16 lanes (element i in lane i mod 16), folded by halves at the end, on every
 * instruction set: the same bits everywhere.  Float rows are summed in double, double rows
 * in hi + lo, so that the error of a result does not grow with the row.  The last block of a row
 * is padded with what changes nothing, so that every loop is over whole blocks. */

#define LANES CACT_LANES

/* GNU vectors, because gcc 12 does not vectorise loops over the lanes (up to 4 times slower). */
#define WIDE 8
typedef real narrow __attribute__((vector_size(WIDE * sizeof(real))));
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));

typedef struct {
    wide hi[LANES / WIDE], lo[LANES / WIDE];
} lanes;

INLINE void lanes_add(lanes *s, const real *x)
{
    for (int k = 0; k < LANES / WIDE; k++) {
        narrow x_k;
        memcpy(&x_k, x + k * WIDE, sizeof x_k);
        const wide a = __builtin_convertvector(x_k, wide);
#if CACT_REAL == 32
        s->hi[k] += a;
#else
        const wide t = s->hi[k] + a, c = t - s->hi[k];
        s->lo[k] += (s->hi[k] - (t - c)) + (a - c);
        s->hi[k] = t;
#endif
    }
}

INLINE num lanes_total(const lanes *s)
{
    num t[LANES];
    for (int j = 0; j < LANES; j++)
        t[j] = pair(s->hi[j / WIDE][j % WIDE], s->lo[j / WIDE][j % WIDE]);
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            t[j] = add(t[j], t[j + half]);
    return t[0];
}

/* The last n mod 16 elements of a row, padded; and back. */
INLINE void take_last(const real *row, size_t n, real padding, real *block)
{
    size_t whole = n & ~(size_t)(LANES - 1);
    for (int j = 0; j < LANES; j++)
        block[j] = whole + j < n ? row[whole + j] : padding;
}

INLINE void put_last(const real *block, size_t n, real *row)
{
    size_t whole = n & ~(size_t)(LANES - 1);
    for (size_t i = whole; i < n; i++)
        row[i] = block[i - whole];
}

/* The maximum: exact, so its order is free.  Compared as integers in the order of the reals,
 * which gcc vectorises; a NaN may win or not, it makes the sum NaN either way. */
#if CACT_REAL == 32
typedef int32_t key;
#define LEAST INT32_MIN
#define GREATEST INT32_MAX
#else
typedef int64_t key;
#define LEAST INT64_MIN
#define GREATEST INT64_MAX
#endif

INLINE key to_key(key bits) { return bits ^ (bits < 0 ? GREATEST : 0); } /* its own inverse */

static __attribute__((noinline)) real maximum(size_t n, const real *x, const real *last)
{
    key most = LEAST;
    n &= ~(size_t)(LANES - 1);
    for (size_t i = 0; i < n; i++) {
        key k;
        memcpy(&k, x + i, sizeof k);
        k = to_key(k);
        most = k > most ? k : most;
    }
    for (int j = 0; j < LANES; j++) {
        key k;
        memcpy(&k, last + j, sizeof k);
        k = to_key(k);
        most = k > most ? k : most;
    }
    real result;
    most = to_key(most);
    memcpy(&result, &most, sizeof result);
    return result;
}

/* y = e^{x - max}; the difference is exact.  -inf gives 0; NaN and inf - inf give NaN. */
static __attribute__((noinline)) void shifted_exp(size_t n, const real *x, double max, real *y)
{
    n &= ~(size_t)(LANES - 1);
    IVDEP for (size_t i = 0; i < n; i++)
    {
        double d = x[i] - max;
        exponential e = exp_(pick(is_less(d, -FAR), exact(-FAR), sum(x[i], -max)));
        y[i] = (real)(d != d ? d : rounded(e.value) * e.tail);
    }
}

static __attribute__((noinline)) num total(const real *y, size_t n, const real *last)
{
    lanes s = {{{0}}, {{0}}};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        lanes_add(&s, y + i);
    if (n % LANES)
        lanes_add(&s, last);
    return lanes_total(&s);
}

static void softmax_row(size_t n, const void *dy_, const void *x_, void *out_)
{
    const real *x = x_;
    real *y = out_, last[LANES];
    (void)dy_;
    take_last(x, n, (real)-INFINITY, last);
    const double max = maximum(n, x, last);
    shifted_exp(n, x, max, y);
    if (n % LANES)
        shifted_exp(LANES, last, max, last);
    for (size_t j = n % LANES; j < LANES; j++)
        last[j] = 0; /* the padding, also where max is -inf or NaN */
    const num r = reciprocal(total(y, n, last));
    const size_t whole = n & ~(size_t)(LANES - 1);
    IVDEP for (size_t i = 0; i < whole; i++)
        y[i] = (real)rounded(times(r, y[i]));
    if (n % LANES) {
        for (int j = 0; j < LANES; j++)
            last[j] = (real)rounded(times(r, last[j]));
        put_last(last, n, y);
    }
}

/* dx = y (dy - sum of dy y) */
INLINE void dot_block(lanes *s, const real *a, const real *b)
{
#if CACT_REAL == 32
    for (int k = 0; k < LANES / WIDE; k++) {
        narrow a_k, b_k;
        memcpy(&a_k, a + k * WIDE, sizeof a_k);
        memcpy(&b_k, b + k * WIDE, sizeof b_k);
        s->hi[k] += __builtin_convertvector(a_k, wide) * __builtin_convertvector(b_k, wide); /* exact */
    }
#else
    double p[LANES], e[LANES];
    for (int j = 0; j < LANES; j++) {
        p[j] = a[j] * b[j];
        e[j] = fma_(a[j], b[j], -p[j]);
    }
    lanes_add(s, p);
    for (int k = 0; k < LANES / WIDE; k++) {
        wide e_k;
        memcpy(&e_k, e + k * WIDE, sizeof e_k);
        s->lo[k] += e_k;
    }
#endif
}

static __attribute__((noinline)) num dot(size_t n, const real *a, const real *b, const real *last_a,
                                         const real *last_b)
{
    lanes s = {{{0}}, {{0}}};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        dot_block(&s, a + i, b + i);
    if (n % LANES)
        dot_block(&s, last_a, last_b);
    return lanes_total(&s);
}

static __attribute__((noinline)) void times_difference(size_t n, const real *dy, num d, const real *y, real *dx)
{
    n &= ~(size_t)(LANES - 1);
    IVDEP for (size_t i = 0; i < n; i++)
        dx[i] = (real)rounded(times(sub(exact(dy[i]), d), y[i]));
}

static void softmax_row_backward(size_t n, const void *dy_, const void *y_, void *out_)
{
    const real *dy = dy_, *y = y_;
    real *dx = out_, last_dy[LANES] = {0}, last_y[LANES] = {0};
    if (n % LANES) {
        take_last(dy, n, 0, last_dy);
        take_last(y, n, 0, last_y);
    }
    const num d = dot(n, dy, y, last_dy, last_y);
    times_difference(n, dy, d, y, dx);
    if (n % LANES) {
        times_difference(LANES, last_dy, d, last_y, last_dy);
        put_last(last_dy, n, dx);
    }
}
