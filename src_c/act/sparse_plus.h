/* sparse_plus(x) = 0 below -1, (x + 1)^2/4 between, x above 1;  f' = (x + 1)/2
 * f is the integral of sparse_sigmoid.  x + 1 is a pair of reals, exact beside its root.
 * f'(-1) = 0, f'(1) = 1. */
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
