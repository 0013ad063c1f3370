/* thresholded_relu(x) = x above threshold, value elsewhere;  f'(threshold) = 0
 * Konda, Memisevic & Krueger 2014, arXiv:1402.3337
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
ACTIVATION(thresholded_relu)
{
    const real threshold = not_above(p[0]), value = (real)p[1];
    return (dual){.f = x > threshold ? x : value, .df = x > threshold ? 1 : 0};
}
#endif
ROW(thresholded_relu, 2, LIGHT)
