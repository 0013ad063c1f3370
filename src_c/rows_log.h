/* rows_log.h - log_softmax, where it is not as in rows_vector.h; its backward. */

#define CHUNK 256 /* elements worked on at a time, in a buffer on the stack */
#define SCALED (sizeof(real) == 4 ? 1 : 0x1p150) /* many subnormals may have a normal sum */

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
            IVDEP for (size_t j = begin; j < begin + LANES; j++)
            {
                const double d = part[j] - max;
                const exponential t = exp_(pick(is_less(d, -FAR), exact(-FAR), sum(part[j], -max)));
                const double v = d < 0 && d >= -FAR ? rounded(t.value) * (t.tail * SCALED) : 0;
                e[j] = d == d ? v : d;
            }
        }
        for (size_t j = 0; j < m; j++)
            equal += (double)part[j] == max;
        for (size_t j = 0; j < m; j += LANES)
            lanes_add_wide(&s, e + j, 0);
    }
    *maxima = (double)equal;
    return scale(lanes_total(&s), 1 / SCALED);
}

static __attribute__((noinline)) void minus_log(size_t n, const real *x, double max, num log_sum, real *y)
{
    const double s = rounded(log_sum);
    IVDEP for (size_t i = 0; i < n; i++)
        y[i] = one_nan((x[i] - max) - s); /* of one sign: of three roundings none is of more than the result */
}

static void log_softmax_row(size_t n, const real *x, real *y)
{
    real last[LANES];
    double maxima;
    take_last(x, n, (real)-INFINITY, last);
    const double max = maximum(n, x, last, 0);
    const size_t whole = n & ~(size_t)(LANES - 1);
    const num rest = others(n, x, max, &maxima);
    const num log_sum = log1p_far(add(exact(maxima - 1), rest));
    minus_log(whole, x, max, log_sum, y);
    if (n % LANES) {
        minus_log(LANES, last, max, log_sum, last);
        put_last(last, n, y);
    }
}

static void log_softmax_rows(size_t rows, size_t n, const void *const *dy, const void *const *x, void *const *y)
{
    vector max[CACT_ROWS];
    sums_apart sums;
    int in_vectors[CACT_ROWS];
    real log_sum[CACT_ROWS];
    (void)dy;
    for (size_t r = 0; r < rows; r++)
        max[r] = greatest(n, x[r], (integers){0});
    for (size_t r = 0; r < rows; r++)
        if (IN_REACH(max[r][0]))
            in_vectors[r] = sum_apart(n, x[r], range_below(max[r]), &sums, r);
        else
            in_vectors[r] = 0, sums.max[r] = sums.k[r] = sums.maxima[r] = 0, sums.others[r] = exact(1);
    logs_of_sums(rows, &sums, log_sum);
    for (size_t r = 0; r < rows; r++)
        if (in_vectors[r])
            minus_log_in_vectors(n, x[r], max[r][0], log_sum[r], y[r]);
        else
            log_softmax_row(n, x[r], y[r]);
}

/* dx = dy - e^y sum(dy).  Measured in float64: 1.5 ULP (of which 0.5 where the terms are not some times dx).  Where
 * |dx| < CLOSE |dy|, e^y is needed closer than minus_share() has it (2^-44, 2^-56), and computed again: rare, but what
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
    two_reals share; /* the sum, for vectors */
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

/* The same in vectors, to 1 ULP, and for blocks of which that is not exact enough, as above. */
static __attribute__((noinline)) void minus_share_in_vectors(size_t n, const real *dy, summed *row, const real *y,
                                                             real *dx)
{
    const two_reals s = row->share;
    for (size_t i = 0; i < n; i += LANES) {
        lanes_mask enough = all_lanes();
        for (int k = 0; k < LANES; k += VECTOR)
            fetch_next(dy + i + k), fetch_next(y + i + k);
        for (int k = 0; k < LANES; k += PAIR * VECTOR)
            enough &= minus_share_pair(dy + i + k, s, y + i + k, dx + i + k);
        if (!all_of(enough))
            minus_share(LANES, dy + i, row, y + i, dx + i);
    }
}

static void log_softmax_row_backward(size_t n, const void *dy_, const void *y_, void *dx_)
{
    const real *dy = dy_, *y = y_;
    real *dx = dx_, last_dy[LANES], last_y[LANES], part[CHUNK];
    const size_t whole = n & ~(size_t)(LANES - 1);
    summed row;
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
    row.n = n, row.dy = dy, row.last = last_dy, row.words = 0;
    double size;
    row.sum = sum_in_vectors(n, dy, &size);
    const double about = abs_(row.sum.hi);
    const int in_vectors = about > LEAST_SUM && about < GREATEST_SUM;
    if (!(about > size * (sizeof(real) == 4 ? 0x1p-10 : 0x1p-40))) /* else it is right to 2^-34 or 2^-60 */
        need_words(&row, 2);
    row.share = two_reals_of(row.sum);
    const int in_place = dx == dy || dx == y;
    if (dx == dy) /* which is not to be read again */
        need_words(&row, 3);
    for (size_t i = 0; i < whole; i += CHUNK) {
        const size_t m = whole - i < CHUNK ? whole - i : CHUNK;
        (in_vectors ? minus_share_in_vectors : minus_share)(m, dy + i, &row, y + i, in_place ? part : dx + i);
        if (in_place)
            memcpy(dx + i, part, m * sizeof *part);
    }
    if (n % LANES) {
        (in_vectors ? minus_share_in_vectors : minus_share)(LANES, last_dy, &row, last_y, part);
        put_last(part, n, dx);
    }
}

ROW_BY_ROW(log_softmax_rows_backward, log_softmax_row_backward)
