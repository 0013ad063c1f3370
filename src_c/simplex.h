/* simplex.h - sparsemax and entmax15: rows that sum to 1 with zeros among them.
 *
 * Both are max(0, z - tau)^a, z = x - max or its half, a = 1 or 2, where one number tau in [-1, 0)
 * makes the sum 1.  Elements just above tau have the relative error of a difference, so tau, z
 * and the sums are hi + lo in float rows too; each step to tau is one pass over the row.
 *
 * Measured: 0.5 ULP in float32, in float64 0.5 (sparsemax) and 0.96 (entmax15); where an element is within BESIDE
 * of tau by exact sums. */

typedef int64_t flags __attribute__((vector_size(WIDE * sizeof(int64_t)))); /* 0 or -1: what compares wide */

INLINE int any(const flags *f)
{
    int64_t some = 0;
    for (int j = 0; j < WIDE; j++)
        some |= (*f)[j];
    return some != 0;
}

INLINE fine lanes_sum(const lanes *s)
{
    const fine t = lanes_total_fine(s);
    return fine_sum(t.hi, t.lo);
}

/* The maximum where the row has a result; NaN for NaN, +inf, or nothing but -inf. */
static __attribute__((noinline)) double finite_maximum(size_t n, const real *x, const real *last)
{
    const double max = maximum(n, x, last, 0);
    int nan = 0;
    for (size_t i = 0; i < n; i++)
        nan |= x[i] != x[i];
    return nan || !(abs_(max) <= DBL_MAX) ? NAN : max;
}

/* Nearer to tau an element loses bits that tau has not. */
#define BESIDE (sizeof(real) == 4 ? 0x1p-78 : 0x1p-45)

/* scale (x - max) - tau, hi + lo, for one vector */
INLINE void above(const real *x, double max, double scale_, fine tau, wide *hi, wide *lo)
{
    const wide a = wide_at(x), z = a - max, c = z - a;
    const wide z_lo = (a - (z - c)) + (-max - c); /* NaN for -inf */
    const wide zs = z * scale_, d = zs - tau.hi, e = d - zs;
    const wide d_lo = ((zs - (d - e)) + (-tau.hi - e)) + (z_lo * scale_ - tau.lo);
    *hi = d + d_lo;
    *lo = d_lo - (*hi - d);
}

INLINE wide where_wide(flags keep, wide a) { return (wide)((flags)a & keep); } /* else 0 */

INLINE double counted(const flags *count)
{
    int64_t n = 0;
    for (int j = 0; j < WIDE; j++)
        n += (*count)[j];
    return (double)n;
}

typedef struct {
    lanes sum, squares;
    flags count, beside, at; /* at: as far as tau is known */
} moments;

INLINE void add_block(moments *m, const real *x, double max, double scale_, fine tau, int squares)
{
    EACH
    {
        wide d, low;
        above(x + k * WIDE, max, scale_, tau, &d, &low);
        const flags keep = d > 0, at = d == 0;
        m->count -= keep;
        m->at |= at;
        m->beside |= (d < BESIDE) & (d > -BESIDE) & ~at;
        d = where_wide(keep, d), low = where_wide(keep, low);
        add_wide(&m->sum.hi[k], &m->sum.lo[k], d, low);
        if (squares) {
            wide p = d * d, rest;
            for (int j = 0; j < WIDE; j++)
                rest[j] = fma_(d[j], d[j], -p[j]);
            rest += 2 * d * low;
            add_wide(&m->squares.hi[k], &m->squares.lo[k], p, rest);
        }
    }
}

/* Where tau is -1, as in a row of one 1 and zeros, what is at it is known to be. */
INLINE int needs_closely(const moments *m, fine tau)
{
    return any(&m->beside) || ((tau.hi != -1 || tau.lo != 0) && any(&m->at));
}

/* Sums of d = max(0, scale (x - max) - tau) and of its squares, and how many are above 0, roughly */
typedef struct {
    double sum, squares, count;
} rough;

INLINE void rough_block(wide *sum, wide *squares, flags *count, const real *x, double max, double scale_, double tau)
{
    EACH
    {
        const wide d = (wide_at(x + k * WIDE) - max) * scale_ - tau, kept = where_wide(d > 0, d);
        *count -= d > 0;
        sum[k] += kept;
        squares[k] += kept * kept;
    }
}

INLINE rough rough_moments(size_t n, const real *x, const real *last, double max, double scale_, double tau)
{
    wide sum[LANES / WIDE] = {0}, squares[LANES / WIDE] = {0};
    flags count = {0};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        rough_block(sum, squares, &count, x + i, max, scale_, tau);
    if (n % LANES)
        rough_block(sum, squares, &count, last, max, scale_, tau);
    return (rough){lanes_about(sum), lanes_about(squares), counted(&count)};
}

/* y = max(0, d)^power, d = scale (x - max) - tau */
INLINE void above_block(const real *x, double max, double scale_, fine tau, int power, real *y)
{
    EACH
    {
        wide d, low;
        above(x + k * WIDE, max, scale_, tau, &d, &low);
        const flags keep = d > 0;
        d = where_wide(keep, d), low = where_wide(keep, low);
        if (power == 2)
            d = d * d + 2 * d * low;
        put_wide(d, y + k * WIDE);
    }
}

/* scale (x - max) - tau, given -tau */
static __attribute__((noinline, cold)) exact_sum exactly_above(double x, double max, double scale_, exact_sum tau)
{
    const fine z = fine_sum(x, -max);
    exactly_add(&tau, z.hi * scale_);
    exactly_add(&tau, z.lo * scale_);
    return tau;
}

/* project() where elements are beside tau: first Newton's steps from exact sums, which also choose the
 * support anew, until the last is nothing to the element nearest to tau. */
static __attribute__((noinline, cold)) void project_closely(size_t n, const real *x, double max, double scale_,
                                                            fine tau, int power, real *y)
{
    exact_sum minus_tau = {1, {-tau.hi}};
    exactly_add(&minus_tau, -tau.lo);
    double least = 0, step = 1;
    for (int i = 0; i < 8 && abs_(step) > least * 0x1p-60; i++) {
        exact_sum excess = {1, {-1}};
        double slope = 0;
        least = 1;
        for (size_t j = 0; j < n; j++) {
            const exact_sum d = exactly_above(made_finite(x[j]), max, scale_, minus_tau);
            const double v = exactly(&d);
            least = abs_(v) < least ? abs_(v) : least;
            if (!(v > 0))
                continue;
            slope += power == 1 ? 1 : 2 * v;
            for (int k = 0; k < d.n; k++) {
                if (power == 1)
                    exactly_add(&excess, d.part[k]);
                for (int l = 0; l <= k && power == 2; l++)
                    exactly_add_product(&excess, d.part[k], l < k ? 2 * d.part[l] : d.part[l]);
            }
        }
        step = exactly(&excess) / slope;
        exactly_add(&minus_tau, -step);
    }
    for (size_t j = 0; j < n; j++) {
        exact_sum s = exactly_above(made_finite(x[j]), max, scale_, minus_tau);
        const double d = exactly(&s);
        exactly_add(&s, -d);
        y[j] = (real)(d > 0 ? power == 1 ? d : fma_(d, d, 2 * d * exactly(&s)) : 0);
    }
}

INLINE void project(size_t n, const real *x, const real *last, double max, double scale_, fine tau, int power,
                    int beside, real *y)
{
    if (beside) {
        project_closely(n, x, max, scale_, tau, power, y);
        return;
    }
    real block[LANES];
    for (size_t i = 0; i + LANES <= n; i += LANES)
        above_block(x + i, max, scale_, tau, power, y + i);
    if (n % LANES) {
        above_block(last, max, scale_, tau, power, block);
        put_last(block, n, y);
    }
}

/* ------------------------------------------------------------------ sparsemax */
static __attribute__((noinline)) moments first_moments(size_t n, const real *x, const real *last, double max,
                                                       fine tau)
{
    moments m = {0};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        add_block(&m, x + i, max, 1, tau, 0);
    if (n % LANES)
        add_block(&m, last, max, 1, tau, 0);
    return m;
}

/* tau is the mean of the support less 1/its size; from tau = -1 the mean of what lies above tau
 * is the next tau, until nothing drops out (Michelot 1986).  Few passes: one that drops less than a
 * quarter leaves a third of the gap between tau and the next that may drop.  The first are rough, and end below. */
static __attribute__((noinline)) double sparsemax_roughly(size_t n, const real *x, const real *last, double max)
{
    double tau = -1;
    for (double before = INFINITY;;) {
        const rough m = rough_moments(n, x, last, max, 1, tau);
        if (m.count >= before)
            return tau > -1 ? tau - 0x1p-30 : -1;
        before = m.count;
        tau += (m.sum - 1) / m.count;
    }
}

static void sparsemax_row(size_t n, const void *dy, const void *x_, void *y)
{
    const real *x = x_;
    real last[LANES];
    (void)dy;
    take_last(x, n, (real)-INFINITY, last);
    const double max = finite_maximum(n, x, last);
    if (max != max) {
        all_nan(n, y);
        return;
    }
    fine tau = {sparsemax_roughly(n, x, last, max), 0};
    moments m;
    for (double before = INFINITY;;) {
        m = first_moments(n, x, last, max, tau);
        const double size = counted(&m.count);
        if (size >= before)
            break;
        before = size;
        /* of the sum of the d = z - tau: tau + (sum d - 1)/size */
        const fine step = fine_ratio(fine_plus(lanes_sum(&m.sum), -1), (fine){size, 0});
        const fine t = fine_sum(tau.hi, step.hi);
        tau = fine_sum(t.hi, t.lo + (tau.lo + step.lo));
    }
    project(n, x, last, max, 1, tau, 1, needs_closely(&m, tau), y);
}

/* The number that dy is wherever y > 0 (dx is then 0); NaN where it is not one, or a row is not finite. */
INLINE double one_number(size_t n, const real *dy, const real *y)
{
    size_t first = 0;
    while (first < n && y[first] == 0)
        first++;
    for (size_t i = 0; i < n; i++) {
        const double a = dy[i], v = y[i];
        if (!(a - a == 0 && v - v == 0 && (v == 0 || (v > 0 && a == dy[first]))))
            return NAN;
    }
    return first < n ? dy[first] : NAN;
}

/* dx = dy - (mean of dy over the support {y > 0}) on the support, 0 elsewhere */
INLINE void support_block(lanes *s, wide *size, flags *count, const real *dy, const real *y)
{
    EACH
    {
        const flags keep = wide_at(y + k * WIDE) > 0;
        const wide a = where_wide(keep, wide_at(dy + k * WIDE));
        *count -= keep;
        if (sizeof(real) == 8)
            size[k] += wide_size(a);
        add_wide(&s->hi[k], &s->lo[k], a, NOTHING);
    }
}

static __attribute__((noinline)) row_mean mean_of_support(size_t n, const real *dy, const real *y,
                                                          const real *last_dy, const real *last_y)
{
    lanes s = {0};
    wide size[LANES / WIDE] = {0};
    flags count = {0};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        support_block(&s, size, &count, dy + i, y + i);
    if (n % LANES)
        support_block(&s, size, &count, last_dy, last_y);
    const double k = counted(&count);
    return (row_mean){fine_ratio(lanes_sum(&s), (fine){k, 0}), k == 1 ? -1 : NEAR(lanes_about(size) / k)}; /* of 1: exact */
}

/* Returns whether some dy is near to the mean. */
static __attribute__((noinline)) int minus_mean(size_t n, const real *dy, row_mean m, const real *y, real *dx)
{
    int64_t near = 0;
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const double a = dy[i], v = y[i];
        const fine d = fine_sum(a, -m.value.hi);
        const double r = d.hi + (d.lo - m.value.lo), none = a == a ? 0 : a;
        near |= abs_(d.hi) < m.near;
        dx[i] = one_nan(v == v ? v > 0 ? r : none : v);
    }
    return near != 0;
}

/* The same, (k dy - sum)/k from an exact sum. */
static __attribute__((noinline, cold)) void minus_mean_closely(size_t n, const real *dy, const real *y, real *dx)
{
    exact_sum minus = {0};
    double size = 0;
    for (size_t i = 0; i < n; i++)
        if (y[i] > 0) {
            exactly_add(&minus, -dy[i]);
            size++;
        }
    for (size_t i = 0; i < n; i++) {
        const double a = dy[i], v = y[i], none = a == a ? 0 : a;
        exact_sum s = minus;
        exactly_add_product(&s, a, size);
        const fine r = fine_ratio(exactly_two(s), (fine){size, 0});
        dx[i] = one_nan(v == v ? v > 0 ? r.hi : none : v);
    }
}

#if CACT_REAL == 32
#include "simplex_float.h"
#else
#include "simplex_double.h"
#endif

static int needs_exact_mean(size_t n, const real *dy, const real *y, row_mean mean)
{
    if (!any_near(n, dy, mean))
        return 0;
    const double number = one_number(n, dy, y);
    return number != number;
}

static void sparsemax_row_backward(size_t n, const void *dy_, const void *y_, void *dx)
{
    const real *dy = dy_, *y = y_;
    real last_dy[LANES], last_y[LANES];
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
#if CACT_REAL == 32
    if (sparsemax_backward_float(n, dy, y, last_dy, last_y, dx))
        return;
#endif
    const row_mean mean = mean_of_support(n, dy, y, last_dy, last_y);
    const int in_place = dx == dy || dx == y;
    if (in_place && needs_exact_mean(n, dy, y, mean)) {
        minus_mean_closely(n, dy, y, dx);
        return;
    }
    int near = minus_mean(n & ~(size_t)(LANES - 1), dy, mean, y, dx);
    if (n % LANES) {
        near |= minus_mean(LANES, last_dy, mean, last_y, last_dy);
        put_last(last_dy, n, dx);
    }
    if (near && !in_place && needs_exact_mean(n, dy, y, mean))
        minus_mean_closely(n, dy, y, dx);
}

/* ------------------------------------------------------------------ entmax15 */
static __attribute__((noinline)) moments second_moments(size_t n, const real *x, const real *last, double max,
                                                        fine tau)
{
    moments m = {0};
    for (size_t i = 0; i + LANES <= n; i += LANES)
        add_block(&m, x + i, max, 0.5, tau, 1);
    if (n % LANES)
        add_block(&m, last, max, 0.5, tau, 1);
    return m;
}

/* The sum of (z - tau)^2 over z > tau falls and is convex in tau, so Newton's steps to where it
 * is 1 come from tau = -1 without passing it.  Each leaves less than half of the way while the sum is
 * large, then the square of it: at most 14 steps measured, up to 10^5 elements, and never more than STEPS.
 * The first are rough, and may pass it by their rounding. */
#define STEPS 200

static __attribute__((noinline)) double entmax15_roughly(size_t n, const real *x, const real *last, double max)
{
    double tau = -1;
    for (int i = 0; i < STEPS; i++) {
        const rough m = rough_moments(n, x, last, max, 0.5, tau);
        const double step = (m.squares - 1) / (2 * m.sum);
        tau += step;
        if (!(step > 0x1p-26))
            break;
    }
    return tau;
}

static void entmax15_row(size_t n, const void *dy, const void *x_, void *y)
{
    const real *x = x_;
    real last[LANES];
    (void)dy;
    take_last(x, n, (real)-INFINITY, last);
    const double max = finite_maximum(n, x, last);
    if (max != max) {
        all_nan(n, y);
        return;
    }
    fine tau = {entmax15_roughly(n, x, last, max), 0};
    moments m;
    for (int i = 0; i < STEPS; i++) {
        m = second_moments(n, x, last, max, tau);
        const double step = fine_plus(lanes_sum(&m.squares), -1).hi / (2 * lanes_sum(&m.sum).hi);
        tau = fine_plus(tau, step);
        if (!(abs_(step) > 0x1p-100))
            break;
    }
    project(n, x, last, max, 0.5, tau, 2, needs_closely(&m, tau), y);
}

/* dx = s (dy - sum(dy s)/sum(s)), s = sqrt(y) as hi + lo */
INLINE fine root(double y)
{
    const double s = __builtin_sqrt(y), low = fma_(-s, s, y) / (2 * s);
    return (fine){s, y > 0 ? low : 0};
}

static __attribute__((noinline)) row_mean weighted_mean(size_t n, const real *dy, const real *y)
{
    lanes sums = {0}, weights = {0};
    double size[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        double s[LANES], s_low[LANES], p[LANES], p_low[LANES];
        real a[LANES], v[LANES];
        for (size_t j = 0; j < LANES; j++) {
            a[j] = i + j < n ? dy[i + j] : 0;
            v[j] = i + j < n ? y[i + j] : 0;
        }
        for (int j = 0; j < LANES; j++) {
            const fine r = root(v[j]);
            s[j] = r.hi, s_low[j] = r.lo;
            p[j] = r.hi * a[j];
            size[j] += abs_(p[j]);
            p_low[j] = fma_(r.hi, a[j], -p[j]) + r.lo * a[j];
        }
        lanes_add_wide(&weights, s, s_low);
        lanes_add_wide(&sums, p, p_low);
    }
    const fine all = lanes_sum(&weights);
    const double close = sizeof(real) == 4 ? 0x1p-75 : 0x1p-40; /* roots are not exact: in float rows ties are lost */
    return (row_mean){fine_ratio(lanes_sum(&sums), all), lanes_about(size) / all.hi * close};
}

static __attribute__((noinline)) int times_root(size_t n, const real *dy, row_mean m, const real *y, real *dx)
{
    const fine mean = m.value;
    int64_t near = 0;
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const fine s = root(y[i]), d = fine_sum(dy[i], -mean.hi);
        const double low = d.lo - mean.lo, hi = d.hi + low, rest = low - (hi - d.hi);
        near |= abs_(d.hi) < m.near;
        dx[i] = one_nan(fma_(s.hi, hi, fma_(s.hi, rest, s.lo * hi)));
    }
    return near != 0;
}

/* dx = s (dy sum(s) - sum(dy s))/sum(s) where dy is all but the mean; s in three parts, to 2^-150 */
static __attribute__((noinline, cold)) void times_root_closely(size_t n, const real *dy, const real *y, real *dx)
{
    exact_sum sums = {0}, minus = {0};
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            const fine s = root(y[i]);
            exact_sum rest = {1, {y[i]}};
            exactly_add_product(&rest, -s.hi, s.hi);
            exactly_add_product(&rest, -2 * s.hi, s.lo);
            exactly_add_product(&rest, -s.lo, s.lo);
            const double part[3] = {s.hi, s.lo, s.hi > 0 ? exactly(&rest) / (2 * s.hi) : 0};
            if (pass == 0) {
                for (int k = 0; k < 3; k++) {
                    exactly_add(&sums, part[k]);
                    exactly_add_product(&minus, -dy[i], part[k]);
                }
                continue;
            }
            exact_sum d = minus;
            for (int k = 0; k < sums.n; k++)
                exactly_add_product(&d, dy[i], sums.part[k]);
            const fine r = fine_mul(fine_ratio(exactly_two(d), exactly_two(sums)), s);
            dx[i] = (real)(r.hi + r.lo);
        }
}

static void entmax15_row_backward(size_t n, const void *dy_, const void *y_, void *dx)
{
    const real *dy = dy_, *y = y_;
    real last_dy[LANES], last_y[LANES];
    take_last(dy, n, 0, last_dy);
    take_last(y, n, 0, last_y);
    if (entmax15_backward_in_vectors(n, dy, y, last_dy, last_y, dx))
        return;
    const double number = one_number(n, dy, y);
    const int known = number == number, in_place = dx == dy || dx == y;
    const row_mean mean = known ? (row_mean){{number, 0}, -1} : weighted_mean(n, dy, y);
    if (in_place && !known && any_near(n, dy, mean)) {
        times_root_closely(n, dy, y, dx);
        return;
    }
    int near = times_root(n & ~(size_t)(LANES - 1), dy, mean, y, dx);
    if (n % LANES) {
        near |= times_root(LANES, last_dy, mean, last_y, last_dy);
        put_last(last_dy, n, dx);
    }
    if (near && !in_place && !known && any_near(n, dy, mean))
        times_root_closely(n, dy, y, dx);
}

ROW_BY_ROW(sparsemax_rows, sparsemax_row)
ROW_BY_ROW(sparsemax_rows_backward, sparsemax_row_backward)
ROW_BY_ROW(entmax15_rows, entmax15_row)
ROW_BY_ROW(entmax15_rows_backward, entmax15_row_backward)
