/* rows.h - functions of whole rows, with a fixed order of summation.
 *
 * -inf in a row is a mask; a row with NaN or +inf, or of nothing but -inf, is NaN (for softmin the
 * other way round).
 *
 * Sums run in 16 lanes (element i in lane i mod 16), folded by halves at the end, on every
 * instruction set: the same bits everywhere.  Float rows are summed in double, double rows
 * in hi + lo, so that the error of a result does not grow with the row.  The last block of a row
 * is padded with what changes nothing.
 *
 * Usual rows are computed as rows_vector.h has it.  Here is what that leaves over of softmax and softmin, as where
 * some dy all but cancels; rows_log.h has log_softmax, simplex.h sparsemax and entmax15, exact.h the sums where terms
 * cancel. */

#include "exact.h"

#include "vector_part.h"

/* GNU vectors of the width the machine has: gcc 12 does not vectorise loops over the lanes, makes halves
 * of __builtin_convertvector, and spills vectors wider than a register (up to 4 times slower each). */
#if defined(__AVX512F__)
#define WIDE 8
#define ELEMENTS(a, swap)                                                                              \
    a[0 ^ swap], a[1 ^ swap], a[2 ^ swap], a[3 ^ swap], a[4 ^ swap], a[5 ^ swap], a[6 ^ swap], a[7 ^ swap]
#elif defined(__AVX__)
#define WIDE 4
#define ELEMENTS(a, swap) a[0 ^ swap], a[1 ^ swap], a[2 ^ swap], a[3 ^ swap]
#else
#define WIDE 2
#define ELEMENTS(a, swap) a[0 ^ swap], a[1 ^ swap]
#endif
/* ELEMENTS: all of a vector, those `swap` apart exchanged.  EACH: the vectors k of a block of lanes. */
#define EACH UNROLLED for (int k = 0; k < LANES / WIDE; k++)
typedef real narrow __attribute__((vector_size(WIDE * sizeof(real))));
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));

INLINE wide wide_at(const real *x) { return (wide){ELEMENTS(x, 0)}; }

INLINE void put_wide(wide a, real *x)
{
    const narrow v = {ELEMENTS(a, 0)};
    memcpy(x, &v, sizeof v);
}

typedef struct {
    wide hi[LANES / WIDE], lo[LANES / WIDE], least[LANES / WIDE]; /* least: where a sum is taken closely */
} lanes;

#define NOTHING (-(wide){0}) /* x + -0 is x, so compilers leave the addition out */

/* hi + lo += a + low, the error of the sum kept (TwoSum) */
INLINE void add_wide(wide *hi, wide *lo, wide a, wide low)
{
    const wide t = *hi + a, c = t - *hi;
    *lo = ((*hi - (t - c)) + (a - c)) + (*lo + low);
    *hi = t;
}

/* The same in three words. */
INLINE void add_closely(wide *hi, wide *lo, wide *least, wide a)
{
    wide rest = {0};
    add_wide(hi, &rest, a, NOTHING);
    add_wide(lo, least, rest, NOTHING);
}

/* A block of doubles and, if not 0, what their roundings lost. */
INLINE void lanes_add_wide(lanes *s, const double *a, const double *low)
{
    EACH
    {
        wide a_k, low_k = NOTHING;
        memcpy(&a_k, a + k * WIDE, sizeof a_k);
        if (low)
            memcpy(&low_k, low + k * WIDE, sizeof low_k);
        add_wide(&s->hi[k], &s->lo[k], a_k, low_k);
    }
}

/* Element i + half onto element i.  TwoSum commutes, so the two halves of a vector end equal. */
INLINE fine lanes_total_fine(const lanes *s)
{
    lanes t = *s;
    for (int half = LANES / WIDE / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            add_wide(&t.hi[k], &t.lo[k], t.hi[k + half], t.lo[k + half]);
    wide hi = t.hi[0], lo = t.lo[0];
#if WIDE > 4
    add_wide(&hi, &lo, (wide){ELEMENTS(hi, 4)}, (wide){ELEMENTS(lo, 4)});
#endif
#if WIDE > 2
    add_wide(&hi, &lo, (wide){ELEMENTS(hi, 2)}, (wide){ELEMENTS(lo, 2)});
#endif
    add_wide(&hi, &lo, (wide){ELEMENTS(hi, 1)}, (wide){ELEMENTS(lo, 1)});
    return (fine){hi[0], lo[0]};
}

/* Of one word each */
INLINE double wide_total(const wide *s)
{
    wide t[LANES / WIDE];
    EACH t[k] = s[k];
    for (int half = LANES / WIDE / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            t[k] += t[k + half];
#if WIDE > 4
    t[0] += (wide){ELEMENTS(t[0], 4)};
#endif
#if WIDE > 2
    t[0] += (wide){ELEMENTS(t[0], 2)};
#endif
    return t[0][0] + t[0][1];
}

INLINE num lanes_total(const lanes *s)
{
#if CACT_REAL == 64
    return lanes_total_fine(s);
#else
    wide t[LANES / WIDE];
    EACH t[k] = s->hi[k] + s->lo[k];
    return wide_total(t);
#endif
}

INLINE void add_three(wide *s, wide a, wide b, wide c)
{
    wide rest = {0};
    add_wide(&s[0], &rest, a, NOTHING);
    s[2] += c;
    add_wide(&s[1], &s[2], b, NOTHING);
    add_wide(&s[1], &s[2], rest, NOTHING);
}

/* All three words; only where a sum is taken closely. */
static __attribute__((noinline, cold)) three lanes_three(const lanes *s)
{
    wide t[3] = {s->hi[0], s->lo[0], s->least[0]};
    for (int k = 1; k < LANES / WIDE; k++)
        add_three(t, s->hi[k], s->lo[k], s->least[k]);
    three sum = {0, 0, 0};
    for (int j = 0; j < WIDE; j++)
        sum = three_add(sum, three_of(t[0][j], t[1][j], t[2][j]));
    return sum;
}

/* The sum of numbers that need not be exact. */
INLINE double lanes_about(const void *s)
{
    double t[LANES];
    memcpy(t, s, sizeof t);
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            t[j] += t[j + half];
    return t[0];
}

INLINE wide wide_size(wide a) /* |a| */
{
    typedef int64_t bits __attribute__((vector_size(WIDE * sizeof(int64_t))));
    return (wide)((bits)a & INT64_MAX);
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

static __attribute__((noinline)) real maximum(size_t n, const real *x, const real *last, int negated)
{
    const key flip = negated ? LEAST : 0; /* the sign bit: of -x */
    key most = LEAST;
    n &= ~(size_t)(LANES - 1);
    for (size_t i = 0; i < n; i++) {
        key k;
        memcpy(&k, x + i, sizeof k);
        k = to_key(k ^ flip);
        most = k > most ? k : most;
    }
    for (int j = 0; j < LANES; j++) {
        key k;
        memcpy(&k, last + j, sizeof k);
        k = to_key(k ^ flip);
        most = k > most ? k : most;
    }
    real result;
    most = to_key(most);
    memcpy(&result, &most, sizeof result);
    return result;
}

/* The bits of a NaN are the same everywhere. */
INLINE real one_nan(double y) { return y == y ? (real)y : (real)NAN; }

/* y = e^{sign x - max}; the difference is exact.  -inf gives 0; NaN and inf - inf give NaN. */
static __attribute__((noinline)) void shifted_exp(size_t n, const real *x, double sign, double max, real *y)
{
    n &= ~(size_t)(LANES - 1);
    for (size_t i = 0; i < n; i += LANES) {
        IVDEP for (size_t j = i; j < i + LANES; j++)
        {
            const double z = x[j] * sign, d = z - max;
            exponential e = exp_(pick(is_less(d, -FAR), exact(-FAR), sum(z, -max)));
            y[j] = (real)(d != d ? d : rounded(e.value) * e.tail);
        }
    }
}

/* The sum of a row in one, two or three words; nothing is lost of a sum that is not finite. */
INLINE lanes row_sums(size_t n, const real *y, const real *last, int words)
{
    lanes s = {0};
    for (size_t i = 0; i < n; i += LANES) {
        const real *block = i + LANES <= n ? y + i : last;
        EACH
        {
            const wide a = wide_at(block + k * WIDE);
            if (words == 1)
                s.hi[k] += a;
            else if (words == 2)
                add_wide(&s.hi[k], &s.lo[k], a, NOTHING);
            else
                add_closely(&s.hi[k], &s.lo[k], &s.least[k], a);
        }
    }
    return s;
}

static __attribute__((noinline)) num total(size_t n, const real *y, const real *last)
{
    const lanes s = row_sums(n, y, last, sizeof(real) / 4);
    return lanes_total(&s);
}

#if CACT_REAL == 32
#include "rows_float.h"
#endif
#include "rows_vector.h"
#if CACT_REAL == 64
#include "rows_double.h"
#endif

static __attribute__((noinline)) void times_num(size_t n, num r, real *y) /* y = r y */
{
    IVDEP for (size_t i = 0; i < n; i++)
        y[i] = one_nan(rounded_times(r, y[i]));
}

static void softmax_signed(size_t n, const real *x, double sign, real *y)
{
    real last[LANES];
    take_last(x, n, (real)(-INFINITY * sign), last);
    const double max = maximum(n, x, last, sign < 0);
    shifted_exp(n, x, sign, max, y);
    if (n % LANES)
        shifted_exp(LANES, last, sign, max, last);
    for (size_t j = n % LANES; j < LANES; j++)
        last[j] = 0; /* the padding, also where max is -inf or NaN */
    const num r = reciprocal(total(n, y, last));
    const size_t whole = n & ~(size_t)(LANES - 1);
    times_num(whole, r, y);
    if (n % LANES) {
        times_num(LANES, r, last);
        put_last(last, n, y);
    }
}

/* Of several rows step by step: the sum of one is awaited while the next is computed. */
INLINE void softmax_rows_signed(size_t rows, size_t n, const void *const *x, const int negated, void *const *y)
{
    shares s;
    for (size_t r = 0; r < rows; r++)
        s.max[r] = greatest(n, x[r], flip_of(negated));
    for (size_t r = 0; r < rows; r++)
        if (IN_REACH(s.max[r][0]))
            put_exps(n, x[r], flip_of(negated), y[r], &s, r);
        else
            s.sum[r] = exact(1);
    take_reciprocals(rows, &s);
    for (size_t r = 0; r < rows; r++)
        if (IN_REACH(s.max[r][0]))
            times_reciprocal(n, &s, r, y[r]);
        else
            softmax_signed(n, x[r], negated ? -1 : 1, y[r]);
}

static void softmax_rows(size_t rows, size_t n, const void *const *dy, const void *const *x, void *const *y)
{
    (void)dy;
    softmax_rows_signed(rows, n, x, 0, y);
}

static void softmin_rows(size_t rows, size_t n, const void *const *dy, const void *const *x, void *const *y)
{
    (void)dy;
    softmax_rows_signed(rows, n, x, 1, y);
}

/* dx = y (dy - sum of dy y), hi + lo in float rows too: where one y is nearly 1 all but the last digits cancel */
INLINE void dot_block_closely(lanes *s, wide *size, const real *a, const real *b, int closely)
{
    (void)size, (void)closely;
    EACH
    {
        const wide x = wide_at(a + k * WIDE), y = wide_at(b + k * WIDE), p = x * y;
#if CACT_REAL == 32 /* exact */
        add_wide(&s->hi[k], &s->lo[k], p, NOTHING);
#else
        wide e;
        for (int j = 0; j < WIDE; j++)
            e[j] = fma_(x[j], y[j], -p[j]);
        size[k] += wide_size(p);
        if (closely) {
            add_closely(&s->hi[k], &s->lo[k], &s->least[k], p);
            add_closely(&s->hi[k], &s->lo[k], &s->least[k], e);
        } else
            add_wide(&s->hi[k], &s->lo[k], p, e);
#endif
    }
}

INLINE lanes dots(size_t n, const real *a, const real *b, const real *last_a, const real *last_b, int closely,
                  double *size)
{
    lanes s = {0};
    wide sizes[LANES / WIDE] = {0};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        dot_block_closely(&s, sizes, a + i, b + i, closely);
    if (n % LANES)
        dot_block_closely(&s, sizes, last_a, last_b, closely);
    *size = lanes_about(sizes);
    return s;
}

/* What backward takes from dy, in hi + lo; nearer to it than `near` (2^-40 of the terms of the sum) a dy is to be
 * compared with a closer sum.  Float rows never are. */
typedef struct {
    fine value;
    double near;
} row_mean;

#define NEAR(size) (sizeof(real) == 4 ? -1 : (size) * 0x1p-40)

static __attribute__((noinline)) row_mean dot(size_t n, const real *a, const real *b, const real *last_a,
                                              const real *last_b)
{
    double size;
    const lanes s = dots(n, a, b, last_a, last_b, 0, &size);
    return (row_mean){lanes_total_fine(&s), NEAR(size)};
}

/* Whether a row needs a closer sum, which is to stay within the exponents of a double. */
static __attribute__((noinline)) int any_near(size_t n, const real *dy, row_mean m)
{
    int64_t some = 0, big = 0;
    for (size_t i = 0; i < n && m.near > 0x1p-840; i++) {
        some |= abs_(dy[i] - m.value.hi) < m.near;
        big |= abs_(dy[i]) > 0x1p900;
    }
    return some && !big;
}

/* The loop below with the sum in three words: dy - d is exact but for its last. */
static __attribute__((noinline, cold)) void times_difference_closely(size_t n, const real *dy, const real *y,
                                                                     double sign, real *dx)
{
    real last_dy[LANES], last_y[LANES];
    double size;
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
    const lanes s = dots(n, dy, y, last_dy, last_y, 1, &size);
    const three d = lanes_three(&s);
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const fine a = fine_sum(dy[i], -d.a), b = fine_sum(a.hi, -d.b), c = fine_sum(b.hi, a.lo);
        dx[i] = (real)((c.hi + (c.lo + (b.lo - d.c))) * (y[i] * sign));
    }
}

/* Returns whether some dy is near to d. */
static __attribute__((noinline)) int times_difference(size_t n, const real *dy, row_mean m, const real *y,
                                                      double sign, real *dx)
{
    const fine d = m.value;
    n &= ~(size_t)(LANES - 1);
#if CACT_REAL == 32
    if (abs_(d.hi) < 0x1p100) { /* all is finite, and dy - d cannot overflow: in float, at most 2 ULP */
        const float hi = (float)d.hi, lo = (float)((d.hi - hi) + d.lo), s = (float)sign;
        IVDEP for (size_t i = 0; i < n; i++)
        {
            const float v = y[i] * s;
            dx[i] = __builtin_fmaf(v, dy[i] - hi, -(v * lo));
        }
        return 0;
    }
#endif
    int64_t near = 0;
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const double t = dy[i] - d.hi, v = y[i] * sign; /* t is exact where it cancels */
        near |= abs_(t) < m.near;
        dx[i] = one_nan(fma_(v, t, -(v * d.lo)));
    }
    return near != 0;
}

static void softmax_signed_backward(size_t n, const real *dy, const real *y, double sign, real *dx)
{
    real last_dy[LANES] = {0}, last_y[LANES] = {0};
    if (n % LANES) {
        take_last(dy, n, 0, last_dy);
        take_last(y, n, 0, last_y);
    }
    const row_mean d = dot(n, dy, y, last_dy, last_y);
    const int in_place = dx == dy || dx == y;
    if (in_place && any_near(n, dy, d)) {
        times_difference_closely(n, dy, y, sign, dx);
        return;
    }
    int near = times_difference(n, dy, d, y, sign, dx);
    if (n % LANES) {
        near |= times_difference(LANES, last_dy, d, last_y, sign, last_dy);
        put_last(last_dy, n, dx);
    }
    if (near && !in_place && any_near(n, dy, d))
        times_difference_closely(n, dy, y, sign, dx);
}

/* The same where it can be in vectors. */
INLINE void softmax_rows_signed_backward(size_t rows, size_t n, const void *const *dy_, const void *const *y_,
                                         const int negated, void *const *dx_)
{
    vector_dot dots[CACT_ROWS];
    for (size_t r = 0; r < rows; r++)
        dots[r] = dot_in_vectors(n, dy_[r], y_[r]);
    for (size_t r = 0; r < rows; r++) {
        const real *dy = dy_[r], *y = y_[r];
        real *dx = dx_[r];
        const vector_dot d = dots[r];
        if (DOT_IN_REACH(d)) {
            const real hi = (real)d.hi, lo = (real)((d.hi - hi) + d.lo), near = (real)(d.size * NEAR_IN_VECTORS);
            const int in_place = dx == dy || dx == y;
            if (!(in_place && nearest(n, dy, hi) < near) &&
                !(times_difference_in_vectors(n, dy, y, flip_of(negated), hi, lo, dx) < near))
                continue;
        }
        softmax_signed_backward(n, dy, y, negated ? -1 : 1, dx);
    }
}

static void softmax_rows_backward(size_t rows, size_t n, const void *const *dy, const void *const *y, void *const *dx)
{
    softmax_rows_signed_backward(rows, n, dy, y, 0, dx);
}

static void softmin_rows_backward(size_t rows, size_t n, const void *const *dy, const void *const *y, void *const *dx)
{
    softmax_rows_signed_backward(rows, n, dy, y, 1, dx);
}

/* A function of rows that takes them one by one */
#define ROW_BY_ROW(name, row)                                                                          \
    static void name(size_t rows, size_t n, const void *const *dy, const void *const *x, void *const *out) \
    {                                                                                                  \
        for (size_t r = 0; r < rows; r++)                                                              \
            row(n, dy[r], x[r], out[r]);                                                               \
    }

#include "rows_log.h"
#include "simplex.h"
