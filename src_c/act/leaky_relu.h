/* leaky_relu(x) = x above 0, negative_slope x elsewhere;  f'(0) = negative_slope
 * The factor is used to double precision in float32 too: see scaled(). */
#ifdef BODIES
ACTIVATION(leaky_relu)
{
    real a = (real)p[0];
    return (dual){.f = x > 0 ? x : scaled(x, a, (real)(p[0] - a)), .df = x > 0 ? 1 : a};
}
#endif
ROW(leaky_relu, 1, LIGHT)
