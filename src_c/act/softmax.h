/* softmax(x)_i = e^{x_i - max} / sum of them over the row: see rows.h
 * Measured in ULP, float32: f 1.497 of 8,784, backward 1.456 of 28,065,
 *    where less than 2^-100 of dy is left 0.4837 of 6,135;
 *    float64: f 1.444 of 8,784, backward 1.28 of 27,656,
 *    where less than 2^-100 of dy is left 1.087 of 6,544. */
ROW_FUNCTION(softmax)
