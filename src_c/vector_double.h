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
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = table[i[j] & 7];
    return r;
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

INLINE vector exp_rounded(two z)
{
    const times_one_plus e = exp_parts(z, TO_ONE);
    return vector_fma(e.power, e.p, e.power);
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

/* e^z - 1, z <= 0, of which p is TO_ITSELF */
INLINE two exp_minus_one(times_one_plus e)
{
    const vector a = e.power - 1, a_low = e.power - (a + 1), hi = vector_fma(e.power, e.p, a);
    return (two){hi, vector_fma(e.power, e.p, a - hi) + vector_fma(e.power, e.p_low, a_low)};
}

INLINE two exp_plus_one(times_one_plus e) /* z >= 0 */
{
    const vector a = e.power + 1, a_low = 1 - (a - e.power), hi = vector_fma(e.power, e.p, a);
    return (two){hi, vector_fma(e.power, e.p, a - hi) + a_low};
}

INLINE two one_plus_exp(two z) { return exp_plus_one(exp_parts(z, TO_ONE)); }

/* s(-t), s = sigmoid, 0 <= t < 708 */
INLINE vector sigmoid_of_minus(vector t)
{
    const two d = one_plus_exp(only(t));
    const vector y = 1 / d.hi;
    return vector_fma(vector_fnma(y, d.lo, vector_fnma(y, d.hi, vector_of(1))), y, y);
}

/* x s(v), |v| < 708, v of the sign of x: max(x, 0) - |x|/(1 + e^|v|) */
INLINE vector times_sigmoid_of(vector x, two v)
{
    return with_sign_of(positive(x) - quotient(only(vector_size(x)), one_plus_exp(v)), x); /* of 0 */
}

INLINE two plus_2(two m) /* |m| < 2 */
{
    const vector d = 2 + m.hi;
    return (two){d, (m.hi - (d - 2)) + m.lo};
}

/* tanh(t) = -m/(2 + m), m = e^-2t - 1, t >= 0; 1 from 22 on */
INLINE two two_of_tanh(vector t)
{
    const two m = exp_minus_one(exp_parts(only(vector_at_least(-2 * t, vector_of(-44))), TO_ITSELF));
    return two_quotient((two){-m.hi, -m.lo}, plus_2(m));
}

/* f' where it is not within 2^-5 of its root, else its Taylor series: root and c as in beside_root() (real.h). */
INLINE vector vector_beside_root(vector x, vector x_low, vector df, double hi, double lo, double c1, double c1_low,
                                 const double *c)
{
    const vector near = x - hi, rest = x_low - lo, d = near + rest, d_low = (near - d) + rest;
    const integers beside = vector_size(d) < 0x1p-5;
    if (!some(beside)) /* seldom */
        return df;
    vector s = vector_of(c[8]);
    for (int i = 7; i >= 0; i--)
        s = vector_fma(s, d, vector_of(c[i]));
    const vector tail = vector_fma(d_low, vector_of(c1), d * vector_fma(d, s, vector_of(c1_low)));
    return where(beside, vector_fma(d, vector_of(c1), tail), df);
}

/* d/dx x s(v) at x = -t, v(x) = -v(-x) and w = x v': (1 + e - w e)/(1 + e)^2, e = e^v, 0 <= v < 36 (beyond
 * 2^52 1 + e loses the 1) */
INLINE two times_sigmoid_slope(two v, two w)
{
    const two a = one_plus_exp(v);
    const vector e = a.hi - 1, n = vector_fnma(w.hi, e, a.hi);
    const vector low = vector_fnma(w.lo, e, vector_fnma(w.hi, a.lo, a.lo));
    return two_quotient((two){n, low}, two_square(a));
}

INLINE two silu_slope_of_minus(two t)
{
    const two g = times_sigmoid_slope(t, t);
    const vector df = vector_beside_root(-t.hi, -t.lo, g.hi, SILU_ROOT, SILU_SERIES);
    return (two){df, where(df == g.hi, g.lo, vector_of(0))};
}

/* x^2 s(x) s(-x) = x^2 e/(1 + e)^2, e = e^t, t = |x| < 36 */
INLINE vector square_times_sigmoid_grad(vector t)
{
    const two a = one_plus_exp(only(t));
    return quotient(two_mul(two_product(t, t), (two){a.hi - 1, a.lo}), two_square(a));
}

#endif
