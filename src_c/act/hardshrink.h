/* hardshrink(x) = x where |x| > lambd, 0 (of x's sign) elsewhere;  f'(+-lambd) = 0
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
ACTIVATION(hardshrink)
{
    const real lambd = not_above(p[0]), t = magnitude(x, (real)INFINITY);
    return (dual){.f = t > lambd ? x : clamped(x, 0), .df = t > lambd ? 1 : 0};
}
FROM_OUTPUT(hardshrink) { return y != 0 ? 1 : 0; }
#endif
ROW_Y(hardshrink, 1, LIGHT)
