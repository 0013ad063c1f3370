/* telu(x) = x tanh(e^x)                                   Liu & Di 2020, arXiv:2003.09855
 * With u = e^x and m = e^-2u - 1, which is exact to the last bits near 0:  tanh u = -m/(2 + m),
 * f' = tanh u + x u (1 - tanh^2 u), where 1 - tanh^2 u = 4 (1 + m)/(2 + m)^2.
 * x is clamped at 4, where f is x and f' is 1 to the last bit.
 * f' crosses zero at -1.0788600584646240567.
 * Measured in ULP, all float32: f 0.9475 at 3.08360744e-38, f' 0.8716 at -1.25662434;
 *    12 M float64: f 0.9768 at 4.9677108e-308, f' 1.538 at -1.78306266. */
#ifdef BODIES
#define TELU_ROOT -0x1.14302c3c10f30p+0, -0x1.b8c761c7b1289p-54, 0x1.68f6b660942b4p-2, -0x1.accdac615c81fp-57
static const double TELU_SERIES[] = {
        0x1.4d0848bbb42d2p-2, 0x1.b9cbc0b27eec1p-4, -0x1.76ccc7f75d5b2p-6, -0x1.75ed50eb6a68cp-5,
        -0x1.a1972d4fc8f5cp-6, -0x1.70f433c765432p-8, 0x1.6b47343137d35p-9, 0x1.bdae45f31e265p-9,
        0x1.b445c70460a16p-10, 0x1.3cfebfc883eadp-12, -0x1.b0c49a690deddp-13, -0x1.bdd5fd354cb29p-13};
ACTIVATION(telu)
{
    const double y = between(x, (real)-FAR, 4);
    const exponential u = exp_(exact(y));
    const reduced e = reduce_close(scale(u.value, -2));
    const double s = pow2(e.k); /* k >= -158 */
    const num m = add_big(big_sum(-1, s), scale(e.p, s)); /* 2^k - 1 is 0 or the larger */
    const num d = add_big(exact(2), m);
    const num t = ratio(negative(m), d);
    const num r = reciprocal(d), w = scale(mul(one_plus(e.p), mul(r, r)), 4 * s);
    const double df = rounded(add(t, times(mul(u.value, w), y))) * u.tail;
    return (dual){
        .f = x > y ? (double)x : __builtin_copysign(rounded_multiple(t, y) * u.tail, x),
        .df = beside_root(x, df, TELU_ROOT, TELU_SERIES),
    };
}
#if CACT_REAL == 32
#include "../tables/telu.h"
#include "../tables/telu_grad.h"
FLOATS(telu, 15.9f, 7.5f)
{
    const vector f = on_pieces_times_finely(&telu_pieces, 6, vector_at_most(x, vector_of(3)), x, of_f);
    return (floats){
        .f = with_sign_of(f, x), /* of -0 */
        .df = on_pieces_with_root(&telu_grad_pieces, 7, vector_at_most(x, vector_of(3.2f)), of_df),
        .f_at = -x,
        .df_at = -x,
    };
}
#else
DOUBLES(telu, 650, 650)
{
    const vector y = vector_at_most(x, vector_of(4));
    const two u = exp_of_terms(exp_terms_of(only(y), TO_ONE));
    const exp_terms e = exp_terms_of((two){-2 * u.hi, -2 * u.lo}, TO_ITSELF);
    const two n = normalized_two(one_minus_exp(e));
    const tanh_parts t = tanh_of(n);
    /* f' = (n d + 4 x u (1 - n))/d^2, d = 2 - n */
    const vector c = 2 - n.hi;
    const two d = {c, ((2 - c) - n.hi) - n.lo};
    const two slope = two_add(two_mul(n, d), two_times(two_mul(u, exp_of_terms(e)), 4 * y));
    const vector f = with_sign_of(vector_fma(x, t.q, x * (t.r * t.y)), x); /* of -0 */
    return (doubles){
        .f = where_less(x, 4, f, x),
        .df = quotient(slope, two_square(d)),
        .f_at = -x,
        .df_at = -x,
        .root = root_at(x, vector_of(0), TELU_ROOT, TELU_SERIES),
    };
}
#endif
#endif
ROW_VECTORS(telu, HEAVY)
