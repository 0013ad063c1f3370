/* softplus(x) = log(1 + e^{bx})/b = max(x, 0) + log(1 + E)/b, E = e^-|bx|;  f' = sigmoid(bx)
 * b >= 1e-300, so that 1500/b is finite; b x is kept to its last bit, or E would lose as many bits as bx has.
 * Measured in ULP, all float32: f 0.9915 at 9.23800564, f' 0.8886 at -7.03948593;
 *    12 M float64: f 0.7663 at -708.812141, f' 0.7834 at -708.786803. */
#ifdef BODIES
ACTIVATION(softplus)
{
    const mask left = is_negative(x);
    const double b = p[0], t = abs_(x);
    const exponential e = exp_far(product(-smaller(t, FARTHEST / b), b));
    const num l = mul(log1p_(e.value), reciprocal(exact(b)));
    const num f = add(exact(choose(left, 0, smaller(t, DBL_MAX))), l);
    const logistic s =
        logistic_(product(__builtin_copysign(smaller(t, choose(left, -LOGISTIC_LEFT / b, LOGISTIC_RIGHT / b)), x), b));
    return (dual){
        .f = x > DBL_MAX ? (double)x : rounded(f) * choose(left, e.tail, 1) * choose(left, e.far_tail, 1),
        .df = rounded(s.s) * UNSCALED,
    };
}
FROM_OUTPUT(softplus) /* 1 - e^-by */
{
    const reduced e = reduce(product(-smaller(abs_(y), 700 / p[0]), p[0]));
    const double s = pow2(at_least(e.k, -1000));
    return (real)-rounded(add_big(big_sum(-1, s), scale(e.p, s)));
}
#if CACT_REAL == 32
#include "../tables/softplus.h"
/* max(x, 0) + log(1 + e^-|x|), where max(x, 0) = c + d above 0 */
INLINE vector softplus_on_pieces(vector x, row_places found)
{
    const piece at = piece_of(&softplus_pieces, vector_magnitude(x, 17.4f), found);
    const vector w = rest_of(&softplus_pieces, 6, 0, at), right = column(&softplus_pieces, at, ASIDE(6));
    const integers above = x > 0;
    return where(x > 17, x, where(above, right, at.value) + where(above, w + at.d, w));
}
FLOATS(softplus, 17.4f, 17.7f) /* b = 1 */
{
    return (floats){.f = softplus_on_pieces(x, of_f), .df = sigmoid_on_pieces(x, of_df), .f_at = -x, .df_at = -x};
}
#endif
#endif
ROW_Y_FLOATS_USUAL(softplus, 1, HEAVY, 1)
