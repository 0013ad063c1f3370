/* log_softmax(x)_i = (x_i - max) - log(sum of e^{x - max} over the row): see rows.h */
ROW_FUNCTION(log_softmax)
