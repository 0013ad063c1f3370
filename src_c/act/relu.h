/* relu(x) = max(x, 0);  f'(0) = 0
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
ACTIVATION(relu)
{
    return (dual){.f = x > 0 ? x : 0, .df = x > 0 ? 1 : 0};
}
FROM_OUTPUT(relu) { return y > 0 ? 1 : 0; }
#endif
ROW_Y(relu, 0, LIGHT)
