/* exp_precise.h - e^z for formulas that multiply its error: e^-v loses as many bits as v has. */

/* e^z, |z| <= 600: relative error 2^-44 (float32), 2^-69 (float64). */
INLINE num exp_precise(num z)
{
#if CACT_REAL == 32
    const double k = fma_(z, LOG2E, ROUNDER);
    const double r = fma_(-(k - ROUNDER), LN2_LO, fma_(-(k - ROUNDER), LN2_HI, z)), s = r * r;
    /* tools/exp.sollya: r + r^2 Q(r), 2^-44.1 */
    double even = fma_(0x1.a136c5fb0db19p-16, s, 0x1.6c166bda256ddp-10);
    double odd = fma_(0x1.72e11c7b0f4c6p-19, s, 0x1.a01997d39997p-13);
    even = fma_(even, s, 0x1.55555565c9473p-5);
    odd = fma_(odd, s, 0x1.11111121852fbp-7);
    even = fma_(even, s, 0x1.fffffffffe05ep-2);
    odd = fma_(odd, s, 0x1.5555555552752p-3);
    return (1 + fma_(s, fma_(odd, r, even), r)) * pow2(k);
#else
    const double k = fma_(z.hi, LOG2E, ROUNDER), n = k - ROUNDER;
    const num r = big_sum(fma_(-n, LN2_HI, z.hi), fma_(-n, LN2_LO, z.lo)); /* as in reduce() */
    const double t = r.hi, s = t * t;
    /* tools/exp.sollya: 1 + r + ... + r^5/120 + r^6 Q(r), 2^-71.1; down from r^5 in two words */
    double even = fma_(0x1.946109af85beep-37, s, 0x1.1eed6e38b753fp-29);
    double odd = fma_(0x1.6198d6afb2913p-33, s, 0x1.ae644180d1775p-26);
    even = fma_(even, s, 0x1.27e4fb7c1179ap-22);
    odd = fma_(odd, s, 0x1.71de3a56d3455p-19);
    even = fma_(even, s, 0x1.a01a01a019814p-16);
    odd = fma_(odd, s, 0x1.a01a01a019f4bp-13);
    num q = add_big(pair(0x1.1111111111111p-7, 0x1.1111111111111p-63),
                    exact(t * fma_(odd, t, fma_(even, s, 0x1.6c16c16c16c17p-10))));
    q = add_big(pair(0x1.5555555555555p-5, 0x1.5555555555555p-59), mul(r, q));
    q = add_big(pair(0x1.5555555555555p-3, 0x1.5555555555555p-57), mul(r, q));
    q = add_big(exact(0.5), mul(r, q));
    return scale(one_plus(add_big(r, mul(mul(r, r), q))), pow2(k));
#endif
}

/* a y, rounded once also where y is subnormal; |y| <= 2^800. */
INLINE double rounded_multiple(num a, double y)
{
#if CACT_REAL == 32
    return a * y;
#else
    return rounded_times(a, y * 0x1p200) * 0x1p-200;
#endif
}
