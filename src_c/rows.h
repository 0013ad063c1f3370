/* rows.h - functions of whole rows, with a fixed order of summation.
 *
 * Sums run in 16 lanes (element i in lane i mod 16), folded by halves at the end, on every
 * instruction set: the same bits everywhere.  Float rows are summed in double, double rows
 * in hi + lo, so that the error of a result does not grow with the row. */

#define LANES 16

typedef struct {
    double hi[LANES], lo[LANES];
} lanes;

INLINE void lane_add(lanes *s, int j, num a)
{
#if CACT_REAL == 32
    s->hi[j] += a;
#else
    num t = sum(s->hi[j], a.hi);
    s->hi[j] = t.hi;
    s->lo[j] += t.lo + a.lo;
#endif
}

INLINE num lane_total(const lanes *s)
{
    lanes t = *s;
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            lane_add(&t, j, pair(t.hi[j + half], t.lo[j + half]));
    return pair(t.hi[0], t.lo[0]);
}

/* e^{x - max}; the difference is exact.  -inf gives 0, NaN and inf - inf give NaN. */
INLINE double shifted_exp(double x, double max)
{
    num z = sum(x, -max);
    double d = x - max;
    int gone = d < -FAR;
    exponential e = exp_(pick(gone, exact(-FAR), z));
    return d != d ? d : rounded(e.value) * e.tail;
}

static void softmax_row(size_t n, const void *dy_, const void *x_, void *out_)
{
    const real *x = x_;
    real *y = out_, most[LANES];
    size_t whole = n & ~(size_t)(LANES - 1);
    (void)dy_;
    for (int j = 0; j < LANES; j++)
        most[j] = (real)-INFINITY;
    for (size_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            most[j] = x[i + j] > most[j] || x[i + j] != x[i + j] ? x[i + j] : most[j];
    for (size_t i = whole; i < n; i++)
        most[i - whole] = x[i] > most[i - whole] || x[i] != x[i] ? x[i] : most[i - whole];
    real max = most[0];
    for (int j = 1; j < LANES; j++)
        max = most[j] > max || most[j] != most[j] ? most[j] : max;

    lanes s = {{0}, {0}};
    real last[LANES];
    for (size_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++) {
            double e = shifted_exp(x[i + j], max);
            y[i + j] = (real)e;
            lane_add(&s, j, exact(e));
        }
    for (int j = 0; j < LANES; j++) {
        last[j] = whole + j < n ? x[whole + j] : (real)-INFINITY;
    }
    if (whole < n)
        for (int j = 0; j < LANES; j++) {
            double e = last[j] > -INFINITY || last[j] != last[j] || max == -INFINITY ? shifted_exp(last[j], max) : 0;
            last[j] = (real)e;
            lane_add(&s, j, exact(e));
        }
    num r = reciprocal(lane_total(&s));
    for (size_t i = 0; i < whole; i++)
        y[i] = (real)rounded(times(r, y[i]));
    for (size_t i = whole; i < n; i++)
        y[i] = (real)rounded(times(r, last[i - whole]));
}

/* dx = y (dy - sum of dy y) */
static void softmax_row_backward(size_t n, const void *dy_, const void *y_, void *out_)
{
    const real *dy = dy_, *y = y_;
    real *dx = out_;
    size_t whole = n & ~(size_t)(LANES - 1);
    lanes s = {{0}, {0}};
    for (size_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane_add(&s, j, product(dy[i + j], y[i + j]));
    for (size_t i = whole; i < n; i++)
        lane_add(&s, (int)(i - whole), product(dy[i], y[i]));
    num dot = lane_total(&s);
    _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)
        dx[i] = (real)rounded(times(sub(exact(dy[i]), dot), y[i]));
}
