/* leaky_relu(x) = x above 0, negative_slope x elsewhere;  f'(0) = negative_slope
 * See proportional() for the product.  f(-0) is that of the slope and -0: 0 where it is negative.
 * Measured in ULP, all float32: f 0.96 at -1.77158779e-36, f' 0.24 at 0;
 *    12 M float64: f 0.5 at -3, f' 0. */
#ifdef BODIES
PLAIN(leaky_relu)
{
    return (floats){.f = sloped(x, &k->p[0], k->hi[0]), .df = slope_at(x, k->hi[0])};
}
FROM_OUTPUT(leaky_relu) { return y > 0 ? 1 : (real)p[0]; }
#endif
ROW_Y_PLAIN(leaky_relu, 1)
