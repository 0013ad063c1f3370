/* sparse_plus(x) = 0 below -1, (x + 1)^2/4 between, x above 1;  f' = (x + 1)/2
 * f is the integral of sparse_sigmoid.  x + 1 is exact, also beside its root.  f'(-1) = 0, f'(1) = 1. */
#ifdef BODIES
ACTIVATION(sparse_plus)
{
    const real y = x > -1 ? x < 1 ? x : 1 : -1;
    const num t = sum(y, 1);
    return (dual){.f = x < 1 ? rounded_product(t, t) * 0.25 : (double)x, .df = (y + 1) * (real)0.5};
}
#endif
ROW(sparse_plus, 0, LIGHT)
