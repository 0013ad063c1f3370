/* real.h - the numbers and the few elementary functions that all activations are built from.
 *
 * Every formula is written once, over the type `num`, which carries more precision than the
 * result, so that rounding once at the end is what is left of the error:
 *
 *     float results    num is double                 relative error about 2^-32
 *     double results   num is hi + lo, two doubles   relative error about 2^-58
 *
 * Everything is branch-free, and fma() is written where it is meant, so that the vector body,
 * the tail and every instruction set give the same bits (compile with -ffp-contract=off).
 * The algorithms on hi + lo are Dekker's and Knuth's: Muller et al., Handbook of
 * Floating-Point Arithmetic, 2nd ed. 2018, chapters 4 and 14.
 * The polynomials come from tools/; each is quoted with its bound.
 */
#ifndef CACT_REAL_H
#define CACT_REAL_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__)
#error "cact's kernels need gcc or clang (or a compiler that speaks their dialect)"
#endif

#define INLINE static inline __attribute__((always_inline, unused))

#define ROOT2PI_INV 0x1.9884533d43651p-2, -0x1.cbc0d30ebfd15p-56 /* 1/sqrt(2 pi) */

INLINE double fma_(double a, double b, double c) { return __builtin_fma(a, b, c); }
INLINE double abs_(double x) { return __builtin_fabs(x); }
INLINE double from_bits(uint64_t u)
{
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

INLINE uint64_t to_bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

#define SIGN 0x8000000000000000u

/* An integer k is kept as k + 1.5 2^52: adding that rounds, and the low bits are k. */
#define ROUNDER 0x1.8p52

/* 2^k for -1022 <= k <= 1023, and 2^(k - j), from k and j so kept. */
INLINE double pow2(double k) { return from_bits((to_bits(k) << 52) + to_bits(1.0)); }
INLINE double at_least(double k, double least) /* compared as bits: both lie in one binade */
{
    int64_t u = (int64_t)to_bits(k), v = (int64_t)to_bits(least + ROUNDER);
    return from_bits((uint64_t)(u > v ? u : v));
}
INLINE double pow2_of_difference(double k, double j)
{
    return from_bits(((to_bits(k) - to_bits(j)) << 52) + to_bits(1.0));
}

/* Choices by mask (all ones or zero) rather than `?:`, whose two arms gcc would carry through
 * everything that follows: 10 to 40 % more work. */
typedef uint64_t mask;

INLINE mask is_negative(double x) { return (uint64_t)((int64_t)to_bits(x) >> 63); }
INLINE mask is_less(double a, double b) { return is_negative(a - b); } /* finite numbers */
INLINE double smaller(double a, double b) /* of two that are not negative */
{
    int64_t u = (int64_t)to_bits(a), v = (int64_t)to_bits(b);
    return from_bits((uint64_t)(u < v ? u : v));
}
INLINE double greater(double a, double b) /* likewise */
{
    int64_t u = (int64_t)to_bits(a), v = (int64_t)to_bits(b);
    return from_bits((uint64_t)(u > v ? u : v));
}
INLINE double made_finite(double x) { return __builtin_copysign(smaller(abs_(x), DBL_MAX), x); }
INLINE double choose(mask m, double a, double b) { return from_bits((to_bits(a) & m) | (to_bits(b) & ~m)); }

/* ------------------------------------------------------------------ num */
#if CACT_REAL == 32

typedef float real;
typedef double num;

INLINE num exact(double a) { return a; }
INLINE num pair(double hi, double lo) { return (void)lo, hi; }
INLINE num sum(double a, double b) { return a + b; }
INLINE num big_sum(double a, double b) { return a + b; }
INLINE num product_plus(double a, double b, double c) { return fma_(a, b, c); }
INLINE num product(double a, double b) { return a * b; }
INLINE num add(num a, num b) { return a + b; }
INLINE num add_big(num a, num b) { return a + b; }
INLINE num sub(num a, num b) { return a - b; }
INLINE num mul(num a, num b) { return a * b; }
INLINE num times(num a, double b) { return a * b; }
INLINE num sqrt_(num a) { return __builtin_sqrt(a); }
INLINE num scale(num a, double b) { return a * b; }
INLINE num reciprocal(num a) { return 1 / a; }
INLINE num ratio(num a, num b) { return a / b; }
INLINE num one_plus(num a) { return 1 + a; }
INLINE num pick(mask m, num a, num b) { return choose(m, a, b); }
INLINE double rounded(num a) { return a; }
INLINE double rounded_product(num a, num b) { return a * b; }
INLINE double rounded_times(num a, double b) { return a * b; }

#else

typedef double real;
typedef struct {
    double hi, lo; /* |lo| is a few ulps of hi at most */
} num;

INLINE num exact(double a) { return (num){a, 0}; }
INLINE num pair(double hi, double lo) { return (num){hi, lo}; }

INLINE num sum(double a, double b) /* exact (Knuth) */
{
    double s = a + b, c = s - a;
    return (num){s, (a - (s - c)) + (b - c)};
}

INLINE num big_sum(double a, double b) /* exact for |a| >= |b|, a = 0, or a a multiple of ulp(b) (Dekker) */
{
    double s = a + b;
    return (num){s, b - (s - a)};
}

INLINE num product(double a, double b) /* exact */
{
    double p = a * b;
    return (num){p, fma_(a, b, -p)};
}

INLINE num add(num a, num b)
{
    num s = sum(a.hi, b.hi);
    return (num){s.hi, s.lo + (a.lo + b.lo)};
}

INLINE num product_plus(double a, double b, double c) { return add(product(a, b), exact(c)); }

INLINE num add_big(num a, num b) /* a and b as in big_sum */
{
    num s = big_sum(a.hi, b.hi);
    return (num){s.hi, s.lo + (a.lo + b.lo)};
}

INLINE num sub(num a, num b) { return add(a, (num){-b.hi, -b.lo}); }

INLINE num mul(num a, num b)
{
    num p = product(a.hi, b.hi);
    return (num){p.hi, fma_(a.hi, b.lo, fma_(a.lo, b.hi, p.lo))};
}

INLINE num times(num a, double b)
{
    num p = product(a.hi, b);
    return (num){p.hi, fma_(a.lo, b, p.lo)};
}

INLINE num scale(num a, double b) { return (num){a.hi * b, a.lo * b}; } /* b a power of 2 */

INLINE num one_plus(num a) /* |a| <= 1 */
{
    num s = big_sum(1, a.hi);
    return (num){s.hi, s.lo + a.lo};
}

INLINE num ratio(num a, num b) /* the residual of the quotient, applied once */
{
    double y = 1 / b.hi, q = a.hi * y;
    return (num){q, y * fma_(-q, b.lo, fma_(-q, b.hi, a.hi) + a.lo)};
}

INLINE num sqrt_(num a) /* the residual of the root, applied once */
{
    double s = __builtin_sqrt(a.hi);
    return (num){s, (fma_(-s, s, a.hi) + a.lo) / (2 * s)};
}

INLINE num reciprocal(num a)
{
    double y = 1 / a.hi;
    return (num){y, y * fma_(-y, a.lo, fma_(-y, a.hi, 1))};
}

INLINE num pick(mask m, num a, num b) { return (num){choose(m, a.hi, b.hi), choose(m, a.lo, b.lo)}; }
INLINE double rounded(num a) { return a.hi + a.lo; }
INLINE double rounded_product(num a, num b) { return fma_(a.hi, b.hi, fma_(a.hi, b.lo, a.lo * b.hi)); }
INLINE double rounded_times(num a, double b) { return fma_(a.hi, b, a.lo * b); }

#endif

INLINE num negative(num a) { return scale(a, -1); }

/* |x| up to `most`, and x itself up to `most` on either side; NaN becomes `most`.  On the bits,
 * because gcc has no vector minimum for doubles unless it may ignore NaN. */
INLINE real magnitude(real x, real most)
{
#if CACT_REAL == 32
    int32_t u, v;
    memcpy(&u, &x, 4);
    memcpy(&v, &most, 4);
    u &= 0x7fffffff;
    u = u < v ? u : v;
    memcpy(&x, &u, 4);
    return x;
#else
    return smaller(abs_(x), most);
#endif
}

/* x between least < 0 and most > 0; -NaN becomes least, NaN most.  As integers, where negative
 * numbers are the greater unsigned ones. */
INLINE real between(real x, real least, real most)
{
#if CACT_REAL == 32
    int32_t u, v;
    uint32_t w, z;
    memcpy(&u, &x, 4);
    memcpy(&v, &most, 4);
    memcpy(&z, &least, 4);
    w = (uint32_t)(u < v ? u : v);
    w = w < z ? w : z;
    memcpy(&x, &w, 4);
    return x;
#else
    const int64_t u = (int64_t)to_bits(x), v = (int64_t)to_bits(most);
    const uint64_t w = (uint64_t)(u < v ? u : v), z = to_bits(least);
    return from_bits(w < z ? w : z);
#endif
}

INLINE real clamped(real x, real most)
{
    real t = magnitude(x, most);
    return sizeof(real) == 4 ? __builtin_copysignf((float)t, (float)x) : (real)__builtin_copysign(t, x);
}

/* x (hi + lo), hi + lo > 0; x may be infinite. */
INLINE double scaled(real x, double hi, double lo)
{
#if CACT_REAL == 32
    return (void)lo, x * hi;
#else
    return fma_(x, hi, clamped(x, DBL_MAX) * lo);
#endif
}

/* a x, rounded once but for results next to the subnormals (0.84 ULP); 0 times inf is 0.  In
 * float32 for every usual a: a = hi + lo, both floats (the test, on a alone, leaves the loop). */
INLINE real proportional(real x, double a)
{
    const double exact_ = x * a;
#if CACT_REAL == 32
    const float hi = (float)a, lo = (float)(a - hi);
    if (abs_(a) > 0x1p-60 && abs_(a) < 0x1p60)
        return __builtin_fmaf(x, hi, between(x, -FLT_MAX, FLT_MAX) * lo);
#endif
    return exact_ == exact_ ? (real)exact_ : 0;
}

/* The greatest real number not above a, and the least not below: x > a where x > not_above(a). */
INLINE real not_above(double a)
{
#if CACT_REAL == 32
    const float r = (float)a;
    int32_t u;
    memcpy(&u, &r, 4);
    u -= -(r > a) & (1 | u >> 31); /* no branch on a, of which gcc would make two loops */
    float below;
    memcpy(&below, &u, 4);
    return below;
#else
    return a;
#endif
}
INLINE real not_below(double a) { return -not_above(-a); }

/* Beyond |z| = FAR, e^-|z| is 0 in the result's type, subnormals and a factor |z| included;
 * beyond FARTHEST with any factor. */
#define FAR (sizeof(real) == 4 ? 300.0 : 800.0)
#define FARTHEST 1500.0

/* ------------------------------------------------------------------ exponential */
/* e^z - 1 = p 2^k + (2^k - 1), p = e^r - 1, |r| <= ln(2)/2, for -1600 <= z <= 700. */
typedef struct {
    num p;
    double k; /* + ROUNDER */
} reduced;

#define LOG2E 0x1.71547652b82fep0
#define LN2_HI 0x1.62e42fefa39efp-1
#define LN2_LO 0x1.abc9e3b39803fp-56

/* Q of e^r - 1 = r + r^2 Q(r), tools/exp.sollya: 2^-62 relative to 1; its first coefficient, 1/2, is
 * given, or 0 where that term is added elsewhere.  Even and odd powers apart: the least work for
 * the multipliers, which are what all this waits for. */
INLINE double exp_rest(double t, double half)
{
    double s = t * t;
    double even = fma_(0x1.1f86f4326bba2p-29, s, 0x1.27e4cfad3d705p-22);
    double odd = fma_(0x1.af4ed0866c5f6p-26, s, 0x1.71de01aa5719p-19);
    even = fma_(even, s, 0x1.a01a01ab991c6p-16);
    odd = fma_(odd, s, 0x1.a01a01ac1ea4dp-13);
    even = fma_(even, s, 0x1.6c16c16c156a4p-10);
    odd = fma_(odd, s, 0x1.111111111005p-7);
    even = fma_(even, s, 0x1.5555555555557p-5);
    odd = fma_(odd, s, 0x1.5555555555557p-3);
    return fma_(odd, t, fma_(even, s, half));
}

#if CACT_REAL == 32

INLINE reduced reduce(num z)
{
    double k = fma_(z, LOG2E, ROUNDER);
    double r = fma_(-(k - ROUNDER), LN2_HI, z), s = r * r;
    /* tools/exp.sollya: error 2^-32.5 */
    double a = fma_(0x1.55555574325fep-3, r, 0x1.0000000b92a4fp-1);
    double b = fma_(0x1.1110ab6958476p-7, r, 0x1.5554e8fec998ap-5);
    double c = fma_(0x1.a17e11dc30ce6p-13, r, 0x1.6d432d7279f68p-10);
    return (reduced){fma_(fma_(fma_(c, s, b), s, a), s, r), k};
}

#else

INLINE reduced reduce(num z)
{
    double k = fma_(z.hi, LOG2E, ROUNDER), n = k - ROUNDER;
    double r = fma_(-n, LN2_HI, z.hi); /* exact: both are multiples of 2^-54, |r| < 1/2 */
    double rl = fma_(-n, LN2_LO, z.lo), t = r + rl; /* t where its last bit does not matter */
    return (reduced){big_sum(r, fma_(t * t, exp_rest(t, 0.5), rl)), k}; /* 2^-57, from the rounding of t^2 Q */
}

#endif

/* e^z as value * tail * far_tail: `value` is clear of the subnormals, so that a formula may
 * multiply it; the tails (1 above z = -623, and -1247) are applied last, one after the other. */
typedef struct {
    num value;
    double tail, far_tail;
} exponential;

INLINE exponential exp_of(reduced e) /* z >= -FARTHEST */
{
    double k = at_least(e.k, -900), j = at_least(e.k, -1800);
    return (exponential){scale(one_plus(e.p), pow2(k)), pow2_of_difference(j, k), pow2_of_difference(e.k, j)};
}

INLINE exponential exp_far(num z) { return exp_of(reduce(z)); } /* likewise */

INLINE exponential exp_(num z) /* -1200 <= z (float: -300) */
{
    reduced e = reduce(z);
    num m = one_plus(e.p);
#if CACT_REAL == 32
    return (exponential){from_bits(to_bits(m) + (to_bits(e.k) << 52)), 1, 1}; /* |k| <= 433 */
#else
    double k = at_least(e.k, -900);
    num value = {from_bits(to_bits(m.hi) + (to_bits(k) << 52)), m.lo * pow2(k)};
    return (exponential){value, pow2_of_difference(e.k, k), 1};
#endif
}

/* s = sigmoid(v) / UNSCALED, clear of the subnormals: UNSCALED is applied last; and 1 - sigmoid(v)
 * to the same absolute error: as sigmoid(-v) it has its digits for v <= 0 only. */
typedef struct {
    num s, one_minus_s;
} logistic;

#define UNSCALED (sizeof(real) == 4 ? 1 : 0x1p-300)
#define LOGISTIC_LEFT (sizeof(real) == 4 ? -300.0f : -800.0) /* from there on 0, a factor v included */
#define LOGISTIC_RIGHT 400.0f

INLINE logistic logistic_(num v) /* -900 <= v <= 500 (float: |v| <= 300) */
{
#if CACT_REAL == 32
    double e = exp_(-v).value, s = 1 / (1 + e); /* a double has the range for both signs */
    return (logistic){s, e * s};
#else
    const reduced e = reduce(negative(v));
    const double one = UNSCALED, g = pow2(e.k - 300);
    /* (1 + e^-v) 2^-300 = (one + g) + g p, where g p is exact, and the smaller */
    const num a = big_sum(greater(g, one), smaller(g, one));
    const double d = fma_(g, e.p.hi, a.hi);
    const num s = reciprocal((num){d, fma_(g, e.p.hi, a.hi - d) + fma_(g, e.p.lo, a.lo)});
    return (logistic){s, add_big(exact(1), scale(s, -UNSCALED))};
#endif
}

/* log(1 + e), 0 <= e <= 1, relative error 2^-35 or 2^-59. */
INLINE num log1p_(num e)
{
#if CACT_REAL == 32
    /* tools/log1p.sollya: e Q(e), 2^-35.6 */
    double s = e * e;
    double even = fma_(0x1.aa4d4d96eeec4p-11, s, 0x1.6702fd911480ap-6);
    double odd = fma_(-0x1.93f2e28921198p-8, s, -0x1.95db76d3e5f98p-5);
    even = fma_(even, s, 0x1.52241e4013753p-4);
    odd = fma_(odd, s, -0x1.cebd128f16f9dp-4);
    even = fma_(even, s, 0x1.1d1c9cbcf0cd5p-3);
    odd = fma_(odd, s, -0x1.53c54962c19a1p-3);
    even = fma_(even, s, 0x1.9962a679b5beap-3);
    odd = fma_(odd, s, -0x1.fffb70d153515p-3);
    even = fma_(even, s, 0x1.55553be6abc76p-2);
    odd = fma_(odd, s, -0x1.ffffff8f9bb84p-2);
    return e * fma_(odd, e, fma_(even, s, 0x1.ffffffffd6966p-1));
#else
    /* With s = e/(2+e), or (e-1)/(3+e) for e >= 1/2:  log(1+e) = [ln 2] + 2 atanh(s) */
    mask small = is_less(e.hi, 0.5);
    num n = pick(small, e, (num){e.hi - 1, e.lo}); /* exact (Sterbenz) */
    num d = big_sum(choose(small, 2, 3), e.hi);
    num s = ratio(n, (num){d.hi, d.lo + e.lo});
    double t = s.hi * s.hi, t2 = t * t;
    /* tools/log1p.sollya: 2s + s^3 R(s^2), 2^-64.5 */
    double a = fma_(0x1.9999999999d7fp-2, t, 0x1.5555555555555p-1);
    double b = fma_(0x1.c71c726db427ap-3, t, 0x1.249249242768ep-2);
    double c = fma_(0x1.3b25235d0234bp-3, t, 0x1.745cd0eff2413p-3);
    double d2 = fma_(0x1.2ca357591843cp-3, t, 0x1.0e73660d99b84p-3);
    double e2 = fma_(0x1.0234a8d1f1f2fp1, t, -0x1.091222d1d4585p-2);
    double q = fma_(fma_(fma_(fma_(e2, t2, d2), t2, c), t2, b), t2, a);
    num h = big_sum(choose(small, 0, LN2_HI), 2 * s.hi);
    return (num){h.hi, h.lo + fma_(s.hi * t, q, fma_(2, s.lo, choose(small, 0, LN2_LO)))};
#endif
}

/* M(t) = Phi(-t) exp(t^2/2), 0 <= t <= 40 (float: 14.6): the normal tail without its exponential. */
INLINE num mills(double t)
{
#if CACT_REAL == 32
    /* tools/mills_rational.py 5 6: relative error 2^-33.4 */
    double s = t * t, s2 = s * s;
    double p = fma_(fma_(0x1.d27b1f861e73cp-11, t, 0x1.7d957994e2b49p-7), s2,
                    fma_(fma_(0x1.241bd2102577cp-4, t, 0x1.0099d073b5503p-2), s,
                         fma_(0x1.03ddc57ec20b4p-1, t, 0x1.ffffffff46be4p-2)));
    double q = fma_(fma_(0x1.2452ee3272012p-9, s, fma_(0x1.de3dce6885427p-6, t, 0x1.72aed2ae089d2p-3)), s2,
                    fma_(fma_(0x1.507eea85788d3p-1, t, 0x1.729e50700624cp+0), s,
                         fma_(0x1.d01feefab79c7p+0, t, 1)));
    return p / q;
#else
    /* tools/mills.py 25: G(q)/(1 + c t), q = (t-4)/(t+4), 2^-60.7; the four lowest steps compensated */
    static const double C[22] = {
        -0x1.8aa10be55413bp-5, 0x1.938cc7835942fp-6, -0x1.a34eb74e79848p-8, -0x1.1085d84e6ba95p-11,
        0x1.e1799db1cbfa5p-11, -0x1.bfff7960c0c6bp-14, -0x1.ec437634abce1p-14, 0x1.ab23cc5514c3bp-16,
        0x1.30d4a21d2ca20p-16, -0x1.1284d475d8ff7p-18, -0x1.ce2ca653d878dp-19, 0x1.e5ea68e2c6d17p-22,
        0x1.8139917686abfp-21, 0x1.4634f38a1c294p-26, -0x1.33e331338ef75p-23, -0x1.14056eee56b0bp-25,
        0x1.8c2d390e95288p-26, 0x1.7e5eaa8eabb1bp-27, -0x1.12bfab6f172f4p-29, -0x1.1441480fb7162p-29,
        -0x1.2e5cb5db616b0p-34, 0x1.f5689ea09cc6fp-34};
    num q = ratio(sum(t, -4), sum(t, 4));
    double u = q.hi, u2 = u * u, u4 = u2 * u2;
    double r = fma_(C[21], u, C[20]);
    for (int i = 16; i >= 0; i -= 4) /* Horner in u^4, fours by Estrin */
        r = fma_(r, u4, fma_(fma_(C[i + 3], u, C[i + 2]), u2, fma_(C[i + 1], u, C[i])));
    num g = add(pair(0x1.ba72a2b56c041p-5, -0x1.984ffb33279e4p-59), times(q, r));
    g = add(pair(-0x1.c97a0ed81fbf0p-7, 0x1.09abea8642e70p-61), mul(q, g));
    g = add(pair(-0x1.3fa25843cb252p-4, 0x1.97accca04d3e6p-59), mul(q, g));
    g = add(pair(0x1.22ab98061c0a9p-1, -0x1.8dbd7f68f0691p-56), mul(q, g));
    num w = add_big(exact(1), times(pair(0x1.40d931ff62706p+0, -0x1.a6a0d6f814637p-54), t));
    return ratio(g, w);
#endif
}

/* f'(x) beside its root, where no formula keeps its relative accuracy: the Taylor series about
 * root = hi + lo (tools/roots.py), first coefficient c1 = hi + lo, for |x - root| < ROOT_RADIUS.
 * Cut at 2^-32 (5 terms) and 2^-54 (13 terms). */
#if CACT_REAL == 32
#define ROOT_RADIUS 0x1p-6
#define ROOT_TERMS 5
#else
#define ROOT_RADIUS 0x1p-3
#define ROOT_TERMS 13
#endif

/* The series at x + x_low, which may be nearer to the root than any double: hence its third word. */
INLINE double at_root(double x, double x_low, double hi, double lo, double c1, double c1_low, const double *c,
                      double lowest, double *distance)
{
    double d0 = x - hi, rest = x_low - lo, d1 = d0 + rest, d = d1 - lowest;
    double d_low = ((d0 - d1) + rest) + ((d1 - d) - lowest), s = c[ROOT_TERMS - 2];
    for (int i = ROOT_TERMS - 3; i >= 0; i--)
        s = fma_(s, d, c[i]);
    *distance = abs_(d);
    return fma_(d, c1, fma_(d_low, c1, d * fma_(d, s, c1_low)));
}

INLINE double beside_root(double x, double df, double hi, double lo, double c1, double c1_low,
                          const double *c)
{
    double d, near = at_root(x, 0, hi, lo, c1, c1_low, c, 0, &d);
    return d < ROOT_RADIUS ? near : df;
}

#include "exp_precise.h"
#include "erf.h"
#include "trigonometry.h"

#endif
