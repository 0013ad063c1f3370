/* selu(x) = l x above 0, l a (e^x - 1) elsewhere;  f' = l, l a e^x;  f'(0) = l a
 * l = 1.0507009873554804934..., a = 1.6732632423543772848...  (Klambauer et al. 2017), as
 * pairs of doubles; the rest as elu.
 * Measured in ULP, all float32: f 0.9998 at 2.01314853e-38, f' 0.8016 at -10.3035793;
 *    12 M float64: f 0.9628 at -0.314293638, f' 1.21 at -707.997228. */
#ifdef BODIES
ACTIVATION(selu)
{
    const num la = pair(0x1.c212cc640f031p+0, 0x1.05161b045a1fep-56);
    const double l = 0x1.0cfabd6a91132p+0, l_low = 0x1.6fc7d272f2695p-55;
    const num z = exact(-(double)magnitude(x, FAR)); /* of no effect above 0 */
    const reduced e = reduce(z);
    const double s = pow2(at_least(e.k, -900));
    const num f = mul(add_big(big_sum(-1, s), scale(e.p, s)), la); /* 2^k - 1 is 0 or the larger */
    const exponential ex = exp_(z);
    return (dual){
        .f = x >= 0 ? scaled(x, l, l_low) : rounded(f),
        .df = x > 0 ? l : rounded(mul(ex.value, la)) * ex.tail,
    };
}
FROM_OUTPUT(selu)
{
    const double l = 0x1.0cfabd6a91132p+0, la = 0x1.c212cc640f031p+0;
    return (real)(y > 0 ? l : y + la);
}
#if CACT_REAL == 32
#include "../tables/selu.h"
#include "../tables/selu_grad.h"
FLOATS(selu, INFINITY, 19.6f)
{
    const float l = 0x1.0cfabep+0f, l_low = -0x1.2addap-25f;
    const vector y = positive(x);
    const vector g = on_pieces_finely(&selu_pieces, 6, vector_at_most(positive(-x), vector_of(17.4f)), of_f);
    return (floats){
        .f = with_sign_of(vector_fma(y, vector_of(l), vector_fma(y, vector_of(l_low), -g)), x), /* of -0 */
        .df = where(x > 0, vector_of(l), on_pieces(&selu_grad_pieces, 6, -x, of_df)),
        .f_at = vector_size(x),
        .df_at = -x,
    };
}
#else
DOUBLES(selu, INFINITY, 708)
{
    const two l = two_of(0x1.0cfabd6a91132p+0, 0x1.6fc7d272f2695p-55);
    const two la = two_of(0x1.c212cc640f031p+0, 0x1.05161b045a1fep-56);
    const vector t = vector_size(x);
    const two m = one_minus_exp(exp_terms_of(only(vector_at_least(-t, vector_of(-40))), TO_ITSELF));
    const two e = exp_of_terms(exp_terms_of(only(-t), TO_ONE));
    const vector f = vector_fma(m.hi, la.hi, vector_fma(m.lo, la.hi, m.hi * la.lo));
    return (doubles){
        .f = where_less(x, 0, -f, vector_fma(x, l.hi, x * l.lo)),
        .df = where_less(-x, 0, l.hi, vector_fma(e.hi, la.hi, vector_fma(e.lo, la.hi, e.hi * la.lo))),
        .f_at = t,
        .df_at = t,
    };
}
#endif
#endif
ROW_Y_VECTORS(selu, HEAVY)
