/* beyond.h - what lies beyond the reach of lanes: found in many vectors at a time, so that those of the body are full. */
#ifndef CACT_BEYOND_H
#define CACT_BEYOND_H

#define LOOKED_THROUGH 512 /* elements at a time */

typedef struct {
    real *next, found[LOOKED_THROUGH + VECTOR]; /* the x, then what the body makes of them */
    size_t end;                                 /* of the elements looked through */
} beyond;

#define IS_NOT_LESS(a, b) COMPARE(a, b, _CMP_NLT_UQ, ~((a) < (b))) /* or NaN */

INLINE unsigned bits_of(lanes_mask m)
{
#if defined(__AVX512F__)
    return m;
#elif defined(__AVX2__)
    return (unsigned)INTRINSIC(256, movemask, )((NATIVE(256))m);
#else
    unsigned bits = 0;
    for (int j = 0; j < VECTOR; j++)
        bits |= (unsigned)(m[j] & 1) << j;
    return bits;
#endif
}

/* Those of a vector at x whose bit is set, to the end of what is found; returns the new end. */
INLINE real *appended(real *end, unsigned bits, const real *x)
{
#if defined(__AVX512F__)
    put(end, (vector)INTRINSIC(512, maskz_compress, )((lanes_mask)bits, (NATIVE(512))vector_at(x)));
    return end + __builtin_popcount(bits);
#else
    for (; bits; bits &= bits - 1)
        *end++ = x[__builtin_ctz(bits)];
    return end;
#endif
}

/* Where m from what is found, else from v. */
INLINE vector taken(beyond *from, lanes_mask m, vector v)
{
    const unsigned bits = bits_of(m);
    const vector next = vector_at(from->next);
    from->next += __builtin_popcount(bits);
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, mask_expand, )((NATIVE(512))v, m, (NATIVE(512))next);
#else
    integers before; /* of each lane, the bits that are set: one byte each, added up by a multiplication */
    const uint64_t apart = (bits * UINT64_C(0x0101010101010101) & 0x8040201008040201) + 0x7f7f7f7f7f7f7f7f;
    const uint64_t sums = (apart >> 7 & 0x0101010101010101) * 0x0101010101010100;
#if defined(__AVX2__) && CACT_REAL == 32
    before = (integers)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)sums));
    return select_where(m, (vector)_mm256_permutevar8x32_ps((__m256)next, (__m256i)before), v);
#elif defined(__AVX2__)
    before = (integers)_mm256_cvtepu8_epi64(_mm_cvtsi64_si128((int64_t)sums)) * 2;
    before |= (before + 1) << 32; /* as pairs of floats */
    return select_where(m, (vector)_mm256_permutevar8x32_ps((__m256)next, (__m256i)before), v);
#else
    for (int j = 0; j < VECTOR; j++)
        before[j] = (integer)(sums >> 8 * j & 0xff);
    for (int j = 0; j < VECTOR; j++)
        v[j] = m[j] ? next[before[j]] : v[j];
    return v;
#endif
#endif
}

#endif
