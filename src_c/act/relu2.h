/* relu2(x) = max(x, 0)^2;  f' = 2 max(x, 0)                           So et al. 2021, arXiv:2109.08668
 * Measured in ULP, all float32: f 0.5 at 2.64697796e-23, f' 0;
 *    12 M float64: f 0.5 at 10, f' 0. */
#ifdef BODIES
PLAIN(relu2)
{
    const vector t = positive(x) + 0; /* of -0 */
    return (floats){.f = t * t, .df = 2 * t};
}
FROM_OUTPUT(relu2) { return (real)(2 * __builtin_sqrt(abs_(y))); }
#endif
ROW_Y_PLAIN(relu2, 0)
