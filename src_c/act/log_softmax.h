/* log_softmax(x)_i = (x_i - max) - log(sum of e^{x - max} over the row): see rows_log.h
 * Measured in ULP, float32: f 1.161 of 8,784, backward 1.076 of 30,618,
 *    where less than 2^-100 of dy is left 0.5 of 3,582;
 *    float64: f 1.206 of 8,784, backward 1 of 30,586,
 *    where less than 2^-100 of dy is left 0.7651 of 3,614. */
ROW_FUNCTION(log_softmax)
