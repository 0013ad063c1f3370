/* softmin(x) = softmax(-x): see rows.h
 * Measured in ULP, float32: f 1.51 of 8,784, backward 1.396 of 28,072,
 *    where less than 2^-100 of dy is left 0.4837 of 6,128;
 *    float64: f 1.403 of 8,784, backward 1.368 of 27,673,
 *    where less than 2^-100 of dy is left 1.087 of 6,527. */
ROW_FUNCTION(softmin)
