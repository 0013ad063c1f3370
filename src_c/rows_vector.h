/* rows_vector.h - rows in vectors of their own type, where that is exact enough; rows.h has what is left over.
 *
 * Which of the two computes a row depends on its numbers alone, never on where they lie: in place or not, the bits
 * are the same. */

/* The maximum of sign x: exact, so its order is free.  A NaN may win or not, it makes the sum NaN either way. */
INLINE real greatest(size_t n, const real *x, integers flip)
{
    vector t[LANES / VECTOR];
    const size_t whole = n & ~(size_t)(LANES - 1);
    VECTORS t[k] = vector_of((real)-INFINITY);
    for (size_t i = 0; i < whole; i += LANES)
        VECTORS t[k] = vector_at_least((vector)((integers)vector_at(x + i + k * VECTOR) ^ flip), t[k]);
    LAST_VECTORS(whole, n) {
        const size_t i = whole + (size_t)k * VECTOR;
        const vector v = (vector)((integers)vector_first(x + i, n - i, x[i]) ^ flip);
        t[0] = vector_at_least(v, t[0]);
    }
    for (int k = 1; k < LANES / VECTOR; k++)
        t[0] = vector_at_least(t[0], t[k]);
#if VECTOR > 8
    t[0] = vector_at_least(t[0], swapped(t[0], 8));
#endif
#if VECTOR > 4
    t[0] = vector_at_least(t[0], swapped(t[0], 4));
#endif
#if VECTOR > 2
    t[0] = vector_at_least(t[0], swapped(t[0], 2));
#endif
    return t[0][0] > t[0][1] ? t[0][0] : t[0][1];
}

/* ------------------------------------------------------------------ softmax
 * e^(x - max) 2^UP of vectors, the difference in two words; none is subnormal down to max - BELOW, where the result is
 * 0, beside any number of others. */
#if CACT_REAL == 32
#define VECTOR_ROUNDER 0x1.8p23f
#define UP 64
#define BELOW 130
#define REDUCIBLE 0x1p17f /* |max|, of which BELOW is more than its last bits */
#else
#define VECTOR_ROUNDER ROUNDER
#define UP 512
#define BELOW 760
#define REDUCIBLE 0x1p40
#endif
#define IN_REACH(max) ((max) < REDUCIBLE && (max) > -REDUCIBLE)

/* Of m vectors: (1 + p) 2^k, k the last bits of t; p = r + r^2 Q(r).  Two vectors step by step in turn: of one the
 * steps wait for each other. */
INLINE void exp_minus_1_shifted(const int m, const vector *x, real max, vector *t, vector *p)
{
    vector d[PAIR], low[PAIR], r[PAIR], s[PAIR], q[PAIR];
    ALL s[j] = vector_at_least(x[j], vector_of(max - BELOW));
    ALL q[j] = vector_at_most(s[j], vector_of(-max)); /* the larger in size of the two: FastTwoSum */
    ALL low[j] = vector_at_least(s[j], vector_of(-max));
    ALL d[j] = q[j] + low[j];
    ALL low[j] -= d[j] - q[j];
    ALL t[j] = vector_fma(d[j], vector_of((real)LOG2E), vector_of(VECTOR_ROUNDER + UP));
    ALL r[j] = t[j] - (VECTOR_ROUNDER + UP);
#if CACT_REAL == 32 /* tools/pieces.py exp, 2^-28.3 */
    ALL q[j] = vector_fma(r[j], vector_of(-0x1.62e43p-1f), d[j]); /* exact */
    ALL r[j] = q[j] + vector_fma(r[j], vector_of(0x1.05c61p-29f), low[j]);
    ALL s[j] = r[j] * r[j];
    ALL q[j] = vector_fma(r[j], vector_of(0x1.6a5198p-10f), vector_of(0x1.12397cp-7f));
    ALL q[j] = vector_fma(q[j], r[j], vector_of(0x1.5558acp-5f));
    ALL q[j] = vector_fma(q[j], r[j], vector_of(0x1.555492p-3f));
    ALL q[j] = vector_fma(q[j], r[j], vector_of(0x1.fffffcp-2f));
#else /* tools/exp_rows.py, 2^-57.8 */
    vector odd[PAIR];
    ALL q[j] = vector_fma(r[j], vector_of(-LN2_HI), d[j]); /* exact */
    ALL r[j] = q[j] + vector_fma(r[j], vector_of(-LN2_LO), low[j]);
    ALL s[j] = r[j] * r[j];
    ALL q[j] = vector_fma(vector_of(0x1.28acaf2b09971p-22), s[j], vector_of(0x1.a0199afed257ep-16));
    ALL odd[j] = vector_fma(vector_of(0x1.ad7d41b9f4111p-26), s[j], vector_of(0x1.71df25fd72b54p-19));
    ALL q[j] = vector_fma(q[j], s[j], vector_of(0x1.6c16c183c00a7p-10));
    ALL odd[j] = vector_fma(odd[j], s[j], vector_of(0x1.a01a012a75c05p-13));
    ALL q[j] = vector_fma(q[j], s[j], vector_of(0x1.5555555550addp-5));
    ALL odd[j] = vector_fma(odd[j], s[j], vector_of(0x1.11111111279d9p-7));
    ALL q[j] = vector_fma(q[j], s[j], vector_of(0x1.0000000000009p-1));
    ALL odd[j] = vector_fma(odd[j], s[j], vector_of(0x1.55555555554fbp-3));
    ALL q[j] = vector_fma(odd[j], r[j], q[j]);
#endif
    ALL p[j] = vector_fma(s[j], q[j], r[j]);
}

#define MANTISSA (CACT_REAL == 32 ? 23 : 52) /* bits */

/* To 0.7 ULP */
INLINE void exp_shifted(const int m, const vector *x, real max, vector *e)
{
    vector t[PAIR], p[PAIR];
    exp_minus_1_shifted(m, x, max, t, p);
    ALL p[j] = 1 + p[j];
    ALL e[j] = (vector)((integers)p[j] + ((integers)t[j] << MANTISSA));
}

/* In two words, to 0.35 ULP; 0 where x is max */
INLINE void exp_two_shifted(const int m, const vector *x, real max, vector *e, vector *low, integers *equal)
{
    vector t[PAIR], p[PAIR];
    exp_minus_1_shifted(m, x, max, t, p);
    ALL equal[j] = x[j] == max;
    ALL t[j] = (vector)((((integers)t[j] << MANTISSA) + (integers)vector_of(1)) & ~equal[j]);
    ALL e[j] = vector_fma(t[j], p[j], t[j]);
    ALL low[j] = vector_fma(t[j], p[j], t[j] - e[j]);
}

/* Sums to twice the digits: in lanes that begin at `origin`, 1.5 2^k, 2^(k - 1) above all sums, an addend leaves a
 * rest that is exact. */
typedef struct {
    vector sum[LANES / VECTOR], rest[LANES / VECTOR];
} split_sums;

INLINE split_sums sums_from(real origin)
{
    split_sums s;
    VECTORS s.sum[k] = vector_of(origin), s.rest[k] = vector_of(0);
    return s;
}

INLINE void add_split(split_sums *s, int k, vector a)
{
    const vector t = s->sum[k] + a;
    s->rest[k] += a - (t - s->sum[k]);
    s->sum[k] = t;
}

INLINE void add_split_product(split_sums *s, int k, vector a, vector b)
{
    const vector t = vector_fma(a, b, s->sum[k]);
    s->rest[k] += vector_fma(a, b, s->sum[k] - t);
    s->sum[k] = t;
}

/* In the folding of the sums nothing is rounded, either. */
INLINE fine split_total(split_sums *s, real origin)
{
    VECTORS s->sum[k] -= origin;
    return fine_sum((double)folded(s->sum), (double)folded(s->rest));
}

INLINE real origin_above(real size) /* 1.5 2^k; size normal, 2^k more than 4 of them */
{
#if CACT_REAL == 32
    int32_t u;
    memcpy(&u, &size, sizeof u);
    u = (u & 0x7f800000) + (3 << 23 | 1 << 22);
    memcpy(&size, &u, sizeof u);
    return size;
#else
    return from_bits((to_bits(size) & 0x7ff0000000000000) + ((uint64_t)3 << 52 | (uint64_t)1 << 51));
#endif
}

static void all_nan(size_t n, real *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (real)NAN;
}

/* y = e^(x - max) 2^UP; of the last block in `last`, 0 for padding. */
INLINE void put_exp_shifted(size_t n, const real *x, integers flip, real max, real *y, vector *last)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    for (size_t i = 0; i < whole; i += PAIR * VECTOR) {
        vector v[PAIR], e[PAIR];
        PAIRS v[j] = (vector)((integers)vector_at(x + i + j * VECTOR) ^ flip);
        exp_shifted(PAIR, v, max, e);
        PAIRS put(y + i + j * VECTOR, e[j]);
    }
    VECTORS last[k] = vector_of(0);
    LAST_VECTORS(whole, n)
    {
        const size_t i = whole + (size_t)k * VECTOR;
        const vector v = (vector)((integers)vector_first(x + i, n - i, 0) ^ flip);
        exp_shifted(1, &v, max, last + k);
        last[k] = kept(first_lanes(n - i), last[k]);
    }
}

#if CACT_REAL == 64
INLINE double origin_of_exps(size_t n) { return origin_above((double)(n + LANES) * 0x1p511); }
#endif

/* 1/sum */
INLINE num reciprocal_of_sum(size_t n, const real *y, const vector *last)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
#if CACT_REAL == 32
    wide s[LANES / WIDE];
    EACH s[k] = (wide){0};
    for (size_t i = 0; i < whole; i += LANES)
        VECTORS add_vector(s + 2 * k, vector_at(y + i + k * VECTOR));
    LAST_VECTORS(whole, n)
    add_vector(s + 2 * k, last[k]);
    return 1 / wide_total(s);
#else
    const real origin = origin_of_exps(n);
    split_sums s = sums_from(origin);
    for (size_t i = 0; i < whole; i += LANES)
        VECTORS add_split(&s, k, vector_at(y + i + k * VECTOR));
    LAST_VECTORS(whole, n)
    add_split(&s, k, last[k]);
    return reciprocal(split_total(&s, origin));
#endif
}

/* Returns whether it could. */
INLINE int softmax_in_vectors(size_t n, const real *x, const int negated, real *y)
{
    const integers flip = (integers){0} + (negated ? SIGN_BIT : 0);
    const size_t whole = n & ~(size_t)(LANES - 1);
    const real max = greatest(n, x, flip);
    if (!IN_REACH(max))
        return 0;
    vector last[LANES / VECTOR];
    put_exp_shifted(n, x, flip, max, y, last);
    const num r = reciprocal_of_sum(n, y, last);
    const real hi = (real)rounded(r), lo = (real)rounded(add(r, exact(-hi)));
    if (hi != hi) {
        all_nan(n, y);
        return 1;
    }
    for (size_t i = 0; i < whole; i += VECTOR) {
        const vector e = vector_at(y + i);
        put(y + i, vector_fma(e, vector_of(hi), e * lo));
    }
    LAST_VECTORS(whole, n)
    put_first(y + whole + k * VECTOR, n - whole - (size_t)k * VECTOR,
              vector_fma(last[k], vector_of(hi), last[k] * lo));
    return 1;
}

/* ------------------------------------------------------------------ backward of softmax
 * dx = y (dy - d), d the sum of dy y. */
typedef struct {
    double hi, lo; /* d */
    double size;   /* the sum of all |dy y|, about */
} vector_dot;

#if CACT_REAL == 32
/* The products in doubles, what their rounding lost in floats: off by less than 2^-41 of the size. */
INLINE void dot_block(wide *sum, vector *lost, vector *size, int k, vector a, vector b)
{
    const vector p = a * b;
    lost[k] += vector_fma(a, b, -p);
    size[k] += vector_size(p);
    add_vector(sum + 2 * k, p);
}

INLINE vector_dot dot_in_vectors(size_t n, const float *a, const float *b)
{
    wide s[LANES / WIDE];
    vector size[LANES / VECTOR];
    EACH s[k] = (wide){0};
    VECTORS size[k] = vector_of(0);
    for (size_t start = 0; start < n; start += PART) {
        wide sum[LANES / WIDE];
        vector lost[LANES / VECTOR];
        EACH sum[k] = (wide){0};
        VECTORS lost[k] = vector_of(0);
        const size_t end = n - start < PART ? n : start + PART, whole = end & ~(size_t)(LANES - 1);
        for (size_t i = start; i < whole; i += LANES)
            VECTORS dot_block(sum, lost, size, k, vector_at(a + i + k * VECTOR), vector_at(b + i + k * VECTOR));
        LAST_VECTORS(whole, end) {
            const size_t i = whole + (size_t)k * VECTOR;
            dot_block(sum, lost, size, k, vector_first(a + i, n - i, 0), vector_first(b + i, n - i, 0));
        }
        VECTORS add_vector(sum + 2 * k, lost[k]);
        EACH s[k] += sum[k];
    }
    return (vector_dot){wide_total(s), 0, n <= LONGEST ? folded(size) : INFINITY};
}

#define DOT_IN_REACH(d) ((d).size > 0x1p-70 && (d).size < 0x1p100) /* no product is subnormal, to speak of */
#define NEAR_IN_VECTORS 0x1p-18 /* of the size */
#else
#define PART 1024

INLINE vector_dot dot_in_vectors(size_t n, const double *a, const double *b)
{
    fine d = {0, 0};
    double total_size = 0;
    for (size_t start = 0; start < n; start += PART) {
        const size_t end = n - start < PART ? n : start + PART, whole = end & ~(size_t)(LANES - 1);
        vector sizes[LANES / VECTOR], last_a[LANES / VECTOR], last_b[LANES / VECTOR];
        VECTORS sizes[k] = last_a[k] = last_b[k] = vector_of(0);
        for (size_t i = start; i < whole; i += LANES)
            VECTORS sizes[k] += vector_size(vector_at(a + i + k * VECTOR) * vector_at(b + i + k * VECTOR));
        LAST_VECTORS(whole, end) {
            const size_t i = whole + (size_t)k * VECTOR;
            last_a[k] = vector_first(a + i, n - i, 0), last_b[k] = vector_first(b + i, n - i, 0);
            sizes[k] += vector_size(last_a[k] * last_b[k]);
        }
        const double size = folded(sizes), origin = origin_above(size);
        split_sums s = sums_from(origin);
        for (size_t i = start; i < whole; i += LANES)
            VECTORS add_split_product(&s, k, vector_at(a + i + k * VECTOR), vector_at(b + i + k * VECTOR));
        LAST_VECTORS(whole, end)
            add_split_product(&s, k, last_a[k], last_b[k]);
        const fine part = split_total(&s, origin);
        d = start ? fine_add(d, part) : part;
        total_size += size;
    }
    return (vector_dot){d.hi, d.lo, total_size};
}

#define DOT_IN_REACH(d) ((d).size > 0x1p-900 && (d).size < 0x1p900)
#define NEAR_IN_VECTORS 0x1p-40
#endif

/* The least |dy - hi| */
static __attribute__((noinline)) real nearest(size_t n, const real *dy, real hi)
{
    vector least = vector_of((real)INFINITY);
    for (size_t i = 0; i < n; i += VECTOR)
        least = vector_at_most(vector_size(vector_first(dy + i, n - i, (real)INFINITY) - hi), least);
    real r = least[0];
    for (int j = 1; j < VECTOR; j++)
        r = least[j] < r ? least[j] : r;
    return r;
}

/* dx, of sign y; the least |dy - hi| is returned. */
INLINE real times_difference_in_vectors(size_t n, const real *dy, const real *y, integers flip, real hi, real lo,
                                        real *dx)
{
    vector least = vector_of((real)INFINITY);
    const size_t whole = n & ~(size_t)(VECTOR - 1);
    for (size_t i = 0; i < whole; i += VECTOR) {
        const vector t = vector_at(dy + i) - hi, v = (vector)((integers)vector_at(y + i) ^ flip);
        put(dx + i, vector_fma(v, t, -(v * lo)));
        least = vector_at_most(vector_size(t), least);
    }
    if (whole < n) {
        const vector t = vector_first(dy + whole, n - whole, (real)INFINITY) - hi;
        const vector v = (vector)((integers)vector_first(y + whole, n - whole, 0) ^ flip);
        put_first(dx + whole, n - whole, vector_fma(v, t, -(v * lo)));
        least = vector_at_most(vector_size(t), least);
    }
#if VECTOR > 8
    least = vector_at_most(least, swapped(least, 8));
#endif
#if VECTOR > 4
    least = vector_at_most(least, swapped(least, 4));
#endif
#if VECTOR > 2
    least = vector_at_most(least, swapped(least, 2));
#endif
    return least[0] < least[1] ? least[0] : least[1];
}

/* ------------------------------------------------------------------ log_softmax */
#define CHUNK 256 /* elements worked on at a time, in a buffer on the stack */

/* log(1 + t), 0 <= t < 2^60: with 1 + t = 2^k (1 + f) it is k log 2 + log(1 + f), both positive. */
INLINE num log1p_far(num t)
{
    const int k = (int)(to_bits(1 + rounded(t)) >> 52) - 1023;
    const double s = pow2(ROUNDER - k);
    return add(times(pair(LN2_HI, LN2_LO), k), log1p_(add(scale(t, s), exact(s - 1))));
}

/* The sum of e^(x - max) over the x below max, and how many are max: apart, because next to 1 the others would lose
 * their digits. */
INLINE num others_in_vectors(size_t n, const real *x, real max, double *maxima)
{
    integers count[PAIR];
    vector lows[LANES / VECTOR];
    PAIRS count[j] = (integers){0};
    VECTORS lows[k] = vector_of(0);
#if CACT_REAL == 32
    wide s[LANES / WIDE];
    EACH s[k] = (wide){0};
#define ADD(a) add_vector(s + 2 * k, a)
#else
    const real origin = origin_of_exps(n);
    split_sums s = sums_from(origin);
#define ADD(a) add_split(&s, k, a)
#endif
    for (size_t start = 0; start < n; start += CHUNK) {
        real e[CHUNK], low[CHUNK];
        const size_t m = n - start < CHUNK ? n - start : CHUNK, whole = m & ~(size_t)(LANES - 1);
        for (size_t i = 0; i < whole; i += PAIR * VECTOR) {
            vector v[PAIR], a[PAIR], b[PAIR];
            integers equal[PAIR];
            PAIRS v[j] = vector_at(x + start + i + j * VECTOR);
            exp_two_shifted(PAIR, v, max, a, b, equal);
            PAIRS put(e + i + j * VECTOR, a[j]);
            PAIRS put(low + i + j * VECTOR, b[j]);
            PAIRS count[j] -= equal[j];
        }
        for (size_t i = 0; i < whole; i += LANES)
            VECTORS
            {
                ADD(vector_at(e + i + k * VECTOR));
                lows[k] += vector_at(low + i + k * VECTOR);
            }
        LAST_VECTORS(whole, m)
        {
            const size_t i = whole + (size_t)k * VECTOR;
            const vector v = vector_first(x + start + i, m - i, (real)-INFINITY);
            vector a, b;
            integers equal;
            exp_two_shifted(1, &v, max, &a, &b, &equal);
            ADD(a);
            lows[k] += b;
            count[0] -= equal;
        }
    }
#undef ADD
    PAIRS count[0] += j ? count[j] : (integers){0};
    integer all_equal = 0;
    for (int j = 0; j < VECTOR; j++)
        all_equal += count[0][j];
    *maxima = (double)all_equal;
#if CACT_REAL == 32
    return (wide_total(s) + folded(lows)) * 0x1p-64;
#else
    return scale(fine_plus(split_total(&s, origin), folded(lows)), 0x1p-512);
#endif
}

INLINE int log_softmax_in_vectors(size_t n, const real *x, real *y)
{
    const real max = greatest(n, x, (integers){0});
    if (!IN_REACH(max))
        return 0;
    double maxima;
    const num rest = others_in_vectors(n, x, max, &maxima);
    const real log_sum = (real)rounded(log1p_far(add(exact(maxima - 1), rest)));
    if (log_sum != log_sum) {
        all_nan(n, y);
        return 1;
    }
    const size_t whole = n & ~(size_t)(LANES - 1);
    for (size_t i = 0; i < whole; i += VECTOR) /* of one sign: of three roundings none is of more than the result */
        put(y + i, (vector_at(x + i) - max) - log_sum);
    LAST_VECTORS(whole, n)
    {
        const size_t i = whole + (size_t)k * VECTOR;
        put_first(y + i, n - i, (vector_first(x + i, n - i, 0) - max) - log_sum);
    }
    return 1;
}

/* The sum of a row, off by 2^-48 of its size or in two words, and the size, the sum of all |a|, about */
INLINE fine sum_in_vectors(size_t n, const real *a, double *size)
{
    fine total = {0, 0};
    *size = 0;
    for (size_t start = 0; start < n; start += PART) {
        const size_t end = n - start < PART ? n : start + PART, whole = end & ~(size_t)(LANES - 1);
        vector sizes[LANES / VECTOR], last[LANES / VECTOR];
        VECTORS sizes[k] = last[k] = vector_of(0);
#if CACT_REAL == 32
        wide s[LANES / WIDE];
        EACH s[k] = (wide){0};
#define ADD(a) add_vector(s + 2 * k, a)
#else
        for (size_t i = start; i < whole; i += LANES)
            VECTORS sizes[k] += vector_size(vector_at(a + i + k * VECTOR));
#define ADD(a) add_split(&s, k, a)
#endif
        LAST_VECTORS(whole, end)
        {
            const size_t i = whole + (size_t)k * VECTOR;
            last[k] = vector_first(a + i, n - i, 0);
            sizes[k] += vector_size(last[k]);
        }
#if CACT_REAL == 64
        const double part_size = folded(sizes), origin = origin_above(part_size);
        split_sums s = sums_from(origin);
#endif
        for (size_t i = start; i < whole; i += LANES)
            VECTORS
            {
                const vector v = vector_at(a + i + k * VECTOR);
#if CACT_REAL == 32
                sizes[k] += vector_size(v);
#endif
                ADD(v);
            }
        LAST_VECTORS(whole, end)
        ADD(last[k]);
#undef ADD
#if CACT_REAL == 32
        const fine part = {wide_total(s), 0};
        *size += (double)folded(sizes);
#else
        const fine part = split_total(&s, origin);
        *size += part_size;
#endif
        total = start ? fine_add(total, part) : part;
    }
    return total;
}
