/* star_relu(x) = s max(x, 0)^2 + b;  f' = 2 s max(x, 0);  df/ds = max(x, 0)^2, df/db = 1
 * Yu et al. 2022, arXiv:2210.13452
 * In float32 the square is exact in double, and one fma rounds the rest.  In float64 s x x is four
 * doubles that are added exactly, because at the root sqrt(-b/s) the first two cancel; where b is
 * large it is a quarter of f that is computed, so that only f itself overflows.  0 times inf is 0.
 * Measured in ULP, all float32: f 0.5 at 200704000, f' 0.5104 at 1.27348141e-38;
 *    12 M float64: f 0.5 at 0.374055474, f' 1 at 2.22507386e-308. */
#ifdef BODIES
ACTIVATION(star_relu)
{
    const double s = p[0], b = p[1];
    const real t = x > 0 ? x : 0, square = t * t;
#if CACT_REAL == 32
    const double f = fma_(s, (double)t * t, b);
    const real df = proportional(t, 2 * s);
#else
    const int large = abs_(b) > 1;
    const double y = (large ? 0.5 : 1) * t, c = (large ? 0.25 : 1) * b, df = 2 * (s * t);
    const num sy = product(s, y), q = product(sy.hi, y), r = product(sy.lo, y);
    const num a = sum(q.hi, c), d = sum(a.hi, q.lo), e = sum(d.hi, r.hi);
    const double plain = q.hi + c, whole = e.hi + (e.lo + (d.lo + (a.lo + r.lo)));
    const double f = (abs_(plain) <= DBL_MAX ? whole : plain) * (large ? 4 : 1);
#endif
    return (dual){.f = f == f ? f : b, .df = df == df ? df : 0, .dp = {square, 1}};
}
#endif
ROW(star_relu, 2, LIGHT)
