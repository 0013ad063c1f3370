/* vector.h - float vectors as wide as the machine's, for formulas that look up their coefficients.
 *
 * A table of 16 floats is a register or two, but gcc makes gathers of plain indexing: hence look_up().
 * The same bits on every machine. */
#ifndef CACT_VECTOR_H
#define CACT_VECTOR_H

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTOR 8
#else
#define VECTOR 4
#endif

typedef float vector __attribute__((vector_size(4 * VECTOR)));
typedef int32_t integers __attribute__((vector_size(4 * VECTOR)));

INLINE vector vector_at(const float *x)
{
    vector v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE vector vector_of(float a) { return a - (vector){0}; } /* -0 stays -0 */

INLINE vector vector_fma(vector a, vector b, vector c)
{
#if defined(__AVX512F__)
    return (vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = __builtin_fmaf(a[j], b[j], c[j]);
    return r;
#endif
}

INLINE vector look_up(const float table[16], integers i) /* table[i & 15] */
{
#if defined(__AVX512F__)
    return (vector)_mm512_permutexvar_ps((__m512i)i, _mm512_loadu_ps(table));
#elif defined(__AVX2__)
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)i);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), (__m256i)i);
    return (vector)_mm256_blendv_ps(low, high, (__m256)(i << 28));
#else
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = table[i[j] & 15];
    return r;
#endif
}

INLINE vector where(integers m, vector a, vector b)
{
    return (vector)(((integers)a & m) | ((integers)b & ~m));
}

/* |x| up to `most`; NaN becomes `most`. */
INLINE vector vector_magnitude(vector x, float most)
{
    const integers u = (integers)x & INT32_MAX, v = (integers)vector_of(most);
    return where(u < v, (vector)u, (vector)v);
}

INLINE vector with_sign_of(vector y, vector x) { return (vector)((integers)y | ((integers)x & INT32_MIN)); }

#endif
