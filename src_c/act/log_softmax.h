/* log_softmax(x)_i = (x_i - max) - log(sum of e^{x - max} over the row): see rows.h
 * Largest error found in the rows of tests/test_rows.py and more like them, in ULP: float32 0.50, backward 0.50; float64 0.77, 1.5. */
ROW_FUNCTION(log_softmax)
