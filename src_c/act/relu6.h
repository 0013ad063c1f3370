/* relu6(x) = min(max(x, 0), 6);  f'(0) = f'(6) = 0
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
ACTIVATION(relu6)
{
    return (dual){.f = x > 0 ? x < 6 ? x : 6 : 0, .df = x > 0 ? x < 6 ? 1 : 0 : 0};
}
FROM_OUTPUT(relu6) { return y > 0 ? y < 6 ? 1 : 0 : 0; }
#endif
ROW_Y(relu6, 0, LIGHT)
