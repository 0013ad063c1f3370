/* serf(x) = x erf(log(1 + e^x))                           Nag & Bhattacharyya 2021, arXiv:2108.09598
 * With E = e^-|x| and L = max(x, 0) + log(1 + E):
 *     f = x erf(L),  f' = erf(L) + x s(x) (2/sqrt(pi)) e^(-L^2),  s(x) = (1 or E)/(1 + E) = sigmoid.
 * x is clamped at 7, where f is x and f' is 1 to the last bit.
 * f' crosses zero at -1.1930599689281879662.
 * Measured in ULP, all float32: f 0.8189 at -3.50103211, f' 0.8499 at -0.630102396;
 *    12 M float64: f 0.7652 at -715.626718, f' 1.209 at -1.0318354. */
#ifdef BODIES
ACTIVATION(serf)
{
    static const double c[] = {
        0x1.da577f6c75892p-3, 0x1.857e8a8303fb9p-5, -0x1.7e4ec0f21ae35p-6, -0x1.32985cfc85dfcp-6,
        -0x1.28850b629bd16p-8, 0x1.c90510bce3a56p-11, 0x1.12c414a384119p-10, 0x1.5c3c30c873dadp-12,
        -0x1.42dfb9381d05fp-20, -0x1.762cf969920a6p-15, -0x1.32c12ffde2412p-16, -0x1.f1259bf75e257p-20};
    const mask left = is_negative(x);
    const double y = between(x, (real)-FAR, 7);
    const exponential e = exp_(exact(-abs_(y)));
    const num l = normalized(add(exact(choose(left, 0, y)), log1p_(e.value)));
    const num s = mul(pick(left, e.value, exact(1)), reciprocal(one_plus(e.value)));
    const num g = exp_(negative(mul(l, l))).value, r = erf_(l, g);
    const num w = times(mul(mul(s, g), pair(TWO_OVER_ROOTPI)), y);
    const double tail = choose(left, e.tail, 1);
    return (dual){
        .f = x > y ? (double)x : __builtin_copysign(rounded_multiple(r, y) * tail, x),
        .df = beside_root(x, rounded(add(r, w)) * tail, -0x1.316c60ccb69dbp+0, 0x1.1d9ecd0f85993p-55,
                          0x1.34bdb29d97b36p-2, -0x1.84f991267b077p-58, c),
    };
}
#if CACT_REAL == 32
#include "../tables/serf.h"
#include "../tables/serf_grad.h"
FLOATS(serf, 15.5f, 7.1f)
{
    const vector f = on_pieces_times_finely(&serf_pieces, 6, vector_at_most(x, vector_of(4.2f)), x, of_f);
    return (floats){
        .f = with_sign_of(f, x), /* of -0 */
        .df = on_pieces_with_root(&serf_grad_pieces, 7, vector_at_most(x, vector_of(4.4f)), of_df),
        .f_at = -x,
        .df_at = -x,
    };
}
#endif
#endif
ROW_FLOATS(serf, HEAVY)
