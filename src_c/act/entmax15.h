/* entmax15(x) = max(0, x/2 - tau)^2, tau such that the row sums to 1: the 1.5-entmax of
 * Peters, Niculae & Martins 2019, arXiv:1905.05702.  See simplex.h
 * Largest error found in the rows of tests/test_rows.py and more like them, in ULP: float32 0.50, backward 0.50; float64 0.96, 0.50. */
ROW_FUNCTION(entmax15)
