/* erf.h - the error function of an argument with two words, which arrives with its e^(-z^2). */

#define TWO_OVER_ROOTPI 0x1.20dd750429b6dp0, 0x1.1ae3a914fed8p-56
#define ROOT2 0x1.6a09e667f3bcdp0, -0x1.bdd3413b26456p-54

/* a with its low word below half an ulp: log1p_ leaves more there than a product may drop. */
INLINE num normalized(num a)
{
#if CACT_REAL == 32
    return a;
#else
    return big_sum(a.hi, a.lo);
#endif
}

/* erf(z), 0 <= z <= 10, e = e^(-z^2): relative error 2^-33 or 2^-57.  Below 1/2 z P(z^2), above
 * 1 - 2 M(z sqrt(2)) e, which has no relative accuracy to lose there. */
INLINE num erf_(num z, num e)
{
    const num t = mul(z, pair(ROOT2)), s = mul(z, z);
#if CACT_REAL == 32
    /* tools/erf.sollya: 2^-36.2 */
    const double s2 = s * s;
    const double a = fma_(-0x1.812746700b27cp-2, s, 0x1.20dd75041b86ep0);
    const double b = fma_(-0x1.b8203f8babbb6p-6, s, 0x1.ce2ef291ad07ep-4);
    const double c = fma_(-0x1.93785046fe19p-11, s, 0x1.54d18f68bc954p-8);
    return pick(is_less(z, 0.5), z * fma_(fma_(c, s2, b), s2, a), 1 - 2 * mills(t) * e);
#else
    /* tools/erf.sollya: 2^-65.7; the two lowest terms in two words */
    const double w = s.hi, w2 = w * w;
    double even = fma_(0x1.f2c9e5d2ee504p-27, w2, 0x1.b9fd135a7842p-20);
    double odd = fma_(-0x1.607d703b0b6e3p-23, w2, -0x1.f4d31e5e81154p-17);
    even = fma_(even, w2, 0x1.f9a32a76f10f2p-14);
    odd = fma_(odd, w2, -0x1.c02db40912bd8p-11);
    even = fma_(even, w2, 0x1.565bcd0e75f5p-8);
    odd = fma_(odd, w2, -0x1.b82ce31288c2bp-6);
    even = fma_(even, w2, 0x1.ce2f21a042be2p-4);
    num p = add_big(pair(-0x1.812746b0379e7p-2, 0x1.ee12e49cab7p-57), exact(w * fma_(odd, w, even)));
    p = mul(z, add_big(pair(TWO_OVER_ROOTPI), mul(s, p)));
    num m = mills(t.hi); /* and what the lower word adds: M' = t M - 1/sqrt(2 pi) */
    m.lo = fma_(t.lo, fma_(t.hi, m.hi, -0x1.9884533d43651p-2), m.lo);
    return pick(is_less(z.hi, 0.5), p, sub(exact(1), scale(mul(m, e), 2)));
#endif
}
