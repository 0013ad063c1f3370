/* sparse_plus(x) = 0 below -1, (x + 1)^2/4 between, x above 1;  f' = (x + 1)/2
 * f is the integral of sparse_sigmoid.  x + 1 is a pair of reals, exact beside its root.
 * f'(-1) = 0, f'(1) = 1.
 * Measured in ULP, all float32: f 0.5 at 0.000424444006, f' 0.5 at 5.96046448e-08;
 *    12 M float64: f 0.5 at -0.999999972, f' 0.5 at 0.301460485. */
#ifdef BODIES
ACTIVATION(sparse_plus)
{
    const real y = x > -1 ? x < 1 ? x : 1 : -1;
    const real t = 1 + y, low = y - (t - 1), half = (real)0.5 * t;
#if CACT_REAL == 32
    const real f = __builtin_fmaf(half, half, half * low);
#else
    const real f = fma_(half, half, half * low);
#endif
    return (dual){.f = x < 1 ? f : x, .df = half};
}
#endif
ROW(sparse_plus, 0, LIGHT)
