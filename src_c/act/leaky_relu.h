/* leaky_relu(x) = x above 0, negative_slope x elsewhere;  f'(0) = negative_slope
 * See proportional() for the product.
 * Measured in ULP, all float32: f 0.84 at -2.25695202e-36, f' 0.24 at 0;
 *    12 M float64: f 0.5 at -3, f' 0. */
#ifdef BODIES
ACTIVATION(leaky_relu)
{
    return (dual){.f = x >= 0 ? x : proportional(x, p[0]), .df = x > 0 ? 1 : p[0]};
}
FROM_OUTPUT(leaky_relu) { return y > 0 ? 1 : (real)p[0]; }
#endif
ROW_Y(leaky_relu, 1, LIGHT)
