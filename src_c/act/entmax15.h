/* entmax15(x) = max(0, x/2 - tau)^2, tau such that the row sums to 1: the 1.5-entmax of
 * Peters, Niculae & Martins 2019, arXiv:1905.05702.  See simplex.h
 * Measured in ULP, float32: f 0.4999 of 8,784, backward 1.761 of 24,366,
 *    where less than 2^-100 of dy is left 0 of 9,834;
 *    float64: f 0.971 of 8,784, backward 1.376 of 24,389,
 *    where less than 2^-100 of dy is left 0 of 9,811. */
ROW_FUNCTION(entmax15)
