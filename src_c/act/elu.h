/* elu(x) = x above 0, alpha (e^x - 1) elsewhere;  f' = 1, alpha e^x;  f'(0) = alpha
 * e^x - 1 = (2^k - 1) + 2^k p, p exact to the last bits near 0: nothing cancels.
 * f rounds to -alpha from x = -17.33 (float32), -37.43 (float64).
 * Measured in ULP, all float32: f 0.9142 at -14.7019539, f' 0.8934 at -5.84864187;
 *    12 M float64: f 0.9106 at -0.346600674, f' 0.9025 at -1.02339415. */
#ifdef BODIES
ACTIVATION(elu)
{
    const num z = exact(-(double)magnitude(x, FARTHEST)); /* of no effect above 0 */
    const reduced e = reduce(z);
    const double s = pow2(at_least(e.k, -900));
    const num f = times(add_big(big_sum(-1, s), scale(e.p, s)), p[0]); /* 2^k - 1 is 0 or the larger */
    const exponential ex = exp_far(z);
    return (dual){
        .f = x >= 0 ? x : rounded(f),
        .df = x > 0 ? 1 : rounded(times(ex.value, p[0])) * ex.tail * ex.far_tail,
    };
}
FROM_OUTPUT(elu) { return y > 0 ? 1 : (real)(y + p[0]); }
#if CACT_REAL == 32
#include "../tables/elu.h"
FLOATS(elu, INFINITY, INFINITY) /* a = 1 */
{
    return (floats){
        .f = positive(x) - on_pieces_finely(&elu_pieces, 6, vector_at_most(positive(-x), vector_of(17.4f)), of_f),
        .df = where(x > 0, vector_of(1), exp_rounded(x)),
        .f_at = -x,
        .df_at = -x,
    };
}
#else
DOUBLES(elu, INFINITY, 708) /* a = 1 */
{
    const vector t = vector_size(x);
    const exp_terms e = exp_terms_of(only(vector_at_least(-t, vector_of(-40))), TO_ITSELF);
    const vector f = vector_fma(e.power, e.r + e.q, e.power - 1);
    return (doubles){
        .f = where_less(x, 0, f, x),
        .df = where_less(x, 0, exp_rounded(only(-t)), vector_of(1)),
        .f_at = t,
        .df_at = t,
    };
}
#endif
#endif
ROW_Y_VECTORS_USUAL(elu, 1, HEAVY, 1)
