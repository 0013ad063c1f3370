/* sparse_plus(x) = 0 below -1, (x + 1)^2/4 between, x above 1;  f' = (x + 1)/2
 * f is the integral of sparse_sigmoid.  x + 1 is a pair of reals, exact beside its root.
 * f'(-1) = 0, f'(1) = 1.
 * Measured in ULP, all float32: f 0.5 at 0.000424444006, f' 0.5 at 5.96046448e-08;
 *    12 M float64: f 0.5 at -0.999999972, f' 0.5 at 0.301460485. */
#ifdef BODIES
PLAIN(sparse_plus)
{
    const vector one = vector_of(1), y = vector_at_most(vector_at_least(x, -one), one);
    const vector t = 1 + y, low = y - (t - 1), half = (real)0.5 * t;
    return (floats){
        .f = vector_at_least(x, vector_fma(half, half, half * low)), /* 1/4 (x + 1)^2 >= x */
        .df = half,
    };
}
#endif
ROW_PLAIN(sparse_plus, 0)
