/* tanhshrink(x) = x - tanh x;  f' = tanh(x)^2
 * Below |x| = 0.5 (float64: 0.7) as x^3 P(x^2) (tools/tanhshrink.sollya: relative error 2^-34.5, 2^-63.9);
 * from there on the difference loses at most 4 bits of the 2^-32 (3 of the 2^-57) that tanh has.
 * x^3 is scaled: f leaves the subnormals at |x| = 1.6e-15 (float32), 2.5e-108 (float64).
 * Measured in ULP, all float32: f 0.8879 at 0.774216056, f' 0.8746 at 1.64390814;
 *    12 M float64: f 0.8853 at -0.594230429, f' 1.443 at 0.173538599. */
#ifdef BODIES
ACTIVATION(tanhshrink)
{
#if CACT_REAL == 32
    static const double c[] = {-0x1.1111110f5681fp-3, 0x1.ba1b99d3a09cfp-5, -0x1.664c5a981f55fp-6,
                               0x1.220800fc0efbdp-7, -0x1.ca159e38b5759p-9, 0x1.1cf497659d547p-10};
#else
    static const double c[] = {
        -0x1.1111111111111p-3, 0x1.ba1ba1ba1b9d7p-5, -0x1.664f4882be7a0p-6, 0x1.226e355db0eb4p-7,
        -0x1.d6d3d0a510538p-9, 0x1.7da35e3304755p-10, -0x1.3557b991ab43bp-11, 0x1.f5734a5558199p-13,
        -0x1.9625b01051aaap-14, 0x1.4753d5e87f028p-15, -0x1.014ed98414583p-16, 0x1.71ffaeca8fc46p-18,
        -0x1.a1b7166b8f779p-20, 0x1.059d6caf0c35bp-22};
#endif
    const double t = magnitude(x, (real)0x1p60), u = t * t;
    const reduced e = reduce(exact(-2 * smaller(t, FAR / 2)));
    const double s = pow2(at_least(e.k, -900));
    const num m = add_big(big_sum(-1, s), scale(e.p, s)); /* the first sum is 0 or the larger */
    const num th = ratio(negative(m), add_big(exact(2), m));
    const int last = sizeof c / sizeof c[0] - 1;
    double r = c[last];
#pragma GCC unroll 16
    for (int i = last - 1; i >= 0; i--)
        r = fma_(r, u, c[i]);
    const num poly = add_big(pair(0x1.5555555555555p-2, 0x1.5555555555555p-56), exact(u * r));
    const double v = t * 0x1p200;
    const double near = rounded(mul(times(product(v, v), v), poly)) * 0x1p-600;
    const double far = rounded(sub(exact(t), th)), f = t < (sizeof(real) == 4 ? 0.5 : 0.7) ? near : far;
    return (dual){
        .f = abs_(x) > t ? (double)x : __builtin_copysign(f, x),
        .df = rounded_product(th, th),
    };
}
#if CACT_REAL == 32
#include "../tables/tanhshrink.h"
#include "../tables/tanhshrink_grad.h"
/* x^3 H(t) and x^2 K(t), t = |x|, with the square in two words */
FLOATS(tanhshrink, 9.4f, 9.4f)
{
    const vector t = vector_size(x), u = x * x, u_low = vector_fma(x, x, -u);
    const piece h = piece_of(&tanhshrink_pieces, t, of_f), k = piece_of(&tanhshrink_grad_pieces, t, of_df);
    const vector h_rest = rest_of(&tanhshrink_pieces, 5, 0, h);
    const vector k_rest = rest_of(&tanhshrink_grad_pieces, 5, 0, k);
    const vector q = u * h.value, q_low = vector_fma(u, h.value, -q) + vector_fma(u_low, h.value, u * h_rest);
    return (floats){
        .f = vector_fma(x, q, x * q_low),
        .df = vector_fma(u, k.value, vector_fma(u_low, k.value, u * k_rest)),
        .f_at = where(t > 0x1p-20f, t, vector_of(INFINITY)),
        .df_at = where(t > 0x1p-40f, t, vector_of(INFINITY)),
    };
}
#else
/* Below 0.6 x^3/3 + x^5 R(x^2), x^3 = a + a_low (tools/remez.py: 2^-57.3 of f) */
DOUBLES(tanhshrink, INFINITY, INFINITY)
{
    const vector t = vector_size(x), u = t * t, v = u * u, a = t * u;
    const vector u_low = vector_fma(t, t, -u), a_low = vector_fma(t, u_low, vector_fma(t, u, -a));
    vector odd = vector_fma(vector_of(-0x1.d419f20b894d2p-18), v, vector_of(-0x1.87bd6616aabefp-14));
    vector even = vector_fma(vector_of(0x1.0ddd380e6cbbbp-15), v, vector_of(0x1.f319553a3d1e7p-13));
    odd = vector_fma(odd, v, vector_of(-0x1.3536e2d699c85p-11));
    even = vector_fma(even, v, vector_of(0x1.7da0f73dae9d3p-10));
    odd = vector_fma(odd, v, vector_of(-0x1.d6d3b306d22e9p-9));
    even = vector_fma(even, v, vector_of(0x1.226e34ea812fap-7));
    odd = vector_fma(odd, v, vector_of(-0x1.664f4880b4d21p-6));
    even = vector_fma(even, v, vector_of(0x1.ba1ba1ba1701ap-5));
    const vector r = vector_fma(vector_fma(odd, u, even), u, vector_of(-0x1.11111111110f4p-3));
    const vector third = vector_of(0x1.5555555555555p-2), third_low = vector_of(0x1.5555555555555p-56);
    const vector rest = vector_fma(u, r, vector_fma(u_low, vector_of(-0.1), third_low)); /* -0.1 for r */
    const vector near = vector_fma(a, third, vector_fma(a, rest, a_low * third));

    const tanh_parts th = tanh_of(tanh_argument(t));
    const vector far = t - th.q;
    const vector f = where_less(t, 0.6, near, far + vector_fnma(th.r, th.y, (t - far) - th.q));
    const vector at = where(t > 0x1p-300, t, vector_of(INFINITY)); /* clear of the subnormals */
    return (doubles){
        .f = with_sign_of(f, x),
        .df = vector_fma(th.q, th.q, 2 * th.q * (th.r * th.y)),
        .f_at = at,
        .df_at = at,
    };
}
#endif
#endif
ROW_VECTORS(tanhshrink, HEAVY)
