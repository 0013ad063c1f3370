/* sparsemax(x) = max(0, x - tau), tau such that the row sums to 1: the nearest point of the
 * simplex (Martins & Astudillo 2016, arXiv:1602.02068).  See simplex.h
 * Largest error found in the rows of tests/test_rows.py and more like them, in ULP: float32 0.50, backward 0.50; float64 0.50, 0.50. */
ROW_FUNCTION(sparsemax)
