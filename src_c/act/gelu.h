/* gelu(x) = x Phi(x) = max(x, 0) - t Phi(-t), t = |x|, with Phi(-t) = E M(t), E = e^{-t^2/2}:
 * the tail is as exact as the rest, down to the subnormals.  t^2 is kept to its last bit.
 * f' = Phi(x) + x phi(x) = L below 0, 1 - L above, L = E (M(t) - t/sqrt(2 pi)); it crosses
 * zero at -0.75179152469356445746.
 * Measured in ULP, all float32: f 0.9429 at -5.6084218, f' 0.9096 at -0.917751551;
 *    12 M float64: f 0.8193 at 0.136828172, f' 1.154 at -0.6931472. */
#ifdef BODIES
#define GELU_ROOT -0x1.80ead197f00b4p-1, 0x1.13e74c58cada8p-56, 0x1.b9d98fa5a3215p-2, 0x1.f7c1a23190c7cp-56
static const double GELU_SERIES[] = {
    0x1.8d9a941de3ac5p-2, -0x1.2a2ef9bb865aep-6, -0x1.d2fa4c17c7e84p-4, -0x1.e4088244f901dp-7,
    0x1.3e346def42057p-6, 0x1.297b9d6ffaacdp-8, -0x1.258a6d85633afp-9, -0x1.8680f74e6b6bap-11,
    0x1.86c863b66083cp-13, 0x1.69610924deba8p-14, -0x1.784acad4b941ep-17, -0x1.03fec69bdd554p-17};
ACTIVATION(gelu)
{
    const double t = magnitude(x, sizeof(real) == 4 ? (real)14.6 : 40);
    exponential e = exp_(product(t, -0.5 * t));
    num m = mills(t);
    num tail = times(mul(e.value, m), t);
    num l = mul(e.value, sub(m, times(pair(ROOT2PI_INV), t)));
    double f = x < 0 ? -rounded(tail) * e.tail : rounded(sub(exact(t), tail));
    double df = x < 0 ? rounded(l) * e.tail : rounded(sub(exact(1), l));
    return (dual){
        .f = x > t ? (double)x : __builtin_copysign(f, x),
        .df = beside_root(x, df, GELU_ROOT, GELU_SERIES),
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
#else
/* M(t), 0 <= t <= 8, to 2^-56: y G(y - 1/8), y = 1/(t + 5) (tools/remez.py: 2^-60.4), the lowest steps in two words.
 * M' = t M - 1/sqrt(2 pi) has what y lost. */
INLINE two mills_two(vector t)
{
    const vector d = t + 5, d_low = t - (d - 5), y = 1 / d;
    const vector lost = vector_fma(y, d_low, vector_fma(y, d, vector_of(-1)));
    const vector v = y - 0.125, w = v * v;
    vector odd = vector_fma(vector_of(0x1.1f3a6598bdfdbp+35), w, vector_of(-0x1.5249459ff561cp+30));
    vector even = vector_fma(vector_of(-0x1.84c2de7a53bffp+33), w, vector_of(0x1.0507a5d69a532p+30));
    odd = vector_fma(odd, w, vector_of(0x1.01962617d20fep+26));
    even = vector_fma(even, w, vector_of(-0x1.4538f553c4554p+26));
    odd = vector_fma(odd, w, vector_of(-0x1.ae3a426dea4a8p+22));
    even = vector_fma(even, w, vector_of(0x1.9f595a8fc1870p+22));
    odd = vector_fma(odd, w, vector_of(0x1.238653eb70f83p+20));
    even = vector_fma(even, w, vector_of(-0x1.d583ae7a789e6p+18));
    odd = vector_fma(odd, w, vector_of(-0x1.8de1feee543d5p+17));
    even = vector_fma(even, w, vector_of(0x1.51d81cf2a7431p+10));
    odd = vector_fma(odd, w, vector_of(0x1.756bfe51d6e6bp+14));
    even = vector_fma(even, w, vector_of(0x1.42b45774103f8p+13));
    odd = vector_fma(odd, w, vector_of(0x1.54547282e70e1p+11));
    even = vector_fma(even, w, vector_of(0x1.084d79af9b077p+9));
    const vector h = vector_fma(odd, v, even);
    const vector c2 = vector_of(0x1.41c3b1b496a4dp+6), c1 = vector_of(0x1.3ac1941d37b93p+3);
    const vector c0 = vector_of(0x1.f1b89c231e9b8p-1);
    const vector g2 = vector_fma(h, v, c2), g2_low = vector_fma(h, v, c2 - g2) - 0x1.3361169f34cddp-49;
    const vector g1 = vector_fma(g2, v, c1);
    const vector g1_low = vector_fma(g2, v, c1 - g1) + vector_fma(g2_low, v, vector_of(-0x1.e757c8ec6b6ddp-51));
    const vector g = vector_fma(g1, v, c0);
    const vector g_low = vector_fma(g1, v, c0 - g) + vector_fma(g1_low, v, vector_of(-0x1.defe0e7b4fb33p-55));
    const vector m = g * y, slope = vector_fma(t, m, vector_of(-0x1.9884533d43651p-2));
    return (two){m, vector_fma(slope, d * lost, vector_fma(g_low, y, vector_fma(g, y, -m)))};
}

DOUBLES(gelu, 8, 8)
{
    const vector size = vector_size(x), t = vector_at_most(size, vector_of(12)), z = -0.5 * t * t;
    const two e = exp_of_terms(exp_terms_of((two){z, vector_fma(-0.5 * t, t, -z)}, TO_ONE));
    const two m = mills_two(vector_at_most(t, vector_of(8)));
    const two v = two_times(m, t);
    const vector more = vector_fma(e.hi, v.hi, vector_fma(e.hi, v.lo, e.lo * v.hi));
    const vector f = select_where(IS_LESS(t, vector_of(0x1p-100)), 0.5 * t, more); /* where v.lo may be subnormal */
    const two slope = two_add(m, two_times(two_of(ROOT2PI_INV), -t));
    const vector l = vector_fma(e.hi, slope.hi, vector_fma(e.hi, slope.lo, e.lo * slope.hi));
    return (doubles){
        .f = with_sign_of(positive(x) - f, x), /* of 0 */
        .df = where_negative(x, l, 1 - l),
        .f_at = -x,
        .df_at = -x,
        .root = root_at(x, vector_of(0), GELU_ROOT, GELU_SERIES),
    };
}
#endif
#endif
ROW_VECTORS(gelu, HEAVY)
