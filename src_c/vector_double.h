/* vector_double.h - vectors of doubles as wide as the machine's, named as in vector.h; e^z from a table.
 *
 * The eight powers 2^(j/8) are one register, but gcc makes gathers of plain indexing: hence look_up().
 * Formulas on them need a reach within which nothing is subnormal or overflows; the bodies do the rest.
 * The same bits on every machine. */
#ifndef CACT_VECTOR_DOUBLE_H
#define CACT_VECTOR_DOUBLE_H

#include "vector_real.h"

INLINE vector vector_fma(vector a, vector b, vector c)
{
#if defined(__AVX512F__)
    return (vector)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (vector)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = fma_(a[j], b[j], c[j]);
    return r;
#endif
}

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

/* a where the sign of x is set, else b */
INLINE vector where_negative(vector x, vector a, vector b)
{
#if defined(__AVX512F__)
    return (vector)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)x), (__m512d)b, (__m512d)a);
#elif defined(__AVX2__)
    return (vector)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)x);
#else
    return where((integers)x >> 63, a, b);
#endif
}

INLINE vector where_less(vector x, double limit, vector a, vector b) /* a where x < limit, else b */
{
#if defined(__AVX512F__)
    const __mmask8 less = _mm512_cmp_pd_mask((__m512d)x, _mm512_set1_pd(limit), _CMP_LT_OQ);
    return (vector)_mm512_mask_blend_pd(less, (__m512d)b, (__m512d)a);
#else
    return where(x < limit, a, b);
#endif
}

/* max(x, 0); -0 stays, and NaN where that matters not */
INLINE vector positive(vector x)
{
#if defined(__AVX512F__)
    return (vector)_mm512_max_pd(_mm512_setzero_pd(), (__m512d)x);
#elif defined(__AVX2__)
    return (vector)_mm256_max_pd(_mm256_setzero_pd(), (__m256d)x);
#else
    return where(x < 0, vector_of(0), x);
#endif
}

/* Whether all are below, and none is NaN */
INLINE int all_below(vector t, double limit)
{
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask((__m512d)t, _mm512_set1_pd(limit), _CMP_LT_OQ) == 0xff;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)(t < limit)) == 0xf;
#else
    int64_t r = -1;
    for (int j = 0; j < VECTOR; j++)
        r &= (t < limit)[j];
    return r != 0;
#endif
}

/* ------------------------------------------------------------------ exponential
 * e^z = power (1 + p), |p| < 0.0443, p to 2^-56: n = 8 z/log 2 rounded, r = z - n log(2)/8 exact,
 * power = T_j 2^k where n = 8 k + j and 2^(j/8) = T_j (1 + L_j).  z such that power is not subnormal. */
typedef struct {
    vector power, p;
} times_one_plus;

INLINE times_one_plus exp_parts(vector z)
{
    static const uint64_t powers[8] = { /* the bits of T_j less j 2^49 */
        0x3ff0000000000000, 0x3fef72b83c7d517b, 0x3fef06fe0a31b715, 0x3feebfdad5362a27,
        0x3feea09e667f3bcd, 0x3feeace5422aa0db, 0x3feee89f995ad3ad, 0x3fef5818dcfba487};
    static const double below[8] = { /* L_j */
        0, -0x1.01b15eaa59348p-55, 0x1.34d754db0abb6p-55, 0x1.690cebb7aafb0p-56,
        -0x1.3b3efbf5e2228p-54, 0x1.db72fc1f0eab4p-55, 0x1.c1a7792cb3387p-55, 0x1.4a385a63d07a7p-56};
    const vector t = vector_fma(z, vector_of(8 * LOG2E), vector_of(ROUNDER)), n = t - ROUNDER;
    const integers i = (integers)t;
    const vector r = vector_fma(n, vector_of(-LN2_HI / 8), z);
    const vector rest = n * (-LN2_LO / 8) + look_up(below, i), u = r + rest, s = u * u;
    /* tools/exp_vector.py: e^u - 1 = u + u^2 Q(u), 2^-56.5 */
    vector even = vector_fma(vector_of(0x1.6c1b70f4cae2ep-10), s, vector_of(0x1.5555554e945cp-5));
    vector odd = vector_fma(vector_of(0x1.a01e2bdf9010cp-13), s, vector_of(0x1.1111110e10a35p-7));
    even = vector_fma(even, s, vector_of(0x1.000000000002ep-1));
    odd = vector_fma(odd, s, vector_of(0x1.555555555556ap-3));
    return (times_one_plus){
        .power = (vector)((integers)look_up((const double *)powers, i) + (i << 49)),
        .p = r + vector_fma(s, vector_fma(odd, u, even), rest),
    };
}

typedef struct {
    vector hi, lo;
} two;

/* 1 + e^z, z >= 0 */
INLINE two one_plus_exp(vector z)
{
    const times_one_plus e = exp_parts(z);
    const vector a = e.power + 1, a_low = 1 - (a - e.power), hi = vector_fma(e.power, e.p, a);
    return (two){hi, vector_fma(e.power, e.p, a - hi) + a_low};
}

/* x/d, rounded once */
INLINE vector quotient(two x, two d)
{
    const vector y = 1 / d.hi, q = x.hi * y;
    return vector_fma(vector_fnma(q, d.lo, vector_fnma(q, d.hi, x.hi) + x.lo), y, q);
}

/* s(-t), s = sigmoid, 0 <= t < 708 */
INLINE vector sigmoid_of_minus(vector t)
{
    const two d = one_plus_exp(t);
    const vector y = 1 / d.hi;
    return vector_fma(vector_fnma(y, d.lo, vector_fnma(y, d.hi, vector_of(1))), y, y);
}

/* silu'(-t) = (1 + e - t e)/(1 + e)^2, e = e^t, 0 <= t < 36 (beyond 2^52 1 + e loses the 1).  Within 1/32
 * of the root the numerator is its Taylor series, -(e^d - 1 + d e^d/(root - 1)), d = t - root:
 * tools/exp_vector.py. */
INLINE vector silu_slope_of_minus(vector t)
{
    static const double first = -0x1.25d4ef2c90514p+2, first_low = 0x1.5569ed36e56f5p-65;
    static const double c[] = {-0x1.05d4ef2c90514p+2, -0x1.f6548903cb4d3p+0,
                               -0x1.47c6943b6b170p-1, -0x1.43824ff726d2cp-3, -0x1.00881b903eea9p-5,
                               -0x1.53e002137e6b7p-8, -0x1.82922dcb47388p-11};
    const double root = 0x1.474973c84120bp+0, root_low = 0x1.f8d74bc9ac154p-54;
    const vector near = t - root, d = near - root_low, size = vector_size(d);
    vector p = vector_of(c[6]);
    for (int i = 5; i >= 0; i--)
        p = vector_fma(p, d, vector_of(c[i]));
    p = vector_fma(d, d * p, vector_fma(d, vector_of(first_low), vector_of(-root_low * first)));
    const vector beside = vector_fma(near, vector_of(first), p);
    const two a = one_plus_exp(t);
    const vector q = a.hi * a.hi, q_low = vector_fma(2 * a.hi, a.lo, vector_fma(a.hi, a.hi, -q));
    const two numerator = {
        where_less(size, 0x1p-5, beside, vector_fnma(t, a.hi - 1, a.hi)),
        where_less(size, 0x1p-5, vector_of(0), vector_fnma(t, a.lo, a.lo)),
    };
    return quotient(numerator, (two){q, q_low});
}

#endif
