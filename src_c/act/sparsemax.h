/* sparsemax(x) = max(0, x - tau), tau such that the row sums to 1: the nearest point of the
 * simplex (Martins & Astudillo 2016, arXiv:1602.02068).  See simplex.h */
ROW_FUNCTION(sparsemax)
