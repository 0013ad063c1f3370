/* vector_real.h - what vectors of floats (vector.h) and of doubles (vector_double.h) have in common. */
#ifndef CACT_VECTOR_REAL_H
#define CACT_VECTOR_REAL_H

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#if CACT_REAL == 32
typedef int32_t integer;
#define VECTOR (VECTOR_BYTES / 4) /* elements */
#else
typedef int64_t integer;
#define VECTOR (VECTOR_BYTES / 8)
#endif
#define SIGN_BIT ((integer)1 << (CACT_REAL - 1))

typedef real vector __attribute__((vector_size(VECTOR_BYTES)));
typedef integer integers __attribute__((vector_size(VECTOR_BYTES)));

INLINE vector vector_at(const real *x)
{
    vector v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void put(real *y, vector v) { memcpy(y, &v, sizeof v); }

INLINE vector vector_of(real a) { return a - (vector){0}; } /* -0 stays -0 */

INLINE vector where(integers m, vector a, vector b)
{
    return (vector)(((integers)a & m) | ((integers)b & ~m));
}

INLINE vector vector_size(vector x) { return (vector)((integers)x & ~SIGN_BIT); } /* |x| */
INLINE vector with_sign_of(vector y, vector x) { return (vector)((integers)y | ((integers)x & SIGN_BIT)); }

#endif
