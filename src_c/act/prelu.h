/* prelu(x) = x above 0, weight x elsewhere;  f'(0) = weight;  df/dweight = min(x, 0)
 * 0 times -inf is 0, the limit of 0 x. */
#ifdef BODIES
ACTIVATION(prelu)
{
    const double y = x * p[0];
    return (dual){.f = x > 0 ? x : y == y ? y : 0, .df = x > 0 ? 1 : p[0], .dp = {x < 0 ? x : 0}};
}
#endif
ROW(prelu, 1, LIGHT)
