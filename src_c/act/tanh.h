/* tanh(x) = -m/(2 + m) sign(x), m = e^{-2|x|} - 1;  f' = 4 s(2x) s(-2x), s = sigmoid
 * m = (2^k - 1) + 2^k p with p exact to the last bits near 0, so nothing cancels.
 * |f| rounds to 1 from 9.02 (float32), 19.07 (float64); f' is 0 from 52.7, 373.3.
 * Measured in ULP, all float32: f 0.9996 at 0.0622501634, f' 0.7723 at 2.43507719;
 *    12 M float64: f 0.8309 at -0.176050628, f' 0.7868 at -355.079844. */
#ifdef BODIES
ACTIVATION(tanh)
{
    const reduced e = reduce(exact(-2 * (double)magnitude(x, FAR / 2)));
    const double s = pow2(at_least(e.k, -900));
    const num m = add_big(big_sum(-1, s), scale(e.p, s)); /* the first sum is 0 or the larger */
    const logistic l = logistic_(exact(-2 * (double)magnitude(x, FAR / 2)));
    return (dual){
        .f = __builtin_copysign(rounded(ratio(m, add_big(exact(2), m))), x),
        .df = rounded_product(l.s, l.one_minus_s) * (4 * UNSCALED),
    };
}
FROM_OUTPUT(tanh) { return (1 - y) * (1 + y); }
#if CACT_REAL == 32
/* t = |x| in 16 intervals, four an octave of 1.6 t + 1: tanh(center) + d P(d), d = t - center, where
 * tanh(center) is nearly a float (tools/tanh_table.py: 2^-26 beside 1, else 2^-29).  1 from 9.375 on. */
#include "../tables/tanh_grad.h"
FLOATS(tanh, INFINITY, 8.07f)
{
    static const float center[16] = {
        0x1.8fee06p-1f, 0x1.17f436p0f, 0x1.67ecf2p0f, 0x1.b7ed72p0f, 0x1.17f80cp1f, 0x1.68176p1f,
        0x1.b811f8p1f, 0x1.040308p2f, 0x1.3ffc3cp2f, 0x1.9002f8p2f, 0x1.e0177p2f, 0x1.17e89p3f, 0,
        0x1.e01738p-3f, 0x1.8feb4ep-2f, 0x1.1811d8p-1f};
    static const float value[16] = {
        0x1.4e833cp-1f, 0x1.98aab8p-1f, 0x1.c5f4c2p-1f, 0x1.e0175ap-1f, 0x1.f3438ep-1f, 0x1.fc534cp-1f,
        0x1.fef1b4p-1f, 0x1.ffb272p-1f, 0x1.fff418p-1f, 0x1.ffff06p-1f, 0x1.ffffecp-1f, 0x1.fffffep-1f, 0,
        0x1.d77c5ap-3f, 0x1.7cc13cp-2f, 0x1.fe3c44p-2f};
    static const float p0[16] = {
        0x1.2572a8p-1f, 0x1.739f64p-2f, 0x1.b607bep-3f, 0x1.eea1bp-4f, 0x1.927c8ap-5f, 0x1.d4a9fep-7f,
        0x1.0e04bap-8f, 0x1.36209ap-10f, 0x1.7d0374p-13f, 0x1.f409c4p-17f, 0x1.4774c4p-20f,
        0x1.b114d6p-24f, 0x1p0f, 0x1.e4dd2ap-1f, 0x1.b93638p-1f, 0x1.80e17ap-1f};
    static const float p1[16] = {
        -0x1.7f72p-2f, -0x1.289eeep-2f, -0x1.845f4p-3f, -0x1.cfce26p-4f, -0x1.88796cp-5f, -0x1.d14cdcp-7f,
        -0x1.0d7628p-8f, -0x1.35f19ap-10f, -0x1.7cf884p-13f, -0x1.f4061ep-17f, -0x1.f19c3cp-20f,
        0x1.4a84cp-22f, -0x1.f2fecp-24f, -0x1.be7f2ep-3f, -0x1.481cc4p-2f, -0x1.7f8de8p-2f};
    static const float p2[16] = {
        0x1.b6ff7ap-5f, 0x1.c3869cp-4f, 0x1.8cad0ap-4f, 0x1.0e077ap-4f, 0x1.f12056p-6f, 0x1.31b64p-7f,
        0x1.65cp-9f, 0x1.9cb4b2p-11f, 0x1.fa896ap-14f, 0x1.4c780ep-17f, 0x1.b88bep-21f, 0x1.3af78ep-24f,
        -0x1.55529p-2f, -0x1.0fdb3p-2f, -0x1.58422p-3f, -0x1.05db88p-4f};
    static const float p3[16] = {
        0x1.6fca66p-4f, 0x1.18dea8p-7f, -0x1.73233ap-6f, -0x1.8a5f54p-6f, -0x1.be4218p-7f, -0x1.28e134p-8f,
        -0x1.62ccd6p-10f, -0x1.9bbc6ep-12f, -0x1.fa8852p-15f, -0x1.4c9042p-18f, 0x1.05b69p-18f,
        -0x1.776cf6p-19f, -0x1.49a20ep-12f, 0x1.11ea1cp-3f, 0x1.5ac9e6p-3f, 0x1.40fa7ep-3f};
    static const float p4[16] = {
        -0x1.013aap-4f, -0x1.233946p-5f, -0x1.f465fap-8f, 0x1.9f9fd8p-9f, 0x1.14ab22p-8f, 0x1.c3a08ap-10f,
        0x1.1b3b54p-11f, 0x1.4d104cp-13f, 0x1.b0a518p-16f, 0x1.1c4ebcp-19f, 0x1.31baa2p-23f,
        -0x1.bcb12cp-28f, 0x1.196bc2p-3f, 0x1.46e136p-4f, 0x1.6b329cp-7f, -0x1.4d8634p-5f};
    static const float p5[16] = {
        0x1.b2e5cep-9f, 0x1.34d98cp-6f, 0x1.468a44p-7f, 0x1.424ed2p-9f, -0x1.4b4adp-11f, -0x1.067578p-11f,
        -0x1.6c5ec4p-13f, -0x1.b771fp-15f, -0x1.1ed9e8p-17f, -0x1.79d246p-21f, -0x1.eff25ep-18f,
        0x1.39e644p-18f, -0x1.8bd754p-6f, -0x1.faf472p-5f, -0x1.1fe658p-4f, -0x1.5c0582p-5f};
    const vector t = vector_magnitude(x, 0x1.2bfffep3f);
    const integers i = (integers)vector_fma(vector_of(1.6f), t, vector_of(1)) >> 21;
    const vector d = t - look_up(center, i);
    vector p = vector_fma(look_up(p5, i), d, look_up(p4, i));
    p = vector_fma(p, d, look_up(p3, i));
    p = vector_fma(p, d, look_up(p2, i));
    p = vector_fma(p, d, look_up(p1, i));
    p = vector_fma(p, d, look_up(p0, i));
    return (floats){
        .f = with_sign_of(vector_fma(p, d, look_up(value, i)), x),
        .df = on_pieces(&tanh_grad_pieces, 6, vector_size(x)),
        .f_at = vector_size(x),
        .df_at = vector_size(x),
    };
}
#else
DOUBLES(tanh, INFINITY, 354)
{
    const vector t = vector_size(x), s = sigmoid_of_minus(2 * t);
    const two f = two_of_tanh(only(t));
    return (doubles){
        .f = with_sign_of(f.hi + f.lo, x),
        .df = 4 * vector_fma(-s, s, s),
        .f_at = t,
        .df_at = t,
    };
}
#endif
#endif
ROW_Y_VECTORS(tanh, HEAVY)
