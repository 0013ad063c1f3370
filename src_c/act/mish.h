/* mish(x) = x tanh(log(1 + e^x))                          Misra 2019, arXiv:1908.08681
 * With u = e^x and w = u(u+2):  tanh(log(1+u)) = w/(w+2), f' = w/(w+2) + 4x u(1+u)/(w+2)^2.
 * x is clamped at 45, where f is x and f' is 1 to the last bit.
 * f' crosses zero at -1.1924312145154952121.
 * Measured in ULP, all float32: f 1 at 2.89354961e-38, f' 0.9851 at -1.47283232;
 *    12 M float64: f 0.8 at 2.07306606e-308, f' 0.8883 at -0.999999913. */
#ifdef BODIES
ACTIVATION(mish)
{
    static const double c[] = {
        0x1.a34a251d8ad7bp-3, 0x1.574f121a868dbp-5, -0x1.4c222fe64d4fbp-6, -0x1.03369d4ac90fap-6,
        -0x1.b87ddfb51b745p-9, 0x1.1e5e184a0fe00p-10, 0x1.03799182b217fp-10, 0x1.0a7954e868670p-12,
        -0x1.5fffa067220abp-15, -0x1.d453aef9813d0p-15, -0x1.223bcd6871175p-16, 0x1.fa20aae0364c5p-21};
    double y = clamped(x, x < 0 ? (real)FAR : 45);
    exponential e = exp_(exact(y));
    num u = e.value, w = add(mul(u, u), scale(u, 2));
    num d = add(w, exact(2)), r = reciprocal(d);
    num t = ratio(w, d);
    num g = times(mul(mul(u, add(u, exact(1))), mul(r, r)), 4 * y);
    double df = rounded(add(t, g)) * e.tail;
    return (dual){
        .f = x > 45 ? (double)x : __builtin_copysign(rounded(times(t, y)) * e.tail, x),
        .df = beside_root(x, df, -0x1.31432c0d12d84p+0, -0x1.bf319154da210p-55, 0x1.115acb42500bbp-2,
                          0x1.1ad72de557d4cp-56, c),
    };
}
#if CACT_REAL == 32
#include "../tables/mish.h"
#include "../tables/mish_grad.h"
FLOATS(mish, 15.9f, 9.6f)
{
    const vector y = vector_at_most(x, vector_of(9));
    return (floats){
        .f = with_sign_of(on_pieces_times_finely(&mish_pieces, 6, y, x, of_f), x), /* of -0 */
        .df = on_pieces_with_root(&mish_grad_pieces, 6, vector_at_most(x, vector_of(10.6f)), of_df),
        .f_at = -x,
        .df_at = -x,
    };
}
#endif
#endif
ROW_FLOATS(mish, HEAVY)
