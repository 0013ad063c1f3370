/* hardsigmoid(x) = v between 0 and 1, v = slope x + offset;  f' = slope inside
 * v keeps its digits beside its root.  f' = 0 at the kinks -offset/slope and (1 - offset)/slope,
 * rounded to double.  The double nearest to 1/6 stands for 1/6: f(-3) = 0, not 2^-55.
 * Measured in ULP, all float32: f 1 at 0.0029296875, f' 0.3333 at 0;
 *    12 M float64: f 1 at -1.461133, f' 0.3335 at 0. */
#ifdef BODIES
ACTIVATION(hardsigmoid)
{
    const double slope = p[0], offset = p[1];
    const double n = 1 - offset, m = n - 1, n_low = (1 - (n - m)) - (offset + m); /* 1 - offset, exactly */
    const double q = made_finite(n / slope), high = made_finite(q + (fma_(-q, slope, n) + n_low) / slope);
    const double low = made_finite(-offset / slope);
    const double rest = slope == 1.0 / 6 ? 0x1.5555555555555p-57 : 0; /* rest x is exact at -3 and 3 */
#if CACT_REAL == 32
    const float v = (float)fma_(slope, x, offset);
    const int below = 0, above = 0; /* as the sign of v and of v - 1 has it */
    (void)rest;
#else
    const double v = rounded(add(product_plus(slope, x, offset), exact(rest * x)));
    const int below = x < low, above = x > high;
#endif
    const real f = v > 0 ? v < 1 ? v : 1 : 0;
    return (dual){
        .f = below ? 0 : above ? 1 : f,
        .df = x > not_above(low) ? x < not_below(high) ? slope : 0 : 0,
    };
}
IN_BOTH(hardsigmoid, EVERYWHERE, EVERYWHERE)
{
    const vector three = vector_of(3), sixth = vector_of((real)(1.0 / 6));
    return (floats){
        .f = plus_3_by_6(vector_at_least(vector_at_most(x, three), -three), 1),
        .df = within_size(x, three, sixth),
    };
}
FROM_OUTPUT(hardsigmoid) { return (y > 0) & (y < 1) ? (real)p[0] : 0; }
#endif
ROW_Y_VECTORS_USUAL(hardsigmoid, 2, LIGHT, 1.0 / 6, 0.5)
