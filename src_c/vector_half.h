/* vector_half.h - half types many at a time, the same bits as half.h.  Part of kernels.c, where reals are floats.
 *
 * A result midway between two numbers of the half type may have been rounded to there, and then does not say to
 * which of them the exact one is nearer: narrow() lists these floats. */
#include "half.h"

#if defined(__F16C__)
#define SOME 8 /* floats, for AVX-512 too: conversions set the pace, not the width */
#elif defined(__aarch64__)
#include <arm_neon.h>
#define SOME 4
#endif
typedef float some __attribute__((vector_size(4 * SOME)));
typedef uint32_t some_bits __attribute__((vector_size(4 * SOME)));
typedef uint16_t shorts __attribute__((vector_size(4 * SOME)));
typedef int16_t signed_shorts __attribute__((vector_size(4 * SOME)));

typedef struct {
    some a, b;
} pair_of_some;

#if defined(__F16C__)
INLINE some half_at(const uint16_t *h) { return (some)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)h)); }
INLINE some bfloat_at(const uint16_t *h)
{
    return (some)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)h)), 16);
}

INLINE void put_half(uint16_t *h, pair_of_some v)
{
    _mm_storeu_si128((__m128i *)h, _mm256_cvtps_ph((__m256)v.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(h + 8), _mm256_cvtps_ph((__m256)v.b, _MM_FROUND_TO_NEAREST_INT));
}

INLINE void put_upper(uint16_t *h, some_bits a, some_bits b) /* the upper 16 bits of all */
{
    const __m256i both = _mm256_packus_epi32((__m256i)(a >> 16), (__m256i)(b >> 16));
    _mm256_storeu_si256((__m256i *)h, _mm256_permute4x64_epi64(both, 0xd8));
}

INLINE int any_short(shorts m) { return _mm256_movemask_epi8((__m256i)m) != 0; }
#elif defined(__aarch64__)
INLINE some half_at(const uint16_t *h) { return (some)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h))); }
INLINE some bfloat_at(const uint16_t *h) { return (some)((some_bits)vmovl_u16(vld1_u16(h)) << 16); }

INLINE void put_half(uint16_t *h, pair_of_some v)
{
    vst1_u16(h, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v.a)));
    vst1_u16(h + 4, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v.b)));
}

INLINE void put_upper(uint16_t *h, some_bits a, some_bits b)
{
    vst1_u16(h, vshrn_n_u32((uint32x4_t)a, 16));
    vst1_u16(h + 4, vshrn_n_u32((uint32x4_t)b, 16));
}

INLINE int any_short(shorts m) { return vmaxvq_u16((uint16x8_t)m) != 0; }
#endif

INLINE some_bits bfloat_rounded(some v)
{
    const some_bits bits = (some_bits)v, nan = (some_bits)(v != v);
    return (bits + ((0x7fff + (bits >> 16 & 1)) & ~nan)) | (nan & 0x400000);
}

INLINE void put_bfloat(uint16_t *h, pair_of_some v) { put_upper(h, bfloat_rounded(v.a), bfloat_rounded(v.b)); }

/* Which of the floats, a and b by turns, lie midway between two halves, or, if below 2^-14, on a half or between
 * two: the tests are on the upper and on the lower 16 bits of all. */
INLINE shorts half_undecided(pair_of_some v)
{
    const some_bits a = (some_bits)v.a, b = (some_bits)v.b;
    const shorts lower = (shorts)((a & 0xffff) | b << 16), upper = (shorts)(a >> 16 | (b & 0xffff0000));
    const shorts wrapped = upper + upper + 0x0f00; /* 0 < |upper| < 0x3880 is what lies above 0x0f00 then */
    const shorts small = (shorts)((signed_shorts)wrapped > 0x0f00);
    return (shorts)(lower << 3 == (~small & 0x8000));
}

INLINE shorts bfloat_undecided(pair_of_some v)
{
    const shorts lower = (shorts)(((some_bits)v.a & 0xffff) | (some_bits)v.b << 16);
    return (shorts)(lower == 0x8000);
}

INLINE some some_at(const float *x)
{
    some v;
    memcpy(&v, x, sizeof v);
    return v;
}

static __attribute__((noinline)) size_t places(shorts here, size_t i, uint16_t *undecided)
{
    size_t found = 0;
    for (size_t j = 0; j < 2 * SOME; j++)
        if (here[j])
            undecided[found++] = (uint16_t)(i + j / 2 + j % 2 * SOME);
    return found;
}

/* Whole groups of CACT_LANES; an output may be an input. */
#define HALF_LOOPS(type)                                                                                    \
    static void type##_widen(size_t n, const uint16_t *from, float *into)                                   \
    {                                                                                                       \
        for (size_t i = 0; i < n; i += SOME) {                                                              \
            const some v = type##_at(from + i);                                                             \
            memcpy(into + i, &v, sizeof v);                                                                 \
        }                                                                                                   \
    }                                                                                                       \
    static size_t type##_narrow(size_t n, const float *from, uint16_t *into, uint16_t *undecided)           \
    {                                                                                                       \
        size_t found = 0;                                                                                   \
        for (size_t i = 0; i < n; i += 2 * SOME) {                                                          \
            const pair_of_some v = {some_at(from + i), some_at(from + i + SOME)};                           \
            const shorts here = type##_undecided(v);                                                        \
            put_##type(into + i, v);                                                                        \
            if (any_short(here))                                                                            \
                found += places(here, i, undecided + found);                                                \
        }                                                                                                   \
        return found;                                                                                       \
    }                                                                                                       \
    static void type##_times(size_t n, const uint16_t *a, const uint16_t *b, uint16_t *into)                \
    {                                                                                                       \
        for (size_t i = 0; i < n; i += 2 * SOME)                                                            \
            put_##type(into + i, (pair_of_some){type##_at(a + i) * type##_at(b + i),                        \
                                                type##_at(a + i + SOME) * type##_at(b + i + SOME)});        \
    }
HALF_LOOPS(half)
HALF_LOOPS(bfloat)
