/* rows_log.h - log_softmax; float rows in float lanes where that is exact enough, as in rows_float.h. */

/* log(1 + t), 0 <= t < 2^60: with 1 + t = 2^k (1 + f) it is k log 2 + log(1 + f), both positive. */
INLINE num log1p_far(num t)
{
    const int k = (int)(to_bits(1 + rounded(t)) >> 52) - 1023;
    const double s = pow2(ROUNDER - k);
    return add(times(pair(LN2_HI, LN2_LO), k), log1p_(add(scale(t, s), exact(s - 1))));
}

#define UP (sizeof(real) == 4 ? 1 : 0x1p150) /* many subnormals may have a normal sum */

#define CHUNK 256 /* elements worked on at a time, in a buffer on the stack */

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
        for (size_t begin = 0; begin < m; begin += LANES) {
#if CACT_REAL == 64
            vector block[LANES / VECTOR];
            if (shifted_exp_block(part + begin, 1, max, block)) {
                VECTORS put(e + begin + k * VECTOR,
                            where(vector_at(part + begin + k * VECTOR) == max, vector_of(0), block[k] * UP));
                continue;
            }
#endif
            IVDEP for (size_t j = begin; j < begin + LANES; j++)
            {
                const double d = part[j] - max;
                const exponential t = exp_(pick(is_less(d, -FAR), exact(-FAR), sum(part[j], -max)));
                const double v = d < 0 && d >= -FAR ? rounded(t.value) * (t.tail * UP) : 0;
                e[j] = d == d ? v : d;
            }
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
    const double s = rounded(log_sum);
    IVDEP for (size_t i = 0; i < n; i++)
        y[i] = one_nan((x[i] - max) - s); /* of one sign: of three roundings none is of more than the result */
}

#if CACT_REAL == 32
/* The same in float lanes, each term to 0.55 ULP. */
static __attribute__((noinline)) double others_float(size_t n, const float *x, const float *last, float max,
                                                     double *maxima)
{
    const vector m = vector_of(max), least = vector_of(max - FLOAT_FAR);
    integers equal[LANES / VECTOR] = {0};
    lanes s = {0};
    for (size_t i = 0; i < n; i += LANES) {
        const float *block = i + LANES <= n ? x + i : last;
        VECTORS
        {
            const vector v = vector_at(block + k * VECTOR);
            vector low;
            const vector d = difference(vector_at_least(v, least), m, &low), p = exp_scaled(d, low);
            const integers is_max = v == m, none = is_max | (v < least);
            add_vector(s.hi + 2 * k, (vector)((integers)p & ~none));
            equal[k] -= is_max;
        }
    }
    int32_t each[LANES], count = 0;
    memcpy(each, equal, sizeof each);
    for (int j = 0; j < LANES; j++)
        count += each[j];
    *maxima = count;
    return lanes_total(&s) * 0x1p-64;
}

/* To 1.25 ULP: of three roundings none is of more than the result. */
static __attribute__((noinline)) void minus_log_float(size_t n, const float *x, float max, float log_sum, float *y)
{
    const int is_nan = log_sum != log_sum;
    for (size_t i = 0; i < n; i += VECTOR) {
        const vector v = is_nan ? vector_of(NAN) : (vector_at(x + i) - max) - log_sum;
        memcpy(y + i, &v, sizeof v);
    }
}
#endif

static void log_softmax_row(size_t n, const void *dy, const void *x_, void *y_)
{
    const real *x = x_;
    real *y = y_, last[LANES];
    double maxima;
    (void)dy;
    take_last(x, n, (real)-INFINITY, last);
    const double max = maximum(n, x, last, 0);
    const size_t whole = n & ~(size_t)(LANES - 1);
#if CACT_REAL == 32
    if (MAX_IN_FLOAT(max)) {
        const num rest = others_float(n, x, last, (float)max, &maxima);
        const float log_sum = (float)log1p_far(maxima - 1 + rest);
        minus_log_float(whole, x, (float)max, log_sum, y);
        if (n % LANES) {
            minus_log_float(LANES, last, (float)max, log_sum, last);
            put_last(last, n, y);
        }
        return;
    }
#endif
    const num rest = others(n, x, max, &maxima);
    const num log_sum = log1p_far(add(exact(maxima - 1), rest));
    minus_log(whole, x, max, log_sum, y);
    if (n % LANES) {
        minus_log(LANES, last, max, log_sum, last);
        put_last(last, n, y);
    }
}

/* dx = dy - e^y sum(dy).  Measured in float64: 1.5 ULP (of which 0.5 where the terms are not some times dx).  Where
 * |dx| < CLOSE |dy|, e^y is needed closer than the loop has it (2^-44, 2^-56), and computed again: rare, but what
 * is left of the class that a net is sure of.  Beside y = 0 from e^y - 1, so that nothing is lost of a dy that is its
 * sum; where else less than 2^-44 of the terms is left, as of dy = -softmax(x), in three words. */
#define CLOSE (sizeof(real) == 4 ? 0x1p-17 : 0x1p-3)
#define TINY 0x1p-200 /* e^y - 1 is y + y^2/2 */

typedef struct {
    size_t n;
    const real *dy, *last;
    lanes sums;
    fine sum;
    int words; /* of sums; 0 before they are taken */
} summed;

static __attribute__((noinline)) void need_words(summed *row, int words)
{
    if (row->words >= words)
        return;
    row->words = words;
    row->sums = words == 2 ? row_sums(row->n, row->dy, row->last, 2) : row_sums(row->n, row->dy, row->last, 3);
    row->sum = lanes_total_fine(&row->sums);
#if CACT_REAL == 64
    wide size[LANES / WIDE];
    EACH size[k] = wide_size(row->sums.hi[k]);
    if (abs_(row->sum.hi) < lanes_about(size) * 0x1p-40) {
        need_words(row, 3);
        const three t = lanes_three(&row->sums);
        row->sum = (fine){t.a, t.b};
    }
#endif
}

/* As minus_share_closely(), of which it is called; up: what keeps the numbers from being subnormal. */
static __attribute__((noinline, cold)) double minus_share_in_three(double dy, double up, summed *row, double y)
{
    need_words(row, 3);
    int k;
    const three s = lanes_three(&row->sums), minus = {-s.a, -s.b, -s.c}, a = {dy, 0, 0};
    const three m = expm1_three(y, &k), e = k ? three_add(m, (three){1, 0, 0}) : m;
    const three rest = three_scale(k ? a : three_add(a, minus), up);
    const double v = y * up, square = v * (y / 2), second = pow2(k - k / 2 + ROUNDER);
    const three high = abs_(y) < TINY ? three_of(v, square, square * (y / 3)) : three_scale(e, pow2(k / 2 + ROUNDER) * up);
    return three_add(rest, three_scale(three_mul(high, minus), second)).a;
}

static __attribute__((noinline, cold)) void minus_share_closely(size_t n, const real *dy, summed *row,
                                                                const real *y, real *dx)
{
    const fine s = row->sum, minus = {-s.hi, -s.lo};
    const double size = abs_(s.hi), lost = sizeof(real) == 4 ? 0x1p-70 : 0x1p-44;
    for (size_t i = 0; i < n; i++) {
        const double a = dy[i], v = y[i];
        if (!(abs_(dx[i]) < abs_(a) * CLOSE && abs_(v) < 1400))
            continue;
        int k;
        const fine m = expm1_twice(v, &k), e = k ? fine_one_plus(m) : m, difference = fine_plus(minus, a);
        const double left = k ? abs_(a) : abs_(difference.hi), up = left < 0x1p-400 && size < 0x1p500 ? 0x1p500 : 1;
        const double first = pow2(k / 2 + ROUNDER) * up, second = pow2(k - k / 2 + ROUNDER);
        const fine high = abs_(v) < TINY ? (fine){v * up, v * up * (v / 2)} : fine_scale(e, first);
        const fine share = fine_scale(fine_mul(high, s), second), rest = fine_scale(k ? (fine){a, 0} : difference, up);
        const fine d = fine_sum(rest.hi, -share.hi);
        const double r = d.hi + (d.lo + (rest.lo - share.lo)), terms = up * (k ? abs_(a) : rest.hi == 0 ? 0 : size);
        const int in_three = abs_(r) < terms * lost && terms > 0x1p-800 && size < 0x1p900;
        dx[i] = (real)((in_three ? minus_share_in_three(a, up, row, v) : r) / up);
    }
}

static __attribute__((noinline)) void minus_share(size_t n, const real *dy, summed *row, const real *y, real *dx)
{
    need_words(row, 2);
    const num s = abs_(row->sum.hi) <= DBL_MAX ? num_of(row->sum) : exact(row->sum.hi);
    int64_t close = 0;
    for (size_t begin = 0; begin < n; begin += LANES) {
#if CACT_REAL == 64
        if (minus_share_block(dy + begin, s, y + begin, dx + begin))
            continue;
#endif
        IVDEP for (size_t i = begin; i < begin + LANES; i++)
        {
            const double v = y[i], least = sizeof(real) == 4 ? -300 : -FARTHEST;
            const num z = exact(v > 300 ? 300 : v < least ? least : v);
#if CACT_REAL == 32
            const num share = exp_precise(z) * s;
            const double d = dy[i] - share;
#else
            const exponential e = exp_far(z);
            const num share = scale(scale(mul(e.value, s), e.tail), e.far_tail);
            const double big = e.value.hi * s.hi; /* of an infinite sum the low word is NaN */
            const double d = abs_(big) <= DBL_MAX ? rounded(sub(exact(dy[i]), share)) : dy[i] - big;
#endif
            dx[i] = one_nan(v == v ? d : v);
            close |= abs_(d) < abs_(dy[i]) * CLOSE;
        }
    }
    if (close)
        minus_share_closely(n, dy, row, y, dx);
}

#if CACT_REAL == 32
/* The same in float lanes, off by 1 ULP and 2^-34 of dy, but for blocks with |dx| < 2^-8 |dy|, a NaN, or y not
 * below 30. */
static __attribute__((noinline)) void minus_share_float(size_t n, const float *dy, double sum_dy, summed *row,
                                                        const float *y, float *dx)
{
    const double s = sum_dy * 0x1p-64;
    const vector hi = vector_of((float)s), lo = vector_of((float)(s - (float)s));
    for (size_t i = 0; i < n; i += LANES) {
        int enough = 1;
        VECTORS
        {
            const vector v = vector_at(y + i + k * VECTOR), a = vector_at(dy + i + k * VECTOR);
            vector e_lo;
            const vector e = exp_two(vector_at_least(v, vector_of(-130)), &e_lo), share = e * hi;
            const vector low = vector_fma(e, hi, -share) + vector_fma(e_lo, hi, e * lo), r = (a - share) - low;
            enough &= all((vector_size(r) >= vector_size(a) * 0x1p-8f) & (v < 30));
            memcpy(dx + i + k * VECTOR, &r, sizeof r);
        }
        if (!enough)
            minus_share(LANES, dy + i, row, y + i, dx + i);
    }
}
#endif

static void log_softmax_row_backward(size_t n, const void *dy_, const void *y_, void *dx_)
{
    const real *dy = dy_, *y = y_;
    real *dx = dx_, last_dy[LANES], last_y[LANES], part[CHUNK];
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
    summed row;
    row.n = n, row.dy = dy, row.last = last_dy, row.words = 0;
#if CACT_REAL == 32
    const quick_sum quick = quick_total(n, dy, last_dy);
    double sum = quick.sum;
    if (abs_(sum) < quick.size * 0x1p-10) { /* else it is right to 2^-34 */
        need_words(&row, 2);
        sum = row.sum.hi;
    }
    const int in_float = abs_(sum) > 0x1p-30 && abs_(sum) < 0x1p30;
#define MINUS_SHARE(n, dy, y, dx) \
    in_float ? minus_share_float(n, dy, sum, &row, y, dx) : minus_share(n, dy, &row, y, dx)
#else
#define MINUS_SHARE(n, dy, y, dx) minus_share(n, dy, &row, y, dx)
#endif
    const int in_place = dx == dy || dx == y;
    if (dx == dy) /* which is not to be read again */
        need_words(&row, 3);
    const size_t whole = n & ~(size_t)(LANES - 1);
    for (size_t i = 0; i < whole; i += CHUNK) {
        const size_t m = whole - i < CHUNK ? whole - i : CHUNK;
        MINUS_SHARE(m, dy + i, y + i, in_place ? part : dx + i);
        if (in_place)
            memcpy(dx + i, part, m * sizeof *part);
    }
    if (n % LANES) {
        MINUS_SHARE(LANES, last_dy, last_y, part);
        put_last(part, n, dx);
    }
}
