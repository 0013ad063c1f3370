/* tanhshrink(x) = x - tanh x;  f' = tanh(x)^2
 * Below |x| = 1/2 as x^3 P(x^2) (tools/tanhshrink.sollya: relative error 2^-34.5, float64 2^-61.6),
 * from there on the difference loses at most 4 bits of the 2^-32 or 2^-58 that tanh has, see tanh.h.
 * x^3 is scaled: f leaves the subnormals at |x| = 1.6e-15 (float32), 2.5e-108 (float64). */
#ifdef BODIES
ACTIVATION(tanhshrink)
{
    const double t = magnitude(x, (real)0x1p60), u = t * t;
    const reduced e = reduce(exact(-2 * smaller(t, FAR / 2)));
    const double s = pow2(at_least(e.k, -900));
    const num m = add_big(big_sum(-1, s), scale(e.p, s)); /* the first sum is 0 or the larger */
    const num th = ratio(negative(m), add_big(exact(2), m));
#if CACT_REAL == 32
    double r = fma_(0x1.1d090d0d8d1a1p-10, u, -0x1.ca1b5c18a5ac4p-9);
    r = fma_(r, u, 0x1.2208483b77131p-7);
    r = fma_(r, u, -0x1.664c5d5ddd4b3p-6);
    r = fma_(r, u, 0x1.ba1b99dd1517ap-5);
    r = fma_(r, u, -0x1.1111110f59027p-3);
#else
    double r = fma_(-0x1.35f4fbc9cce9cp-17, u, 0x1.2b1f69a930e38p-15);
    r = fma_(r, u, -0x1.9191c99726df1p-14);
    r = fma_(r, u, 0x1.f4fb1fd48a412p-13);
    r = fma_(r, u, -0x1.3553bbda4094ep-11);
    r = fma_(r, u, 0x1.7da33275e88ccp-10);
    r = fma_(r, u, -0x1.d6d3cf7a8e66fp-9);
    r = fma_(r, u, 0x1.226e355b63bdp-7);
    r = fma_(r, u, -0x1.664f4882b9f1bp-6);
    r = fma_(r, u, 0x1.ba1ba1ba1b9a5p-5);
    r = fma_(r, u, -0x1.1111111111111p-3);
#endif
    const num poly = add_big(pair(0x1.5555555555555p-2, 0x1.5555555555555p-56), exact(u * r));
    const double v = t * 0x1p200;
    const double near = rounded(mul(times(product(v, v), v), poly)) * 0x1p-600;
    const double far = rounded(sub(exact(t), th));
    return (dual){
        .f = abs_(x) > t ? (double)x : __builtin_copysign(t < 0.5 ? near : far, x),
        .df = rounded_product(th, th),
    };
}
#endif
ROW(tanhshrink, 0, HEAVY)
