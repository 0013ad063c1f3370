/* acon_c(x) = (p1 - p2) x s(u) + p2 x, u = beta (p1 - p2) x, s = sigmoid   Ma et al. 2021, arXiv:2009.04759
 * With E = e^-|u| and a, b = p1, p2, exchanged where u < 0:
 *     f = x N/(1 + E), N = a + b E;  f' = (N (1 + E) + (p1 - p2) u E)/(1 + E)^2
 * df/dp1 = x silu'(u), df/dp2 = x silu'(-u), df/dbeta = ((p1 - p2) x)^2 s(u) s(-u).
 * Where p1 or p2 is 0 (the default: silu), f' crosses zero as silu' does, and has its series there;
 * other roots move with the parameters: N is fine, so that float32 keeps its accuracy beside them, but
 * in float64 the error there is an absolute one, 2^-58 of the terms.
 * Measured in ULP, all float32: f 0.9919 at -13.823802, f' 0.8832 at -0.637099683;
 *    12 M float64: f 0.7907 at 1.05656015, f' 1.58 at -3.82919466. */
#ifdef BODIES
ACTIVATION(acon_c)
{
    /* no sum of the two overflows */
    const double unit = choose(is_above(greater(abs_(p[0]), abs_(p[1])), 0x1p1000), 0.25, 1);
    const double p1 = p[0] * unit, p2 = p[1] * unit;
    const fine d = fine_sum(p1, -p2), bd = fine_times(d, p[2]);
    const fine most = {__builtin_copysign(0x1p1000, bd.hi), 0};
    const fine u = reaching(x, fine_scale(fine_pick(is_above(abs_(bd.hi), 0x1p1000), most, bd), 1 / unit));
    const mask left = is_negative(u.hi), infinite = is_above(abs_(x), MOST), zero = is_zero(u.hi);
    const double a = choose(left, p2, p1), b = choose(left, p1, p2);
    const fine_reduced e = fine_reduce(fine_pick(left, u, fine_scale(u, -1)));
    const double k = at_least(e.k, -900), j = at_least(e.k, -1800), first = pow2(k);
    const double tail = pow2_of_difference(j, k), far_tail = pow2_of_difference(e.k, j);
    /* where a is 0 everything is a multiple of E, and the tails come last */
    const mask late = is_zero(a);
    const double g = first * choose(late, 1, tail * far_tail);
    const fine ex = fine_scale(fine_one_plus(e.p), g), one_ex = fine_one_plus(ex);
    const fine n = fine_add(fine_sum(a, b * g), fine_times(e.p, b * g));
    const fine n1 = fine_add(fine_mul(n, one_ex), fine_mul(fine_mul(u, ex), d));
    const num q = scale(ratio(num_of(n), num_of(one_ex)), 1 / unit);
    const num q1 = ratio(num_of(n1), mul(num_of(one_ex), num_of(one_ex)));

    const double y = clamped(x, MOST), q_ = rounded(q);
    const double f = finite_times(q, y) * choose(late, tail, 1) * choose(late, far_tail, 1);
    const double f1 = rounded(q1) * (1 / unit) * choose(late, tail, 1) * choose(late, far_tail, 1);
    double distance;
    const fine v = fine_scale(u, choose(is_zero(p2), 1, -1));
    const double near =
        at_root(v.hi, v.lo, SILU_ROOT, SILU_SERIES, SILU_ROOT_LOWEST, &distance) * (p[0] + p[1]);
    const mask beside = (is_zero(p1) | is_zero(p2)) & is_negative(distance - ROOT_RADIUS);

    const sigmoids l = sigmoids_(num_of(u), left);
    const double by_p1 = silu_slope(u, l.s, l.c) * choose(infinite & (zero | ~left), x, y);
    const double by_p2 = silu_slope(fine_scale(u, -1), l.c, l.s) * choose(infinite & (zero | left), x, y);
    const fine dx = fine_times(fine_scale(d, 1 / unit), y);
    const double by_beta = rounded(mul(mul(l.s, l.c), num_of(dx))) * (dx.hi * l.tail) * l.far_tail;
    return (dual){
        .f = choose(infinite & ~(late & ~zero), choose(is_zero(q_), 0, x * q_), f),
        .df = choose(beside, near, f1),
        .dp = {
            by_p1 * choose(left, l.tail, 1) * choose(left, l.far_tail, 1),
            by_p2 * choose(left, 1, l.tail) * choose(left, 1, l.far_tail),
            choose(is_above(abs_(u.hi), LAST) | is_zero(d.hi), 0, by_beta),
        },
    };
}
#if CACT_REAL == 32
FLOATS(acon_c, 17.7f, 15.7f) /* p1 = 1, p2 = 0, beta = 1 */
{
    const floats d = silu_floats(x, of_f, of_df, of_dp);
    const vector g = silu_grad_left(x, of_df), df = reflected(g, x);
    return (floats){
        .f = d.f,
        .df = df,
        .f_at = d.f_at,
        .df_at = d.df_at,
        .dp = {x * df, x * reflected(g, -x), square_times_sigmoid_grad(x, of_dp)},
    };
}
#else
DOUBLES(acon_c, 708, 36) /* p1 = 1, p2 = 0, beta = 1 */
{
    doubles d = silu_doubles(x, of_f, of_df, of_dp);
    const vector t = d.df_at;
    const two g = silu_slope_of_minus(only(t)); /* at -|x|, and at |x| */
    const vector h = 1 - g.hi, h_low = ((1 - h) - g.hi) - g.lo;
    const vector by_left = vector_fma(x, g.hi, x * g.lo), by_right = vector_fma(x, h, x * h_low);
    d.dp[0] = where_negative(x, by_left, by_right);
    d.dp[1] = where_negative(x, by_right, by_left);
    d.dp[2] = square_times_sigmoid_grad(t);
    return d;
}
#endif
#endif
ROW_VECTORS_LEARNT(acon_c, 3, HEAVY, 1, 0, 1)
