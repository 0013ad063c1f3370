/* trigonometry.h - sines of products, the argument reduced exactly however large it is.
 *
 * After Payne and Hanek (SIGNUM Newsletter 18, 1983): of m 2^n/pi, m a whole number, only the bits of 1/pi
 * below 2^-n matter, for those above give whole multiples.  The window of bits is cut into pieces of 52, so
 * that all sums but the last are exact.  An error of 2^-76 (float32) or 2^-140 is left, where the closest
 * that a float or double comes to a multiple of pi is about 2^-34 or 2^-61. */

/* A number modulo 1: `whole` a multiple of 2^-52, the others below 2^-50 and 2^-100. */
typedef struct {
    double whole, rest, more;
} turn;

#define EXPONENT(bits) ((int64_t)((bits) >> 52 & 0x7ff) - 1023)
#define FRACTION 0x000fffffffffffffu

INLINE double with_exponent(uint64_t bits, int64_t e) /* the sign and fraction of bits, times 2^e */
{
    return from_bits((bits & (SIGN | FRACTION)) | (uint64_t)(e + 1023) << 52);
}

/* h 2^e/pi modulo 1, h normal or 0, |h| < 4, e <= 2046. */
INLINE turn half_turns(double h, int64_t e)
{
    /* tools/inverse_pi.py */
    static const uint64_t INVERSE_PI[] = {
        0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x517cc1b727220a94,
        0xfe13abe8fa9a6ee0, 0x6db14acc9e21c820, 0xff28b1d5ef5de2b0, 0xdb92371d2126e970, 0x0324977504e8c90e,
        0x7f0ef58e5894d39f, 0x74411afa975da242, 0x74ce38135a2fbf20, 0x9cc8eb1cc1a99cfa, 0x4e422fc5defc941d,
        0x8ffc4bffef02cc07, 0xf79788c5ad05368f, 0xb69b3f6793e584db, 0xa7a31fb34f2ff516, 0xba93dd63f5f2f8bd,
        0x9e839cfbc5294975, 0x35fdafd88fc6ae84, 0x2b0198237e3db5d5, 0xf867de104d7a1b0e, 0xd4f1c8b0af730d84,
        0x32ccc2af8a503420, 0x46ffec4026b99398, 0x83030aab6539d464, 0xb0713de04635a3e2, 0x0ce1b3e6ee740495,
        0x41ace23b45cb0e53, 0x6ed7a268ab8c829f, 0x52ff83829fbf19f4, 0x19616f27cc193edd, 0xe19e9377b58f2f7c,
        0x4f9d0f9ae5793f8e, 0xc3f890c83e3e1235, 0x7d376abb9698219d, 0x8ae30a5ace8ce1e1, 0x6256a0a6962e8006};
    const uint64_t bits = to_bits(h);
    const double m = h == 0 ? 0 : with_exponent(bits, 52);
    const int64_t exponent = EXPONENT(bits) + e - 52 + 256, n = exponent > 0 ? exponent : 0;
    const uint64_t *w = INVERSE_PI, word = (uint64_t)n >> 6, s = n & 63, left = 63 - s;
    const uint64_t a = w[word] << s | w[word + 1] >> 1 >> left;
    const uint64_t b = w[word + 1] << s | w[word + 2] >> 1 >> left;
    const double t0 = with_exponent(a >> 12, 0) - 1;
    const double t1 = with_exponent((a & 0xfff) << 40 | b >> 24, -52) - 0x1p-52;
    const double p0 = m * t0, e0 = fma_(m, t0, -p0); /* multiples of 2^-52 */
    const double p1 = m * t1, e1 = fma_(m, t1, -p1); /* of 2^-104 */
    const double two = __builtin_copysign(2, m), p1_hi = (p1 + two) - two, p1_lo = p1 - p1_hi;
    const double whole = (p0 - __builtin_rint(p0) + e0) + (p1_hi - __builtin_rint(p1_hi));
    const double rest = p1_lo + e1;
#if CACT_REAL == 32
    const uint64_t c = w[word + 2] << s;
    const double t2 = with_exponent((b & 0xffffff) << 28 | c >> 36, -104) - 0x1p-104;
    return (turn){whole - __builtin_rint(whole), fma_(m, t2, rest), 0};
#else
    const uint64_t c = w[word + 2] << s | w[word + 3] >> 1 >> left, d = w[word + 3] << s;
    const double t2 = with_exponent((b & 0xffffff) << 28 | c >> 36, -104) - 0x1p-104;
    const double t3 = with_exponent((c & 0xfffffffff) << 16 | d >> 48, -156) - 0x1p-156;
    const double p2 = m * t2, e2 = fma_(m, t2, -p2);
    const num r = sum(rest, p2);
    return (turn){whole - __builtin_rint(whole), r.hi, r.lo + fma_(m, t3, e2)};
#endif
}

/* a x = m 2^e exactly, m = hi + lo, 1 <= |hi| < 4; only for |a x| >= 1/4 if a or x is subnormal. */
typedef struct {
    double hi, lo;
    int64_t e;
} factors;

INLINE factors factors_(double a, double x)
{
    /* a subnormal number times 2^200 is none */
    const mask a_tiny = is_less(abs_(a), 0x1p-900), x_tiny = is_less(abs_(x), 0x1p-900);
    const uint64_t ua = to_bits(a * choose(a_tiny, 0x1p200, 1));
    const uint64_t ux = to_bits(x * choose(x_tiny, 0x1p200, 1));
    const double ma = with_exponent(ua, 0), mx = with_exponent(ux, 0), hi = ma * mx;
    return (factors){hi, fma_(ma, mx, -hi),
                     EXPONENT(ua) + EXPONENT(ux) - (int64_t)(a_tiny & 200) - (int64_t)(x_tiny & 200)};
}

/* pi (t + u + shift), reduced to |result| <= pi/2; |shift| <= 1/4 a multiple of 2^-52. */
INLINE num reduced_angle(turn t, turn u, double shift)
{
    const double g = t.whole + u.whole + shift, whole = g - __builtin_rint(g);
#if CACT_REAL == 32
    return 0x1.921fb54442d18p1 * (whole + (t.rest + u.rest));
#else
    const num r = sum(t.rest, u.rest), v = big_sum(whole, r.hi);
    const num pi = pair(0x1.921fb54442d18p1, 0x1.1a62633145c07p-53);
    return mul(pair(v.hi, v.lo + (r.lo + (t.more + u.more))), pi);
#endif
}

/* sin(z)/z, |z| <= pi/2: relative error 2^-35 or 2^-59. */
INLINE num sinc(num z)
{
#if CACT_REAL == 32
    /* tools/sin.sollya: 2^-35.1 */
    const double s = z * z, s2 = s * s;
    const double a = fma_(-0x1.5555554445645p-3, s, 0x1.ffffffffdaa68p-1);
    const double b = fma_(-0x1.a017d0ece763p-13, s, 0x1.11110c038a378p-7);
    const double c = fma_(-0x1.9a6c28a0a7c9bp-26, s, 0x1.71703799f148ep-19);
    return fma_(fma_(c, s2, b), s2, a);
#else
    /* tools/sin.sollya: 1 - s/6 + s^2/120 + s^3 P(s), 2^-64.7; all but P in two words */
    const num s = mul(z, z);
    const double w = s.hi, w2 = w * w;
    double even = fma_(-0x1.292c64ada00a3p-57, w2, -0x1.ae7f1cd23e0cep-41);
    double odd = fma_(0x1.95180e9b957bdp-49, w2, 0x1.6124611e641bbp-33);
    even = fma_(even, w2, -0x1.ae64567f3e7b7p-26);
    odd = fma_(odd, w2, 0x1.71de3a556c6d7p-19);
    even = fma_(even, w2, -0x1.a01a01a01a01ap-13);
    const num q = add_big(pair(0x1.1111111111111p-7, 0x1.1111111111111p-63), exact(w * fma_(odd, w, even)));
    const num r = add_big(pair(-0x1.5555555555555p-3, -0x1.5555555555555p-57), mul(s, q));
    return add_big(exact(1), mul(s, r));
#endif
}
