/* star_relu(x) = s max(x, 0)^2 + b;  f' = 2 s max(x, 0);  df/ds = max(x, 0)^2, df/db = 1
 * Yu et al. 2022, arXiv:2210.13452
 * In float32 the square is exact in double, and one fma rounds the rest.  In float64 s x x is two
 * doubles, and four that are added exactly beside the root sqrt(-b/s), where the first two cancel; where b is
 * large it is then a quarter of f that is computed, so that only f itself overflows.  0 times inf is 0.
 * Measured in ULP, all float32: f 0.5 at 200704000, f' 0.5104 at 1.27348141e-38;
 *    12 M float64: f 0.5 at 0.374055474, f' 1 at 2.22507386e-308. */
#ifdef BODIES
#if CACT_REAL == 32
ACTIVATION(star_relu)
{
    const double s = p[0], b = p[1];
    const real t = x > 0 ? x : 0, square = t * t, df = proportional(t, 2 * s);
    return (dual){.f = fma_(s, (double)t * t, b), .df = df == df ? df : 0, .dp = {square, 1}};
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

PLAIN(star_relu)
{
    const vector s = k->hi[0], b = k->hi[1], size_s = vector_size(s), size_b = vector_size(b);
    const vector t = positive(x) + 0, square = t * t, h = s * square; /* + 0: of -0 */
    const vector h_low = vector_fma(s, vector_fma(t, t, -square), vector_fma(s, square, -h));
    const two f = two_add((two){h, h_low}, only(b));
    const int usual = all_below(-size_s, -0x1p-200) && all_below(size_s, 0x1p200) && all_below(-size_b, -0x1p-200) &&
                      all_below(size_b, 0x1p200);
    return (doubles){
        .f = usual && all_below(vector_size(h) * 0x1p-20 - vector_size(f.hi), 0) ? f.hi + f.lo
                                                                                  : star_relu_closely(x, s, b),
        .df = or_nan(kept(IS_LESS(vector_of(0), size_s), 2 * (s * t)), x),
        .dp = {square, vector_of(1)},
    };
}
#endif
#endif
#if CACT_REAL == 32
ROW(star_relu, 2, LIGHT)
#else
ROW_PLAIN(star_relu, 2, LIGHT)
#endif
