/* rows.h - functions of whole rows, with a fixed order of summation.
 *
 * -inf in a row is a mask; a row with NaN or +inf, or of nothing but -inf, is NaN (for softmin the
 * other way round).
 *
 * Sums run in 16 lanes (element i in lane i mod 16), folded by halves at the end, on every
 * instruction set: the same bits everywhere.  Float rows are summed in double, double rows
 * in hi + lo, so that the error of a result does not grow with the row.  The last block of a row
 * is padded with what changes nothing, so that every loop is over whole blocks. */

#include "exact.h"

#define LANES CACT_LANES

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
#define EACH for (int k = 0; k < LANES / WIDE; k++)
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

INLINE num lanes_total(const lanes *s)
{
#if CACT_REAL == 64
    return lanes_total_fine(s);
#else
    wide t[LANES / WIDE];
    EACH t[k] = s->hi[k] + s->lo[k];
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
#endif
}

/* The sum of all words */
static __attribute__((noinline, cold)) exact_sum lanes_exactly(const lanes *s)
{
    exact_sum t = {0};
    EACH for (int j = 0; j < WIDE; j++)
    {
        exactly_add(&t, s->least[k][j]);
        exactly_add(&t, s->lo[k][j]);
        exactly_add(&t, s->hi[k][j]);
    }
    return t;
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
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const double z = x[i] * sign, d = z - max;
        exponential e = exp_(pick(is_less(d, -FAR), exact(-FAR), sum(z, -max)));
        y[i] = (real)(d != d ? d : rounded(e.value) * e.tail);
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
    IVDEP for (size_t i = 0; i < whole; i++)
        y[i] = one_nan(rounded(times(r, y[i])));
    if (n % LANES) {
        for (int j = 0; j < LANES; j++)
            last[j] = one_nan(rounded(times(r, last[j])));
        put_last(last, n, y);
    }
}

static void softmax_row(size_t n, const void *dy, const void *x, void *y)
{
    (void)dy;
    softmax_signed(n, x, 1, y);
}

static void softmin_row(size_t n, const void *dy, const void *x, void *y)
{
    (void)dy;
    softmax_signed(n, x, -1, y);
}

/* dx = y (dy - sum of dy y), hi + lo in float rows too: where one y is nearly 1 all but the last digits cancel */
INLINE void dot_block(lanes *s, const real *a, const real *b, int closely)
{
    EACH
    {
        const wide x = wide_at(a + k * WIDE), y = wide_at(b + k * WIDE), p = x * y;
#if CACT_REAL == 32 /* exact */
        add_wide(&s->hi[k], &s->lo[k], p, NOTHING);
#else
        wide e;
        for (int j = 0; j < WIDE; j++)
            e[j] = fma_(x[j], y[j], -p[j]);
        if (closely) {
            add_closely(&s->hi[k], &s->lo[k], &s->least[k], p);
            add_closely(&s->hi[k], &s->lo[k], &s->least[k], e);
        } else
            add_wide(&s->hi[k], &s->lo[k], p, e);
#endif
    }
}

INLINE lanes dots(size_t n, const real *a, const real *b, const real *last_a, const real *last_b, int closely)
{
    lanes s = {0};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        dot_block(&s, a + i, b + i, closely);
    if (n % LANES)
        dot_block(&s, last_a, last_b, closely);
    return s;
}

static __attribute__((noinline)) fine dot(size_t n, const real *a, const real *b, const real *last_a,
                                          const real *last_b)
{
    const lanes s = dots(n, a, b, last_a, last_b, 0);
    return lanes_total_fine(&s);
}

/* Nearer to the mean no more than 12 bits of dy - mean are known, with a mean in hi + lo.  Never in float rows. */
#define NEAR(mean) (sizeof(real) == 4 ? -1 : abs_(mean) * 0x1p-40)

/* Whether a row needs exact sums, which are to stay within the exponents of a double. */
static __attribute__((noinline)) int any_near(size_t n, const real *dy, double mean)
{
    const double near = NEAR(mean);
    int64_t some = 0, big = 0;
    for (size_t i = 0; i < n && near > 0; i++) {
        some |= abs_(dy[i] - mean) < near;
        big |= abs_(dy[i]) > 0x1p900;
    }
    return some && !big && abs_(mean) > 0x1p-800;
}

/* The loop below where some dy is near: the sum in three words, dy - d exact but for the last. */
static __attribute__((noinline, cold)) void times_difference_closely(size_t n, const real *dy, const real *y,
                                                                     double sign, real *dx)
{
    real last_dy[LANES], last_y[LANES];
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
    const lanes s = dots(n, dy, y, last_dy, last_y, 1);
    exact_sum d = lanes_exactly(&s);
    double part[3];
    for (int k = 0; k < 3; k++) {
        part[k] = exactly(&d);
        exactly_add(&d, -part[k]);
    }
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const fine a = fine_sum(dy[i], -part[0]), b = fine_sum(a.hi, -part[1]), c = fine_sum(b.hi, a.lo);
        dx[i] = (real)((c.hi + (c.lo + (b.lo - part[2]))) * (y[i] * sign));
    }
}

/* Returns whether some dy is near to d. */
static __attribute__((noinline)) int times_difference(size_t n, const real *dy, fine d, const real *y,
                                                      double sign, real *dx)
{
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
        near |= abs_(dy[i] - d.hi) < NEAR(d.hi);
#if CACT_REAL == 32 /* dy - d.hi is exact where it cancels */
        dx[i] = one_nan((dy[i] - d.hi - d.lo) * (y[i] * sign));
#else
        dx[i] = one_nan(rounded(times(sub(exact(dy[i]), d), y[i] * sign)));
#endif
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
    const fine d = dot(n, dy, y, last_dy, last_y);
    const int in_place = dx == dy || dx == y;
    if (in_place && any_near(n, dy, d.hi)) {
        times_difference_closely(n, dy, y, sign, dx);
        return;
    }
    int near = times_difference(n, dy, d, y, sign, dx);
    if (n % LANES) {
        near |= times_difference(LANES, last_dy, d, last_y, sign, last_dy);
        put_last(last_dy, n, dx);
    }
    if (near && !in_place && any_near(n, dy, d.hi))
        times_difference_closely(n, dy, y, sign, dx);
}

static void softmax_row_backward(size_t n, const void *dy, const void *y, void *dx)
{
    softmax_signed_backward(n, dy, y, 1, dx);
}

static void softmin_row_backward(size_t n, const void *dy, const void *y, void *dx)
{
    softmax_signed_backward(n, dy, y, -1, dx);
}

/* ------------------------------------------------------------------ the logarithm */
/* log(1 + t), 0 <= t < 2^60: with 1 + t = 2^k (1 + f) it is k log 2 + log(1 + f), both positive. */
INLINE num log1p_far(num t)
{
    const int k = (int)(to_bits(1 + rounded(t)) >> 52) - 1023;
    const double s = pow2(ROUNDER - k);
    return add(times(pair(LN2_HI, LN2_LO), k), log1p_(add(scale(t, s), exact(s - 1))));
}

#define UP (sizeof(real) == 4 ? 1 : 0x1p150) /* many subnormals may have a normal sum */

/* The sum of e^{x - max} over the x below max, and how many are max: apart, because next to 1
 * the others would lose their digits. */
static __attribute__((noinline)) num others(size_t n, const real *x, double max, double *maxima)
{
    lanes s = {0};
    int64_t equal = 0;
    for (size_t i = 0; i < n; i += CHUNK) {
        real copy[CHUNK];
        double e[CHUNK];
        const real *part = x + i;
        size_t m = CHUNK;
        if (n - i < CHUNK) {
            m = (n - i + LANES - 1) & ~(size_t)(LANES - 1);
            for (size_t j = 0; j < m; j++)
                copy[j] = i + j < n ? part[j] : (real)-INFINITY;
            part = copy;
        }
        IVDEP for (size_t j = 0; j < m; j++)
        {
            const double d = part[j] - max;
            const exponential t = exp_(pick(is_less(d, -FAR), exact(-FAR), sum(part[j], -max)));
            const double v = d < 0 && d >= -FAR ? rounded(t.value) * (t.tail * UP) : 0;
            e[j] = d == d ? v : d;
        }
        for (size_t j = 0; j < m; j++)
            equal += (double)part[j] == max;
        for (size_t j = 0; j < m; j += LANES)
            lanes_add_wide(&s, e + j, 0);
    }
    *maxima = (double)equal;
    return scale(lanes_total(&s), 1 / UP);
}

static __attribute__((noinline)) void minus_log(size_t n, const real *x, double max, num log_sum, real *y)
{
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const double d = x[i] - max;
        const double r = rounded(sub(sum(x[i], -max), log_sum)); /* of one sign: nothing cancels */
        y[i] = one_nan(d < -DBL_MAX ? d - rounded(log_sum) : r);
    }
}

static void log_softmax_row(size_t n, const void *dy, const void *x_, void *y_)
{
    const real *x = x_;
    real *y = y_, last[LANES];
    double maxima;
    (void)dy;
    take_last(x, n, (real)-INFINITY, last);
    const double max = maximum(n, x, last, 0);
    const num rest = others(n, x, max, &maxima);
    const num log_sum = log1p_far(add(exact(maxima - 1), rest));
    const size_t whole = n & ~(size_t)(LANES - 1);
    minus_log(whole, x, max, log_sum, y);
    if (n % LANES) {
        minus_log(LANES, last, max, log_sum, last);
        put_last(last, n, y);
    }
}

/* e^v = (hi + lo) 2^k to 2^-99, |v| <= 1e4: (v - k log 2)/2^8 in Taylor's series, eight times doubled. */
static __attribute__((noinline, cold)) fine exp_twice(double v, int *k)
{
    const double n = __builtin_rint(v * LOG2E);
    const fine p = fine_product(-n, LN2_LO), s = fine_sum(fma_(-n, LN2_HI, v), p.hi);
    const fine r = fine_scale((fine){s.hi, s.lo + fma_(-n, LN2_THIRD, p.lo)}, 0x1p-8);
    fine q = {1, 0};
    for (int i = 11; i > 1; i--)
        q = fine_one_plus(fine_ratio(fine_mul(r, q), (fine){i, 0}));
    q = fine_mul(r, q); /* e^r - 1 */
    for (int i = 0; i < 8; i++)
        q = fine_add(fine_scale(q, 2), fine_mul(q, q));
    *k = (int)n;
    return fine_one_plus(q);
}

/* dx = dy - e^y sum(dy).  Measured: float32 0.53 ULP, float64 1.5 (of which 0.5 where the terms are not some times
 * dx).  Where |dx| < CLOSE |dy|, e^y is needed closer than the loop has it (2^-44, 2^-56), and computed again: rare,
 * but what is left of the class that a net is sure of.  Where that leaves less than 2^-40 of dy, as for
 * dy = -softmax(x), by exact sums. */
#define CLOSE (sizeof(real) == 4 ? 0x1p-17 : 0x1p-3)

typedef struct {
    size_t n;
    const real *dy, *last; /* not to be read again where dx is dy: then the sum has three words from the start */
    lanes *sum;
    int words;
} summed;

static __attribute__((noinline, cold)) double minus_share_exactly(double dy, summed *row, double y)
{
    if (row->words < 3)
        *row->sum = row_sums(row->n, row->dy, row->last, row->words = 3);
    int k;
    const exact_sum e = exactly_exp(y, &k), s = lanes_exactly(row->sum);
    exact_sum share = exactly_times(&e, &s);
    for (int i = 0; i < share.n; i++)
        share.part[i] = -share.part[i] * pow2(k / 2 + ROUNDER) * pow2(k - k / 2 + ROUNDER);
    exactly_add(&share, dy);
    return exactly(&share);
}

static __attribute__((noinline, cold)) void minus_share_closely(size_t n, const real *dy, fine s, summed *row,
                                                                const real *y, real *dx)
{
    for (size_t i = 0; i < n; i++) {
        const double a = abs_(dy[i]);
        if (!(abs_(dx[i]) < a * CLOSE && abs_(y[i]) < 1400))
            continue;
        int k;
        const fine e = exp_twice(y[i], &k);
        const double first = pow2(k / 2 + ROUNDER), second = pow2(k - k / 2 + ROUNDER);
        const fine share = fine_scale(fine_mul(fine_scale(e, first), s), second);
        const fine d = fine_sum(dy[i], -share.hi);
        double r = d.hi + (d.lo - share.lo);
        if (abs_(r) < a * 0x1p-40 && a < 0x1p900 && a > 0x1p-800)
            r = minus_share_exactly(dy[i], row, y[i]);
        dx[i] = (real)r;
    }
}

static __attribute__((noinline)) void minus_share(size_t n, const real *dy, fine sum_dy, summed *row,
                                                  const real *y, real *dx)
{
    const num s = abs_(sum_dy.hi) <= DBL_MAX ? num_of(sum_dy) : exact(sum_dy.hi);
    int64_t close = 0;
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const double v = y[i], least = sizeof(real) == 4 ? -300 : -FARTHEST;
        const num z = exact(v > 300 ? 300 : v < least ? least : v);
#if CACT_REAL == 32
        const num share = exp_precise(z) * s;
#else
        const exponential e = exp_far(z);
        const num share = scale(scale(mul(e.value, s), e.tail), e.far_tail);
#endif
        const double d = rounded(sub(exact(dy[i]), share));
        dx[i] = one_nan(v == v ? d : v);
        close |= abs_(d) < abs_(dy[i]) * CLOSE;
    }
    if (close)
        minus_share_closely(n, dy, sum_dy, row, y, dx);
}

static void log_softmax_row_backward(size_t n, const void *dy_, const void *y_, void *dx_)
{
    const real *dy = dy_, *y = y_;
    real *dx = dx_, last_dy[LANES], last_y[LANES], part[CHUNK]; /* dx may be dy or y */
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
    const int words = dx == dy ? 3 : 2;
    lanes sum = words == 3 ? row_sums(n, dy, last_dy, 3) : row_sums(n, dy, last_dy, 2);
    const fine total_dy = lanes_total_fine(&sum);
    summed row = {n, dy, last_dy, &sum, words};
    const size_t whole = n & ~(size_t)(LANES - 1);
    for (size_t i = 0; i < whole; i += CHUNK) {
        const size_t m = whole - i < CHUNK ? whole - i : CHUNK;
        minus_share(m, dy + i, total_dy, &row, y + i, part);
        memcpy(dx + i, part, m * sizeof *part);
    }
    if (n % LANES) {
        minus_share(LANES, last_dy, total_dy, &row, last_y, part);
        put_last(part, n, dx);
    }
}

#include "simplex.h"
