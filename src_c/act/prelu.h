/* prelu(x) = x above 0, weight x elsewhere;  f'(0) = weight;  df/dweight = min(x, 0)
 * See proportional() for the product.
 * Measured in ULP, all float32: f 0.5 at -2.80259693e-45, f' 0;
 *    12 M float64: f 0.5 at -1.70038673e-308, f' 0. */
#ifdef BODIES
ACTIVATION(prelu)
{
    return (dual){.f = x >= 0 ? x : proportional(x, p[0]), .df = x > 0 ? 1 : p[0], .dp = {x < 0 ? x : 0}};
}
FROM_OUTPUT(prelu) { return y > 0 ? 1 : (real)p[0]; }
#endif
ROW_Y(prelu, 1, LIGHT)
