/* gelu(x) = x Phi(x) = max(x, 0) - t Phi(-t), t = |x|, with Phi(-t) = E M(t), E = e^{-t^2/2}:
 * the tail is as exact as the rest, down to the subnormals.  t^2 is kept to its last bit.
 * f' = Phi(x) + x phi(x) = L below 0, 1 - L above, L = E (M(t) - t/sqrt(2 pi)); it crosses
 * zero at -0.75179152469356445746.
 * Measured in ULP, all float32: f 0.9429 at -5.6084218, f' 0.9096 at -0.917751551;
 *    12 M float64: f 0.89 at 2.37674592e-07, f' 0.9194 at -0.000715245059. */
#ifdef BODIES
ACTIVATION(gelu)
{
    static const double c[] = {
        0x1.8d9a941de3ac5p-2, -0x1.2a2ef9bb865aep-6, -0x1.d2fa4c17c7e84p-4, -0x1.e4088244f901dp-7,
        0x1.3e346def42057p-6, 0x1.297b9d6ffaacdp-8, -0x1.258a6d85633afp-9, -0x1.8680f74e6b6bap-11,
        0x1.86c863b66083cp-13, 0x1.69610924deba8p-14, -0x1.784acad4b941ep-17, -0x1.03fec69bdd554p-17};
    const double t = magnitude(x, sizeof(real) == 4 ? (real)14.6 : 40);
    exponential e = exp_(product(t, -0.5 * t));
    num m = mills(t);
    num tail = times(mul(e.value, m), t);
    num l = mul(e.value, sub(m, times(pair(ROOT2PI_INV), t)));
    double f = x < 0 ? -rounded(tail) * e.tail : rounded(sub(exact(t), tail));
    double df = x < 0 ? rounded(l) * e.tail : rounded(sub(exact(1), l));
    return (dual){
        .f = x > t ? (double)x : __builtin_copysign(f, x),
        .df = beside_root(x, df, -0x1.80ead197f00b4p-1, 0x1.13e74c58cada8p-56, 0x1.b9d98fa5a3215p-2,
                          0x1.f7c1a23190c7cp-56, c),
    };
}
#if CACT_REAL == 32
#include "../tables/gelu.h"
#include "../tables/gelu_grad.h"
FLOATS(gelu, 6.4f, 6.4f)
{
    const vector t = vector_magnitude(x, 6.4f), g = on_pieces_with_root(&gelu_grad_pieces, 6, t, of_df);
    return (floats){
        .f = with_sign_of(positive(x) - on_pieces_times_finely(&gelu_pieces, 5, t, t, of_f), x), /* of 0 */
        .df = reflected(g, x),
        .f_at = -x,
        .df_at = -x,
    };
}
#endif
#endif
ROW_FLOATS(gelu, HEAVY)
