/* vector_double.h - vectors of doubles as wide as the machine's, named as in vector.h; e^z from a table.
 *
 * The eight powers 2^(j/8) are one register, but gcc makes gathers of plain indexing: hence look_up().
 * Formulas on them need a reach within which nothing is subnormal or overflows; the bodies do the rest.
 * The same bits on every machine. */
#ifndef CACT_VECTOR_DOUBLE_H
#define CACT_VECTOR_DOUBLE_H

#include "vector_real.h"

INLINE vector vector_fnma(vector a, vector b, vector c) { return vector_fma(-a, b, c); } /* c - a b */

#define NOTHING_ADDED vector_of(-0.0) /* which the compiler leaves out */

INLINE vector look_up(const double table[8], integers i) /* table[i & 7] */
{
#if defined(__AVX512F__)
    return (vector)_mm512_permutexvar_pd((__m512i)i, _mm512_loadu_pd(table));
#elif defined(__AVX2__) /* halves of a double by 2 (i & 3) and 2 (i & 3) + 1, then by i & 4 */
    const __m256i words = (__m256i)((i << 33 | (i << 1 & 0xffffffff)) | (int64_t)1 << 32);
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps((const float *)table), words);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps((const float *)(table + 4)), words);
    return (vector)_mm256_blendv_pd((__m256d)low, (__m256d)high, (__m256d)(i << 61));
#else
    return looked_up(table, i, 7);
#endif
}

INLINE int some(integers m) /* -1, and not all 0 */
{
#if defined(__AVX512F__)
    return _mm512_movepi64_mask((__m512i)m) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)m) != 0;
#else
    int64_t r = 0;
    for (int j = 0; j < VECTOR; j++)
        r |= m[j];
    return r != 0;
#endif
}

INLINE int all(integers m) { return !some(~m); }

typedef struct {
    vector hi, lo;
} two;

INLINE two two_of(double hi, double lo) { return (two){vector_of(hi), vector_of(lo)}; }

INLINE two two_add(two a, two b)
{
    const vector s = a.hi + b.hi, c = s - a.hi;
    return (two){s, ((a.hi - (s - c)) + (b.hi - c)) + (a.lo + b.lo)};
}

INLINE two two_add_less(vector a, vector b) /* |b| <= |a|, or both multiples of an ulp of the sum */
{
    const vector s = a + b;
    return (two){s, b - (s - a)};
}

INLINE two normalized_two(two a) { return two_add_less(a.hi, a.lo); }

INLINE two two_product(vector a, vector b)
{
    const vector p = a * b;
    return (two){p, vector_fma(a, b, -p)};
}

INLINE two two_times(two a, vector b)
{
    const vector p = a.hi * b;
    return (two){p, vector_fma(a.lo, b, vector_fma(a.hi, b, -p))};
}

INLINE two two_square(two a)
{
    const vector p = a.hi * a.hi;
    return (two){p, vector_fma(2 * a.hi, a.lo, vector_fma(a.hi, a.hi, -p))};
}

INLINE two two_mul(two a, two b)
{
    const vector p = a.hi * b.hi;
    return (two){p, vector_fma(a.hi, b.lo, vector_fma(a.lo, b.hi, vector_fma(a.hi, b.hi, -p)))};
}

INLINE two two_quotient(two a, two b)
{
    const vector y = 1 / b.hi, q = a.hi * y, r = vector_fnma(q, b.lo, vector_fnma(q, b.hi, a.hi) + a.lo);
    const vector hi = vector_fma(r, y, q);
    return (two){hi, vector_fma(r, y, q - hi)};
}

INLINE vector quotient(two a, two b) { return two_quotient(a, b).hi; } /* a/b, rounded once */

/* ------------------------------------------------------------------ exponential
 * e^(z.hi + z.lo) = power (1 + p + p_low), |p| < 0.0443: n = 8 z/log 2 rounded, r = z - n log(2)/8 exact,
 * power = T_j 2^k where n = 8 k + j and 2^(j/8) = T_j (1 + L_j); near 0 power is 1.  z such that power is not
 * subnormal. */
typedef struct {
    vector power, p, p_low;
} times_one_plus;

/* p to 2^-56.5, or with one term more to 2^-60.7 of itself; e^u - 1 = u + u^2 Q(u), tools/exp_vector.py */
enum { TO_ONE, TO_ITSELF };

INLINE times_one_plus exp_parts(two z, const int relative)
{
    static const uint64_t powers[8] = { /* the bits of T_j less j 2^49 */
        0x3ff0000000000000, 0x3fef72b83c7d517b, 0x3fef06fe0a31b715, 0x3feebfdad5362a27,
        0x3feea09e667f3bcd, 0x3feeace5422aa0db, 0x3feee89f995ad3ad, 0x3fef5818dcfba487};
    static const double below[8] = { /* L_j */
        0, -0x1.01b15eaa59348p-55, 0x1.34d754db0abb6p-55, 0x1.690cebb7aafb0p-56,
        -0x1.3b3efbf5e2228p-54, 0x1.db72fc1f0eab4p-55, 0x1.c1a7792cb3387p-55, 0x1.4a385a63d07a7p-56};
    const vector t = vector_fma(z.hi, vector_of(8 * LOG2E), vector_of(ROUNDER)), n = t - ROUNDER;
    const integers i = (integers)t;
    const vector r = vector_fma(n, vector_of(-LN2_HI / 8), z.hi);
    const vector rest = n * (-LN2_LO / 8) + look_up(below, i) + z.lo, u = r + rest, s = u * u;
    vector even, odd;
    if (relative == TO_ONE) {
        even = vector_fma(vector_of(0x1.6c1b70f4cae2ep-10), s, vector_of(0x1.5555554e945cp-5));
        odd = vector_fma(vector_of(0x1.a01e2bdf9010cp-13), s, vector_of(0x1.1111110e10a35p-7));
        even = vector_fma(even, s, vector_of(0x1.000000000002ep-1));
        odd = vector_fma(odd, s, vector_of(0x1.555555555556ap-3));
    } else {
        even = vector_fma(vector_of(0x1.a01de4c9e733p-16), s, vector_of(0x1.6c16c1685a7d8p-10));
        odd = vector_fma(vector_of(0x1.a01edd957c466p-13), s, vector_of(0x1.1111110c65bacp-7));
        even = vector_fma(even, s, vector_of(0x1.5555555555572p-5));
        odd = vector_fma(odd, s, vector_of(0x1.555555555559dp-3));
        even = vector_fma(even, s, vector_of(0.5));
    }
    const vector q = vector_fma(s, vector_fma(odd, u, even), rest), p = r + q;
    return (times_one_plus){(vector)((integers)look_up((const double *)powers, i) + (i << 49)), p, q - (p - r)};
}

INLINE two only(vector z) { return (two){z, NOTHING_ADDED}; }

/* The same without the table, where 1 ULP is enough: |r| <= log(2)/2, e^z = power (1 + r + q), |q| < 0.07, to 2^-57 or,
 * with one term more, to 2^-60.5 of r + q, but for the roundings (tools/remez.py). */
typedef struct {
    vector power, r, rest, q; /* rest is in q */
} exp_terms;

INLINE exp_terms exp_reduced(two z) /* without q */
{
    const vector t = vector_fma(z.hi, vector_of(LOG2E), vector_of(ROUNDER)), n = t - ROUNDER;
    return (exp_terms){
        .power = (vector)(((integers)t << 52) + (integers)vector_of(1)),
        .r = vector_fma(n, vector_of(-LN2_HI), z.hi),
        .rest = vector_fma(n, vector_of(-LN2_LO), z.lo),
    };
}

INLINE two exp_series(vector s) /* of e^u = 1 + u + u^2/2 + u^3 (hi + u lo), s = u^2 */
{
    vector even = vector_fma(vector_of(0x1.1f9560469ddf5p-29), s, vector_of(0x1.27e4c5a3dc69dp-22));
    vector odd = vector_fma(vector_of(0x1.af5eb27df2eb5p-26), s, vector_of(0x1.71ddf85a2f69cp-19));
    even = vector_fma(even, s, vector_of(0x1.a01a01b0b4e89p-16));
    odd = vector_fma(odd, s, vector_of(0x1.a01a01afe2d1dp-13));
    even = vector_fma(even, s, vector_of(0x1.6c16c16c1445bp-10));
    odd = vector_fma(odd, s, vector_of(0x1.111111110f6b4p-7));
    even = vector_fma(even, s, vector_of(0x1.555555555555ap-5));
    odd = vector_fma(odd, s, vector_of(0x1.5555555555559p-3));
    return (two){odd, even};
}

INLINE exp_terms exp_terms_of(two z, const int relative)
{
    exp_terms e = exp_reduced(z);
    const vector u = e.r + e.rest, s = u * u;
    vector even, odd;
    if (relative == TO_ONE) {
        even = vector_fma(vector_of(0x1.28a2a206b63b5p-22), s, vector_of(0x1.a019a68ef7e31p-16));
        odd = vector_fma(vector_of(0x1.af76a57ffdd23p-26), s, vector_of(0x1.71ddea06c8a4fp-19));
        even = vector_fma(even, s, vector_of(0x1.6c16c17f348adp-10));
        odd = vector_fma(odd, s, vector_of(0x1.a01a01b5d9124p-13));
        even = vector_fma(even, s, vector_of(0x1.55555555520ffp-5));
        odd = vector_fma(odd, s, vector_of(0x1.111111110e6ccp-7));
        even = vector_fma(even, s, vector_of(0x1.0000000000005p-1));
        odd = vector_fma(odd, s, vector_of(0x1.555555555555cp-3));
    } else {
        const two c = exp_series(s);
        even = vector_fma(c.lo, s, vector_of(0.5));
        odd = c.hi;
    }
    e.q = vector_fma(s, vector_fma(odd, u, even), e.rest);
    return e;
}

INLINE vector exp_rounded(two z) /* 0.85 ULP */
{
    const exp_terms e = exp_terms_of(z, TO_ONE);
    return vector_fma(e.power, e.r + e.q, e.power);
}

INLINE two exp_of_parts(times_one_plus e) /* 2^-56 */
{
    const vector hi = vector_fma(e.power, e.p, e.power);
    return (two){hi, vector_fma(e.power, e.p, e.power - hi)};
}

INLINE two exp_two(two z, const int relative) /* TO_ITSELF: 2^-61 */
{
    const times_one_plus e = exp_parts(z, relative);
    const two r = exp_of_parts(e);
    return (two){r.hi, relative == TO_ONE ? r.lo : vector_fma(e.power, e.p_low, r.lo)};
}

INLINE two exp_of_terms(exp_terms e)
{
    const two p = normalized_two((two){e.r, e.q});
    const vector hi = vector_fma(e.power, p.hi, e.power);
    return (two){hi, vector_fma(e.power, p.lo, vector_fma(e.power, p.hi, e.power - hi))};
}

/* 1 - e^z, -44 <= z <= 0, |lo| < 0.07 */
INLINE two one_minus_exp(exp_terms e)
{
    const vector a = 1 - e.power, a_low = (1 - a) - e.power, hi = vector_fnma(e.power, e.r, a);
    return (two){hi, vector_fnma(e.power, e.q, vector_fnma(e.power, e.r, a - hi) + a_low)};
}

/* The same to 2^-59 of itself: r^2/2, too, in two words */
INLINE two one_minus_exp_finely(two z)
{
    const exp_terms e = exp_reduced(z);
    const vector u = e.r + e.rest, s = u * u, half = 0.5 * e.r * e.r;
    const two series = exp_series(s);
    const vector low = vector_fma(e.r, e.rest, e.rest) + vector_fma(0.5 * e.r, e.r, -half);
    const vector cube = vector_fma(s * u, vector_fma(series.lo, u, series.hi), low);
    const vector a = 1 - e.power, b = vector_fnma(e.power, e.r, a), c = vector_fnma(e.power, half, b);
    const vector b_low = vector_fnma(e.power, e.r, a - b), c_low = vector_fnma(e.power, half, b - c);
    return (two){c, vector_fnma(e.power, cube, b_low + c_low)};
}

/* 1 + e^z, z >= 0: to 2^-55 of e^z, or finely to 2^-57 */
INLINE two one_plus_exp(two z, const int finely)
{
    const exp_terms e = exp_terms_of(z, TO_ONE);
    const vector a = e.power + 1, a_low = 1 - (a - e.power);
    if (finely) {
        const vector hi = vector_fma(e.power, e.r, a), lo = vector_fma(e.power, e.r, a - hi) + a_low;
        return normalized_two((two){hi, vector_fma(e.power, e.q, lo)});
    }
    const vector p = e.r + e.q, hi = vector_fma(e.power, p, a);
    return (two){hi, vector_fma(e.power, p, a - hi) + a_low};
}
enum { NEARLY, FINELY };

/* s(-t), s = sigmoid, 0 <= t < 708 */
INLINE vector sigmoid_of_minus(vector t)
{
    const two d = one_plus_exp(only(t), NEARLY);
    const vector y = 1 / d.hi;
    return vector_fma(vector_fnma(y, d.lo, vector_fnma(y, d.hi, vector_of(1))), y, y);
}

/* x s(v), |v| < 708, v of the sign of x: max(x, 0) - |x|/(1 + e^|v|) */
INLINE vector times_sigmoid_of(vector x, two v)
{
    return with_sign_of(positive(x) - quotient(only(vector_size(x)), one_plus_exp(v, FINELY)), x); /* of 0 */
}

/* tanh(t) = q + r y, q = n y, of n = 1 - e^-2t: n/(2 - n); near 0 to 2^-55 of itself */
typedef struct {
    vector q, r, y;
} tanh_parts;

INLINE tanh_parts tanh_of(two n)
{
    const vector y = 1 / (2 - n.hi), q = n.hi * y;
    const vector rest = vector_fma(q, n.hi, vector_fma(q, vector_of(-2), n.hi)); /* exact */
    return (tanh_parts){q, vector_fma(q, n.lo, rest + n.lo), y};
}

INLINE two tanh_argument(vector t) /* n, t >= 0; 1 from 22 on */
{
    return normalized_two(one_minus_exp(exp_terms_of(only(vector_at_least(-2 * t, vector_of(-44))), TO_ITSELF)));
}

/* A root of f', its Taylor series as in beside_root() (real.h), and how far x = d + d_low is from it */
typedef struct {
    vector d, d_low;
    double c1, c1_low;
    const double *c;
} root_of_slope;

INLINE root_of_slope root_at(vector x, vector x_low, double hi, double lo, double c1, double c1_low, const double *c)
{
    const vector near = x - hi, rest = x_low - lo, d = near + rest;
    return (root_of_slope){d, (near - d) + rest, c1, c1_low, c};
}

/* The series within 3/64 of the root, else df */
INLINE vector beside(root_of_slope r, vector df)
{
    const integers near = vector_size(r.d) < 0x3p-6;
    if (!r.c || !some(near)) /* seldom */
        return df;
    vector s = vector_of(r.c[9]);
    for (int i = 8; i >= 0; i--)
        s = vector_fma(s, r.d, vector_of(r.c[i]));
    const vector tail = vector_fma(r.d_low, vector_of(r.c1), r.d * vector_fma(r.d, s, vector_of(r.c1_low)));
    return where(near, vector_fma(r.d, vector_of(r.c1), tail), df);
}

/* d/dx x s(v) at x = -t, v(x) = -v(-x) and w = x v': (1 + e - w e)/(1 + e)^2, e = e^v, 0 <= v < 36 (beyond
 * 2^52 1 + e loses the 1) */
INLINE two times_sigmoid_slope(two v, two w)
{
    const two a = one_plus_exp(v, FINELY);
    const vector e = a.hi - 1, n = vector_fnma(w.hi, e, a.hi);
    const vector low = vector_fnma(w.lo, e, vector_fnma(w.hi, a.lo, a.lo));
    return two_quotient((two){n, low}, two_square(a));
}

INLINE two silu_slope_of_minus(two t)
{
    const two g = times_sigmoid_slope(t, t);
    const vector df = beside(root_at(-t.hi, -t.lo, SILU_ROOT, SILU_SERIES), g.hi);
    return (two){df, where(df == g.hi, g.lo, vector_of(0))};
}

/* x^2 s(x) s(-x) = x^2 e/(1 + e)^2, e = e^t, t = |x| < 36 */
INLINE vector square_times_sigmoid_grad(vector t)
{
    const two a = one_plus_exp(only(t), NEARLY);
    return quotient(two_mul(two_product(t, t), (two){a.hi - 1, a.lo}), two_square(a));
}

#endif
