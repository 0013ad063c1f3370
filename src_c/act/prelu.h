/* prelu(x) = x above 0, weight x elsewhere;  f'(0) = weight;  df/dweight = min(x, 0)
 * See proportional() for the product.  f(-0) is that of the slope and -0: 0 where it is negative.
 * Measured in ULP, all float32: f 0.5 at -2.80259693e-45, f' 0;
 *    12 M float64: f 0.5 at -1.70038673e-308, f' 0. */
#ifdef BODIES
PLAIN(prelu)
{
    return (floats){
        .f = sloped(x, &k->p[0], k->hi[0]),
        .df = slope_at(x, k->hi[0]),
        .dp = {vector_at_most(x, vector_of(0)) + 0}, /* + 0: of -0 */
    };
}
FROM_OUTPUT(prelu) { return y > 0 ? 1 : (real)p[0]; }
#endif
ROW_Y_PLAIN(prelu, 1)
