/* thresholded_relu(x) = x above threshold, value elsewhere;  f'(threshold) = 0
 * Konda, Memisevic & Krueger 2014, arXiv:1402.3337
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
PLAIN(thresholded_relu)
{
    const vector threshold = greatest_not_above(&k->p[0], k->hi[0]);
    return (floats){.f = select_where(IS_ABOVE(x, threshold), x, k->hi[1]), .df = step(x, threshold)};
}
#endif
ROW_PLAIN(thresholded_relu, 2)
