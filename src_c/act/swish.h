/* swish(x) = x s(v), v = beta x, s = sigmoid               Ramachandran et al. 2017, arXiv:1710.05941
 * f' = silu'(v) = s(v) + v s(v) s(-v), which crosses zero at v = -1.2784645427610737951;
 * df/dbeta = x^2 s(v) s(-v).  Any finite beta; see fine.h.
 * Measured in ULP, all float32: f 0.9919 at -13.823802, f' 0.8832 at -0.637099683;
 *    12 M float64: f 0.7907 at 1.05656015, f' 1.58 at -3.82919466. */
#ifdef BODIES
ACTIVATION(swish)
{
    const fine v = reaching(x, (fine){p[0], 0});
    const mask left = is_negative(v.hi);
    const double y = clamped(x, MOST);
    const sigmoids l = sigmoids_(num_of(v), left);
    const double tail = choose(left, l.tail, 1), far_tail = choose(left, l.far_tail, 1);
    const double slope = rounded_times(mul(l.s, l.c), y) * (y * l.tail) * l.far_tail;
    const double f = __builtin_copysign(finite_times(l.s, y) * tail * far_tail, x);
    return (dual){
        .f = abs_(x) > MOST && v.hi >= 0 ? (double)x : f,
        .df = silu_slope(v, l.s, l.c) * tail * far_tail,
        .dp = {choose(is_above(abs_(v.hi), LAST), 0, slope)},
    };
}
#if CACT_REAL == 32
FLOATS(swish, 17.7f, 15.7f) /* beta = 1 */
{
    const floats d = silu_floats(x, of_f, of_df, of_dp);
    return (floats){
        .f = d.f,
        .df = d.df,
        .f_at = d.f_at,
        .df_at = d.df_at,
        .dp = {square_times_sigmoid_grad(x, of_dp)},
    };
}
#else
DOUBLES(swish, 708, 36) /* beta = 1 */
{
    doubles d = silu_doubles(x, of_f, of_df, of_dp);
    d.dp[0] = square_times_sigmoid_grad(d.df_at);
    return d;
}
#endif
#endif
ROW_VECTORS_LEARNT(swish, 1, HEAVY, 1)
