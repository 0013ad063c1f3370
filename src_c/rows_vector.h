/* rows_vector.h - rows in vectors of their own type, where that is exact enough; rows.h has what is left over.
 *
 * Which of the two computes a row depends on its numbers alone, never on where they lie: in place or not, the bits
 * are the same. */

/* Asks for what lies 4 KB on, the next rows: as the passes over these are short, the processor would wait for them.
 * (softmax of rows of 128 floats, 1 M and 16 M elements, Sapphire Rapids: 0.51 and 0.90 ns, with this 0.40 and 0.74.) */
INLINE void fetch_next(const real *x) { __builtin_prefetch((const char *)x + 4096); }

/* The maximum of sign x, in all lanes: exact, so its order is free.  A NaN may win or not, it makes the sum NaN either
 * way. */
INLINE vector greatest(size_t n, const real *x, integers flip)
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
    return vector_at_least(t[0], swapped(t[0], 1));
}

/* ------------------------------------------------------------------ softmax
 * e^x 2^(UP - K) of vectors, K whole and near max/log 2, so that no difference to max is to be rounded; none is
 * subnormal down to max - BELOW, where the result is 0, beside any number of others. */
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

typedef struct {
    vector max, k, least, rounder; /* k: K; least: max - BELOW; rounder: VECTOR_ROUNDER + UP - K */
} exp_range;

INLINE exp_range range_below(vector max)
{
    const vector k = vector_fma(max, vector_of((real)LOG2E), vector_of(VECTOR_ROUNDER)) - VECTOR_ROUNDER;
    return (exp_range){max, k, max - BELOW, VECTOR_ROUNDER + UP - k};
}

/* Of m vectors: (1 + p) 2^k, k the last bits of t; p = r + r^2 Q(r).  Two vectors step by step in turn: of one the
 * steps wait for each other. */
INLINE void exp_minus_1_shifted(const int m, const vector *x, exp_range range, vector *t, vector *p)
{
    vector r[PAIR], s[PAIR], q[PAIR];
    ALL r[j] = vector_at_least(x[j], range.least);
    ALL t[j] = vector_fma(r[j], vector_of((real)LOG2E), range.rounder);
    ALL s[j] = t[j] - range.rounder;
#if CACT_REAL == 32 /* tools/pieces.py exp, 2^-28.3 */
    ALL q[j] = vector_fma(s[j], vector_of(-0x1.62e43p-1f), r[j]); /* exact */
    ALL r[j] = vector_fma(s[j], vector_of(0x1.05c61p-29f), q[j]);
    ALL s[j] = r[j] * r[j];
    ALL q[j] = vector_fma(r[j], vector_of(0x1.6a5198p-10f), vector_of(0x1.12397cp-7f));
    ALL q[j] = vector_fma(q[j], r[j], vector_of(0x1.5558acp-5f));
    ALL q[j] = vector_fma(q[j], r[j], vector_of(0x1.555492p-3f));
    ALL q[j] = vector_fma(q[j], r[j], vector_of(0x1.fffffcp-2f));
#else /* tools/exp_rows.py, 2^-57.8 */
    vector odd[PAIR];
    ALL q[j] = vector_fma(s[j], vector_of(-LN2_HI), r[j]); /* exact */
    ALL r[j] = vector_fma(s[j], vector_of(-LN2_LO), q[j]);
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

/* To 1 ULP */
INLINE void exp_shifted(const int m, const vector *x, exp_range range, vector *e)
{
    vector t[PAIR], p[PAIR];
    exp_minus_1_shifted(m, x, range, t, p);
    ALL p[j] = 1 + p[j];
    ALL e[j] = (vector)((integers)p[j] + ((integers)t[j] << MANTISSA));
}

/* In two words, to 0.5 ULP of one; where x is max 0, and counted */
INLINE void exp_two_shifted(const int m, const vector *x, exp_range range, vector *e, vector *low, integers *count)
{
    vector t[PAIR], p[PAIR];
    exp_minus_1_shifted(m, x, range, t, p);
    ALL count[j] += (integers)kept(IS_SAME(x[j], range.max), (vector)((integers){0} + 1));
    ALL t[j] = (vector)(((integers)t[j] << MANTISSA) + (integers)vector_of(1));
    ALL t[j] = kept(IS_OTHER(x[j], range.max), t[j]);
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

/* Sums of e^x 2^(UP - K), in parts of EXPS, of which a lane adds up less than half the power of 2 in ORIGIN.  What that
 * leaves is below 2^-24 (2^-53) of it, and added up plainly: off by less than 2^-35 (2^-80) of the greatest e^x in a part,
 * and, where all the others are as small as that, by 1 ULP of their sum in floats. */
#if CACT_REAL == 32
#define EXPS 128
#define ORIGIN 0x1.8p69f
typedef struct {
    split_sums part;
    wide sum[LANES / WIDE];
} exp_sums;
INLINE exp_sums no_exps(void) { return (exp_sums){sums_from(ORIGIN), {{0}}}; }

INLINE void end_part(exp_sums *s)
{
    VECTORS add_vector(s->sum + 2 * k, s->part.sum[k] - ORIGIN), add_vector(s->sum + 2 * k, s->part.rest[k]);
    s->part = sums_from(ORIGIN);
}

INLINE num exps_total(exp_sums *s) { return end_part(s), wide_total(s->sum); }
#else
#define EXPS 1024
#define ORIGIN 0x1.8p520
typedef struct {
    split_sums part;
    fine sum;
} exp_sums;
INLINE exp_sums no_exps(void) { return (exp_sums){sums_from(ORIGIN), {0, 0}}; }

INLINE void end_part(exp_sums *s)
{
    s->sum = fine_add(s->sum, split_total(&s->part, ORIGIN));
    s->part = sums_from(ORIGIN);
}

INLINE num exps_total(exp_sums *s) { return end_part(s), s->sum; }
#endif

/* Rows of softmax on their way: the maxima, what is in no whole block, the sums and 1/sum */
typedef struct {
    vector max[CACT_ROWS], last[CACT_ROWS][LANES / VECTOR];
    num sum[CACT_ROWS];
    real hi[CACT_ROWS], lo[CACT_ROWS];
} shares;

INLINE integers flip_of(int negated) { return (integers){0} + (negated ? SIGN_BIT : 0); }

/* y = e^x 2^(UP - K) of row r, of the last block in `last`, 0 for padding */
INLINE void put_exps(size_t n, const real *x, integers flip, real *y, shares *s, size_t r)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    const exp_range range = range_below(s->max[r]);
    exp_sums sums = no_exps();
    for (size_t i = 0; i < whole;) {
        if (i)
            end_part(&sums);
        for (const size_t end = whole - i < EXPS ? whole : i + EXPS; i < end; i += LANES)
            UNROLLED for (int k = 0; k < LANES / VECTOR; k += PAIR)
            {
                vector v[PAIR], e[PAIR];
                PAIRS fetch_next(x + i + (k + j) * VECTOR);
                PAIRS v[j] = (vector)((integers)vector_at(x + i + (k + j) * VECTOR) ^ flip);
                exp_shifted(PAIR, v, range, e);
                PAIRS put(y + i + (k + j) * VECTOR, e[j]);
                PAIRS add_split(&sums.part, k + j, e[j]);
            }
    }
    LAST_VECTORS(whole, n)
    {
        const size_t i = whole + (size_t)k * VECTOR;
        const vector v = (vector)((integers)vector_first(x + i, n - i, 0) ^ flip);
        vector e;
        exp_shifted(1, &v, range, &e);
        s->last[r][k] = kept(first_lanes(n - i), e);
        add_split(&sums.part, k, s->last[r][k]);
    }
    s->sum[r] = exps_total(&sums);
}

static __attribute__((noinline)) void take_reciprocals(size_t rows, shares *s)
{
    IVDEP for (size_t r = 0; r < rows; r++)
    {
        const num a = reciprocal(s->sum[r]);
        s->hi[r] = (real)rounded(a), s->lo[r] = (real)rounded(add(a, exact(-s->hi[r])));
    }
}

INLINE void times_reciprocal(size_t n, const shares *s, size_t r, real *y)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    const real hi = s->hi[r], lo = s->lo[r];
    if (hi != hi) {
        all_nan(n, y);
        return;
    }
    for (size_t i = 0; i < whole; i += VECTOR) {
        const vector e = vector_at(y + i);
        put(y + i, vector_fma(e, vector_of(hi), e * lo));
    }
    LAST_VECTORS(whole, n)
    put_first(y + whole + k * VECTOR, n - whole - (size_t)k * VECTOR,
              vector_fma(s->last[r][k], vector_of(hi), s->last[r][k] * lo));
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
        fetch_next(dy + i), fetch_next(y + i);
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
/* log(1 + t), 0 <= t < 2^60: with 1 + t = 2^k (1 + f) it is k log 2 + log(1 + f), both positive. */
INLINE num log1p_far(num t)
{
    const uint64_t exponent = to_bits(1 + rounded(t)) & to_bits(INFINITY);
    const double k = from_bits(to_bits(0x1p52) | exponent >> 52) - (0x1p52 + 1023);
    const double s = from_bits(to_bits(0x1p1023) - exponent); /* 2^-k */
    return add(times(pair(LN2_HI, LN2_LO), k), log1p_(add(scale(t, s), exact(s - 1))));
}

/* Of rows: the sum of e^x 2^(UP - K) over the x below max, and how many are max: apart, because next to 1 the others
 * would lose their digits. */
typedef struct {
    double max[CACT_ROWS], k[CACT_ROWS], maxima[CACT_ROWS];
    num others[CACT_ROWS];
} sums_apart;

#if CACT_REAL == 32
typedef struct {
    wide sum[LANES / WIDE];
} sums_of_others;
INLINE sums_of_others no_others(void) { return (sums_of_others){{{0}}}; }
INLINE void add_others(sums_of_others *s, int k, vector e) { add_vector(s->sum + 2 * k, e); }
INLINE void end_others(sums_of_others *s) { (void)s; }
INLINE num others_total(sums_of_others *s, real lows) { return wide_total(s->sum) + lows; }
#define ENOUGH_OTHERS(sum, n) 1
#else
typedef exp_sums sums_of_others;
#define no_others no_exps
INLINE void add_others(sums_of_others *s, int k, vector e) { add_split(&s->part, k, e); }
#define end_others end_part
INLINE num others_total(sums_of_others *s, real lows) { return fine_plus(exps_total(s), lows); }
/* Of smaller ones what the sums leave matters too much: a part may be off by 2^429. */
#define ENOUGH_OTHERS(sum, n) ((sum).hi == 0 || (sum).hi > 0x1p483 * (1 + (double)(n) / EXPS))
#endif

/* Returns whether it is exact enough. */
INLINE int sum_apart(size_t n, const real *x, exp_range range, sums_apart *sums, size_t row)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    integers count[LANES / VECTOR];
    vector lows[LANES / VECTOR];
    VECTORS count[k] = (integers){0}, lows[k] = vector_of(0);
    sums_of_others s = no_others();
    for (size_t i = 0; i < whole;) {
        if (i)
            end_others(&s);
        for (const size_t end = whole - i < EXPS ? whole : i + EXPS; i < end; i += LANES)
            UNROLLED for (int k = 0; k < LANES / VECTOR; k += PAIR)
            {
                vector v[PAIR], e[PAIR], low[PAIR];
                PAIRS fetch_next(x + i + (k + j) * VECTOR);
                PAIRS v[j] = vector_at(x + i + (k + j) * VECTOR);
                exp_two_shifted(PAIR, v, range, e, low, count + k);
                PAIRS add_others(&s, k + j, e[j]);
                PAIRS lows[k + j] += low[j];
            }
    }
    LAST_VECTORS(whole, n)
    {
        const size_t i = whole + (size_t)k * VECTOR;
        const vector v = vector_first(x + i, n - i, (real)-INFINITY);
        vector e, low;
        exp_two_shifted(1, &v, range, &e, &low, count + k);
        add_others(&s, k, e);
        lows[k] += low;
    }
    vector maxima[LANES / VECTOR]; /* rounded from 2^24 on, where their log does not tell */
    VECTORS maxima[k] = __builtin_convertvector(count[k], vector);
    sums->max[row] = range.max[0], sums->k[row] = range.k[0], sums->maxima[row] = folded(maxima);
    sums->others[row] = others_total(&s, folded(lows));
    return ENOUGH_OTHERS(sums->others[row], n);
}

/* log of the sum of e^(x - max) */
static __attribute__((noinline)) void logs_of_sums(size_t rows, sums_apart *sums, real *log_sum)
{
    IVDEP for (size_t r = 0; r < rows; r++)
    {
        const double k = sums->k[r];
        const num unit = exp_precise(sum(fma_(-k, LN2_HI, sums->max[r]), -k * LN2_LO)); /* e^max 2^-K */
        const num others = ratio(scale(sums->others[r], CACT_REAL == 32 ? 0x1p-64 : 0x1p-512), unit);
        log_sum[r] = (real)rounded(log1p_far(add(exact(sums->maxima[r] - 1), others)));
    }
}

INLINE void minus_log_in_vectors(size_t n, const real *x, real max, real log_sum, real *y)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    if (log_sum != log_sum) {
        all_nan(n, y);
        return;
    }
    for (size_t i = 0; i < whole; i += VECTOR) /* of one sign: of three roundings none is of more than the result */
        put(y + i, (vector_at(x + i) - max) - log_sum);
    LAST_VECTORS(whole, n)
    {
        const size_t i = whole + (size_t)k * VECTOR;
        put_first(y + i, n - i, (vector_first(x + i, n - i, 0) - max) - log_sum);
    }
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
