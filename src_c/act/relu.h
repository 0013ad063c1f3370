/* relu(x) = max(x, 0);  f'(0) = 0
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
PLAIN(relu) { return (floats){.f = positive(x) + 0, .df = step(x, vector_of(0))}; } /* + 0: of -0 */
FROM_OUTPUT(relu) { return y > 0 ? 1 : 0; }
#endif
ROW_Y_PLAIN(relu, 0)
