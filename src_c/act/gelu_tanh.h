/* gelu_tanh(x) = x (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3)))/2 = x s(v), s = sigmoid,
 * v = x (a + b x^2), a = 2 sqrt(2/pi), b = 0.044715 a, all as pairs: v loses no bit, or
 * s(v) would lose as many as v has.  f' = s(v) + x v' s(v) s(-v), x v' = x (a + 3 b x^2);
 * it crosses zero at -0.75246142207101625849.
 * Measured in ULP, all float32: f 0.9931 at -5.38721752, f' 0.9142 at -5.09414959;
 *    12 M float64: f 0.7984 at 0.651083023, f' 1.569 at -0.685427659. */
#ifdef BODIES
#define GELU_TANH_A 0x1.9884533d43651p+0, -0x1.cbc0d30ebfd15p-54
#define GELU_TANH_B 0x1.2444f2a4d8b4bp-4, -0x1.6c843a29d1c70p-61
#define GELU_TANH_ROOT -0x1.81429f9e97e4dp-1, 0x1.4f523ed77dbdcp-55, 0x1.b8bacd2c96b91p-2, 0x1.7625a206be83dp-56
static const double GELU_TANH_SERIES[] = {
        0x1.8cd1a2b2fff33p-2, -0x1.029615edb077ap-6, -0x1.d2b77346470abp-4, -0x1.104a83edc0ddcp-6,
        0x1.427996dc249cep-6, 0x1.58c9ed713486cp-8, -0x1.3d8d64170bb72p-9, -0x1.e63f294331885p-11,
        0x1.14bf895a69517p-12, 0x1.04936f0ef73dbp-13, -0x1.253bce9ecae48p-15, -0x1.0b9c949575db9p-16};
ACTIVATION(gelu_tanh)
{
    const num a = pair(GELU_TANH_A), b = pair(GELU_TANH_B);
    const double y = between(x, sizeof(real) == 4 ? -12 : -22, 12); /* v = -143, -795, 143 */
    num bxx = mul(b, product(y, y));
    num v = times(add(a, bxx), y), w = times(add(a, times(bxx, 3)), y);
    dual d = times_sigmoid(x, y, v, w);
    d.df = beside_root(x, d.df, GELU_TANH_ROOT, GELU_TANH_SERIES);
    return d;
}
#if CACT_REAL == 32
#include "../tables/gelu_tanh.h"
#include "../tables/gelu_tanh_grad.h"
FLOATS(gelu_tanh, 5.8f, 5.8f)
{
    const vector t = vector_magnitude(x, 5.8f), g = on_pieces_with_root(&gelu_tanh_grad_pieces, 6, t, of_df);
    return (floats){
        .f = with_sign_of(positive(x) - on_pieces_times_finely(&gelu_tanh_pieces, 6, t, t, of_f), x), /* of 0 */
        .df = reflected(g, x),
        .f_at = -x,
        .df_at = -x,
    };
}
#else
DOUBLES(gelu_tanh, 21, 7) /* |v| < 700, 40 */
{
    const vector t = vector_size(x);
    const two cubic = two_times(two_mul(two_of(GELU_TANH_B), two_product(t, t)), t);
    const two v = two_add(two_times(two_of(GELU_TANH_A), t), cubic), w = two_add(v, (two){2 * cubic.hi, 2 * cubic.lo});
    const vector g = times_sigmoid_slope(v, w).hi;
    return (doubles){
        .f = times_sigmoid_of(x, v),
        .df = where_negative(x, g, 1 - g),
        .f_at = t,
        .df_at = t,
        .root = root_at(x, vector_of(0), GELU_TANH_ROOT, GELU_TANH_SERIES),
    };
}
#endif
#endif
ROW_VECTORS(gelu_tanh, HEAVY)
