/* identity(x) = x
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
ACTIVATION(identity)
{
    return (dual){.f = x, .df = 1};
}
FROM_OUTPUT(identity) { return 1; }
#endif
ROW_Y(identity, 0, LIGHT)
