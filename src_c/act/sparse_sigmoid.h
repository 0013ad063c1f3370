/* sparse_sigmoid(x) = min(max((x + 1)/2, 0), 1);  f'(+-1) = 0
 * Measured in ULP, all float32: f 0.5 at 5.96046448e-08, f' 0;
 *    12 M float64: f 0.5 at 0.301460485, f' 0. */
#ifdef BODIES
PLAIN(sparse_sigmoid)
{
    const vector one = vector_of(1), y = vector_at_most(vector_at_least(x, -one), one);
    return (floats){.f = (y + 1) * (real)0.5, .df = within_size(x, one, vector_of((real)0.5))};
}
FROM_OUTPUT(sparse_sigmoid) { return (real)0.5 * ((y > 0) & (y < 1)); }
#endif
ROW_Y_PLAIN(sparse_sigmoid, 0)
