/* identity(x) = x
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
PLAIN(identity) { return (floats){.f = x, .df = or_nan(vector_of(1), x)}; }
FROM_OUTPUT(identity) { return 1; }
#endif
ROW_Y_PLAIN(identity, 0)
