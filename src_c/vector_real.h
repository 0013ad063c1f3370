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

/* The same, loaded once: gcc would have it a memory operand of each use, and a load that crosses a line counts twice.
 * (relu's backward of 64K floats beside lines, Sapphire Rapids: 0.14 ns an element, with this 0.105.) */
INLINE vector loaded(const real *x)
{
    vector v = vector_at(x);
#if defined(__x86_64__)
    __asm__("" : "+v"(v));
#endif
    return v;
}

INLINE void put(real *y, vector v) { memcpy(y, &v, sizeof v); }

INLINE vector vector_of(real a) { return a - (vector){0}; } /* -0 stays -0 */

INLINE vector where(integers m, vector a, vector b)
{
    return (vector)(((integers)a & m) | ((integers)b & ~m));
}

INLINE vector looked_up(const real *table, integers i, integer last) /* table[i & last], one by one */
{
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = table[i[j] & last];
    return r;
}

/* Where the elements' rows of a table begin.  From numbers in a vector to addresses the way leads through memory: by
 * the time the rows come, a core has no room left for what follows.  So the loops find the rows of the next vector
 * (`ahead`; nothing else is computed then), and keep them in offset[], before they compute the one at hand. */
#if CACT_REAL == 32 && !defined(__AVX512F__) /* which looks all up in registers */
#define ROWS_AHEAD
#endif
typedef struct {
    int ahead;
    uint32_t *offset; /* NULL: not wanted */
} row_places;

/* Comparisons for select_where() and kept(): with AVX-512 a bit an element, of which to make integers has its cost. */
#if CACT_REAL == 32
#define INTRINSIC(bits, name, suffix) _mm##bits##_##name##_ps##suffix
#define NATIVE(bits) __m##bits
#else
#define INTRINSIC(bits, name, suffix) _mm##bits##_##name##_pd##suffix
#define NATIVE(bits) __m##bits##d
#endif
#if defined(__AVX512F__)
typedef uint16_t lanes_mask; /* of doubles half */
#define COMPARE(a, b, how, plain) (lanes_mask) INTRINSIC(512, cmp, _mask)((NATIVE(512))(a), (NATIVE(512))(b), how)
#elif defined(__AVX2__)
typedef integers lanes_mask;
#define COMPARE(a, b, how, plain) (integers) INTRINSIC(256, cmp, )((NATIVE(256))(a), (NATIVE(256))(b), how)
#else
typedef integers lanes_mask;
#define COMPARE(a, b, how, plain) (plain)
#endif
#define IS_LESS(a, b) COMPARE(a, b, _CMP_LT_OQ, (a) < (b))
#define IS_AT_MOST(a, b) COMPARE(a, b, _CMP_LE_OQ, (a) <= (b))
#define IS_ABOVE(a, b) COMPARE(a, b, _CMP_NLE_UQ, ~((a) <= (b))) /* or NaN */
#define IS_BELOW(a, b) COMPARE(a, b, _CMP_NGE_UQ, ~((a) >= (b))) /* or NaN */
#define IS_SAME(a, b) COMPARE(a, b, _CMP_EQ_OQ, (a) == (b))
#define IS_OTHER(a, b) COMPARE(a, b, _CMP_NEQ_UQ, (a) != (b)) /* or NaN */
#define IS_NAN(a) COMPARE(a, a, _CMP_UNORD_Q, (a) != (a))

INLINE vector select_where(lanes_mask m, vector a, vector b) /* a, else b */
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, mask_blend, )(m, (NATIVE(512))b, (NATIVE(512))a);
#elif defined(__AVX2__)
    return (vector)INTRINSIC(256, blendv, )((NATIVE(256))b, (NATIVE(256))a, (NATIVE(256))m);
#else
    return where(m, a, b);
#endif
}

INLINE vector kept(lanes_mask m, vector a) /* else 0 */
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, maskz_mov, )(m, (NATIVE(512))a);
#else
    return (vector)((integers)a & m);
#endif
}

INLINE vector vector_fma(vector a, vector b, vector c)
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, fmadd, )((NATIVE(512))a, (NATIVE(512))b, (NATIVE(512))c);
#elif defined(__AVX2__)
    return (vector)INTRINSIC(256, fmadd, )((NATIVE(256))a, (NATIVE(256))b, (NATIVE(256))c);
#else
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = sizeof(real) == 4 ? __builtin_fmaf((float)a[j], (float)b[j], (float)c[j])
                                 : (real)__builtin_fma(a[j], b[j], c[j]);
    return r;
#endif
}

/* At most `most`; NaN stays. */
INLINE vector vector_at_most(vector x, vector most)
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, min, )((NATIVE(512))most, (NATIVE(512))x);
#elif defined(__AVX2__)
    return (vector)INTRINSIC(256, min, )((NATIVE(256))most, (NATIVE(256))x);
#else
    return where(x > most, most, x);
#endif
}

/* At least `least`; NaN stays. */
INLINE vector vector_at_least(vector x, vector least)
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, max, )((NATIVE(512))least, (NATIVE(512))x);
#elif defined(__AVX2__)
    return (vector)INTRINSIC(256, max, )((NATIVE(256))least, (NATIVE(256))x);
#else
    return where(x < least, least, x);
#endif
}

INLINE vector positive(vector x) { return vector_at_least(x, vector_of(0)); } /* max(x, 0); -0 and NaN stay */

INLINE int all_of(lanes_mask m)
{
#if defined(__AVX512F__)
    return m == (1 << VECTOR) - 1;
#elif defined(__AVX2__)
    return INTRINSIC(256, movemask, )((NATIVE(256))m) == (1 << VECTOR) - 1;
#else
    integer r = -1;
    for (int j = 0; j < VECTOR; j++)
        r &= m[j];
    return r != 0;
#endif
}

/* Whether all are below, and none is NaN */
INLINE int all_below(vector t, real limit) { return all_of(IS_LESS(t, vector_of(limit))); }

INLINE vector vector_sqrt(vector a)
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, sqrt, )((NATIVE(512))a);
#elif defined(__AVX2__)
    return (vector)INTRINSIC(256, sqrt, )((NATIVE(256))a);
#else
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = sizeof(real) == 4 ? __builtin_sqrtf((float)a[j]) : (real)__builtin_sqrt(a[j]);
    return r;
#endif
}

/* 1/sqrt(a) to 3.5 %, a > 0: half the exponent, negated, and a line for the fraction */
INLINE vector rough_reciprocal_sqrt(vector a)
{
#if CACT_REAL == 32
    typedef uint32_t bits __attribute__((vector_size(VECTOR_BYTES)));
    return (vector)(0x5f3759df - ((bits)a >> 1));
#else
    typedef uint64_t bits __attribute__((vector_size(VECTOR_BYTES)));
    return (vector)(0x5fe6eb50c7b537a9 - ((bits)a >> 1));
#endif
}

/* sqrt(a) and 1/sqrt(a) to 2^-13, of doubles to 2^-38, a > 0, where that is enough: half the time of sqrt on
 * Intel's AVX-512, about its time elsewhere.
 * With h = 1 - a y^2: 1/sqrt(a) = y (1 + h/2 + 3/8 h^2 + ...) */
typedef struct {
    vector of, reciprocal;
} near_root;

INLINE near_root near_root_of(vector a)
{
    vector y = rough_reciprocal_sqrt(a), s = a * y;
    for (int i = 0; i < CACT_REAL / 32; i++) {
        const vector h = vector_fma(-s, y, vector_of(1));
        const vector p = h * vector_fma(h, vector_of((real)0.375), vector_of((real)0.5));
        s = vector_fma(s, p, s), y = vector_fma(y, p, y);
    }
    return (near_root){s, y};
}

/* a, but a NaN where x is one: of all bits, which is the cheapest */
INLINE vector or_nan(vector a, vector x)
{
#if defined(__AVX512F__)
    return select_where(IS_NAN(x), (vector)((integers){0} - 1), a);
#else
    return (vector)((integers)a | IS_NAN(x));
#endif
}

/* a where the sign of x is set, else b */
INLINE vector where_negative(vector x, vector a, vector b)
{
#if defined(__AVX512F__) && CACT_REAL == 32
    return select_where(_mm512_movepi32_mask((__m512i)x), a, b);
#elif defined(__AVX512F__)
    return select_where(_mm512_movepi64_mask((__m512i)x), a, b);
#elif defined(__AVX2__)
    return select_where((integers)x, a, b);
#else
    return where((integers)x >> (CACT_REAL - 1), a, b);
#endif
}

INLINE vector where_less(vector x, real limit, vector a, vector b) /* a where x < limit, else b */
{
    return select_where(IS_LESS(x, vector_of(limit)), a, b);
}

/* 1 above a limit, else 0 */
INLINE vector step(vector x, vector limit) { return or_nan(kept(IS_LESS(limit, x), vector_of(1)), x); }

INLINE vector vector_size(vector x) { return (vector)((integers)x & ~SIGN_BIT); } /* |x| */

/* a between two numbers, else 0; outside NaN - NaN and inf - inf are of no effect */
INLINE vector within(vector x, vector least, vector most, vector a)
{
    return kept(IS_ABOVE(x, least) & IS_BELOW(x, most), a + (x - x));
}

INLINE vector within_size(vector x, vector most, vector a) /* where |x| < most */
{
    return kept(IS_BELOW(vector_size(x), most), a + (x - x));
}

INLINE vector with_sign_of(vector y, vector x) { return (vector)((integers)y | ((integers)x & SIGN_BIT)); }

#endif
