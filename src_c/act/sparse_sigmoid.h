/* sparse_sigmoid(x) = min(max((x + 1)/2, 0), 1);  f'(+-1) = 0
 * Measured in ULP, all float32: f 0.5 at 5.96046448e-08, f' 0;
 *    12 M float64: f 0.5 at 0.301460485, f' 0. */
#ifdef BODIES
ACTIVATION(sparse_sigmoid)
{
    const real y = x > -1 ? x < 1 ? x : 1 : -1;
    return (dual){.f = (y + 1) * (real)0.5, .df = x > -1 ? x < 1 ? (real)0.5 : 0 : 0};
}
FROM_OUTPUT(sparse_sigmoid) { return y > 0 ? y < 1 ? (real)0.5 : 0 : 0; }
#endif
ROW_Y(sparse_sigmoid, 0, LIGHT)
