/* softmin(x) = softmax(-x): see rows.h
 * Largest error found in the rows of tests/test_rows.py and more like them, in ULP: float32 1.35, backward 1.87; float64 1.32, 1.50. */
ROW_FUNCTION(softmin)
