/* hardtanh(x) = min(max(x, min_val), max_val);  f' = 0 at both ends
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
ACTIVATION(hardtanh)
{
    const real low = not_above(p[0]), high = not_below(p[1]), least = (real)p[0], most = (real)p[1];
    return (dual){.f = x > low ? x < high ? x : most : least, .df = x > low ? x < high ? 1 : 0 : 0};
}
FROM_OUTPUT(hardtanh) { return y > not_above(p[0]) ? y < not_below(p[1]) ? 1 : 0 : 0; }
#endif
ROW_Y(hardtanh, 2, LIGHT)
