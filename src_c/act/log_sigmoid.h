/* log_sigmoid(x) = -log(1 + e^-x) = min(x, 0) - log(1 + E), E = e^-|x|;  f' = sigmoid(-x)
 * f is subnormal from x = 87.34 (float32), 708.4 (float64), and 0 from 103.98, 745.14.
 * Measured in ULP, all float32: f 0.9915 at -9.23800564, f' 0.8886 at 7.03948593;
 *    12 M float64: f 0.7489 at 708.794833, f' 0.798 at 708.747506. */
#ifdef BODIES
ACTIVATION(log_sigmoid)
{
    const mask left = is_negative(x);
    const double t = abs_(x);
    const exponential e = exp_(exact(-smaller(t, FAR)));
    const num f = add(exact(choose(left, smaller(t, DBL_MAX), 0)), log1p_(e.value));
    const double y = between(x, -LOGISTIC_RIGHT, -LOGISTIC_LEFT);
    return (dual){
        .f = x < -DBL_MAX ? (double)x : -(rounded(f) * choose(left, 1, e.tail)),
        .df = rounded(logistic_(exact(-y)).s) * UNSCALED,
    };
}
FROM_OUTPUT(log_sigmoid) /* 1 - e^y */
{
    const reduced e = reduce(exact(-smaller(abs_(y), 700)));
    const double s = pow2(at_least(e.k, -1000));
    return (real)-rounded(add_big(big_sum(-1, s), scale(e.p, s)));
}
#if CACT_REAL == 32
FLOATS(log_sigmoid, 17.4f, 17.7f)
{
    return (floats){.f = -softplus_on_pieces(-x, of_f), .df = sigmoid_on_pieces(-x, of_df), .f_at = x, .df_at = x};
}
#endif
#endif
ROW_Y_FLOATS(log_sigmoid, HEAVY)
