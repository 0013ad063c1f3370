/* star_relu(x) = s max(x, 0)^2 + b;  f' = 2 s max(x, 0);  df/ds = max(x, 0)^2, df/db = 1
 * Yu et al. 2022, arXiv:2210.13452
 * In float32 the square is exact in double, and one fma rounds the rest.  In float64 s x x is two
 * doubles, and four that are added exactly beside the root sqrt(-b/s), where the first two cancel; where b is
 * large it is then a quarter of f that is computed, so that only f itself overflows.  0 times inf is 0.
 * Measured in ULP, all float32: f 0.5 at 200704000, f' 0.9984 at 5.91578185e-39;
 *    12 M float64: f 0.5 at 0.374055474, f' 0.5 at 1.11253693e-308. */
#ifdef BODIES
#if CACT_REAL == 32
static __attribute__((noinline)) vector star_relu_slope_rarely(const vector t, const parameters *k)
{
    vector df;
    for (int j = 0; j < VECTOR; j++)
        df[j] = t[j] != t[j] ? t[j] : proportional(t[j], 2 * k->p[0][j]);
    return df;
}

INLINE precise star_relu_half(vector t, const parameters *k, int upper)
{
    const precise y = precise_of(t, upper);
    return precise_fma(parameter_half(&k->p[0], upper), y * y, parameter_half(&k->p[1], upper));
}

PLAIN(star_relu)
{
    const vector y = positive(x), t = y + 0; /* + 0: of -0 */
    const parameter twice = 2 * k->p[0];
    return (floats){
        .f = rounded_to_floats(star_relu_half(y, k, 0), star_relu_half(y, k, 1)),
        .df = usual_slope(k->hi[0]) ? times_pair_of(t, &twice) : star_relu_slope_rarely(t, k),
        .dp = {t * t, vector_of(1)},
    };
}
#else
static __attribute__((noinline)) vector star_relu_closely(const vector x, const vector scale, const vector bias)
{
    vector r;
    for (int j = 0; j < VECTOR; j++) {
        const double s = scale[j], b = bias[j], t = x[j] > 0 ? x[j] : 0;
        const int large = abs_(b) > 1;
        const double y = (large ? 0.5 : 1) * t, c = (large ? 0.25 : 1) * b;
        const num sy = product(s, y), q = product(sy.hi, y), r_ = product(sy.lo, y);
        const num a = sum(q.hi, c), d = sum(a.hi, q.lo), e = sum(d.hi, r_.hi);
        const double plain = q.hi + c, whole = e.hi + (e.lo + (d.lo + (a.lo + r_.lo)));
        const double f = (abs_(plain) <= DBL_MAX ? whole : plain) * (large ? 4 : 1);
        r[j] = x[j] != x[j] ? x[j] : f == f ? f : b;
    }
    return r;
}

/* h = s x x is rounded to 2^-26 of b, so that h + b is exact unless |f| is far above |b|; far below it h lacks too
 * much. */
PLAIN(star_relu)
{
    const vector s = k->hi[0], b = k->hi[1], size_s = vector_size(s), size_b = vector_size(b);
    const int usual = all_below(-size_s, -0x1p-200) & all_below(size_s, 0x1p200) & all_below(size_b, 0x1p200) &
                      (all_below(-size_b, -0x1p-200) | all_below(size_b, DBL_TRUE_MIN));
    const vector least = 0x1p-20 * size_b;
    const vector greatest = select_where(IS_LESS(vector_of(0), b * b), 0x1p24 * size_b, vector_of(DBL_MAX));
    const vector most = usual ? greatest : vector_of(-1);
    const integers exponent = (integers)b & (integers)vector_of(INFINITY);
    const vector grid = (vector)(exponent | (integers)vector_of(0x1p-1023)) * 0x1p26;
    const vector b_hi = (b + grid) - grid, b_lo = b - b_hi;
    const vector y = positive(x), t = y + 0, p = s * y; /* + 0: of -0 */
    const vector h = vector_fma(p, y, grid) - grid, d = h + b_hi;
    const vector rest = vector_fma(p, y, -h) + vector_fma(vector_fma(s, y, -p), y, b_lo), f = d + rest;
    const vector size = vector_size(f);
    return (doubles){
        .f = all_of(IS_AT_MOST(least, size) & IS_AT_MOST(size, most)) ? f : star_relu_closely(x, s, b),
        .df = usual ? 2 * s * t : or_nan(kept(IS_LESS(vector_of(0), size_s), 2 * (s * t)), x),
        .dp = {t * t, vector_of(1)},
    };
}
#endif
#endif
ROW_PLAIN(star_relu, 2)
