/* leaky_relu(x) = x above 0, negative_slope x elsewhere;  f'(0) = negative_slope
 * 0 times -inf is 0, the limit of 0 x. */
#ifdef BODIES
ACTIVATION(leaky_relu)
{
    const double y = x * p[0];
    return (dual){.f = x > 0 ? x : y == y ? y : 0, .df = x > 0 ? 1 : p[0]};
}
#endif
ROW(leaky_relu, 1, LIGHT)
