/* softmax(x)_i = e^{x_i - max} / sum of them over the row: see rows.h */
ROW_FUNCTION(softmax)
