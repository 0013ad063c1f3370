/* sparsemax(x) = max(0, x - tau), tau such that the row sums to 1: the nearest point of the
 * simplex (Martins & Astudillo 2016, arXiv:1602.02068).  See simplex.h
 * Measured in ULP, float32: f 0.5 of 8,784, backward 1 of 24,428,
 *    where less than 2^-100 of dy is left 0 of 9,772;
 *    float64: f 0.5 of 8,784, backward 0.5 of 24,402,
 *    where less than 2^-100 of dy is left 0 of 9,798. */
ROW_FUNCTION(sparsemax)
