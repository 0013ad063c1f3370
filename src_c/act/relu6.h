/* relu6(x) = min(max(x, 0), 6);  f'(0) = f'(6) = 0
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
PLAIN(relu6)
{
    const vector zero = vector_of(0), six = vector_of(6), t = vector_at_most(positive(x), six);
    return (floats){.f = t + 0, .df = within(x, zero, six, vector_of(1))}; /* + 0: of -0 */
}
FROM_OUTPUT(relu6) { return (y > 0) & (y < 6); }
#endif
ROW_Y_PLAIN(relu6, 0)
