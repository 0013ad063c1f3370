/* softmin(x) = softmax(-x): see rows.h */
ROW_FUNCTION(softmin)
