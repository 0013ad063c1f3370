/* stream.h - results past the caches. */
#ifndef CACT_STREAM_H
#define CACT_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LINE 64          /* bytes of a cache line */

/* Past the caches results go to memory directly: a plain store reads the line first, and puts out of the caches
 * what might be wanted.  In the caches that is up to three times slower, and where arithmetic sets the pace it
 * gains nothing. */
#define STREAM_AT_MOST_FROM ((size_t)64 << 20) /* bytes of all operands; less where the last cache is small */
#define STREAMED 1024 /* bytes of a result at a time, computed in the first-level cache */
#define AHEAD 1024    /* bytes from which on inputs are asked for: the next block (four later: 1.5 times slower, Zen 4) */

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* From leaf 4 of Intel's CPUID, 0x8000001d of AMD's: the same fields.  0 if they do not say. */
static inline size_t last_cache(void)
{
    size_t largest = 0;
    for (int leaf = 0; leaf < 2; leaf++)
        for (unsigned i = 0, a = 1, b, c, d; i < 8 && (a & 31); i++)
            if (__get_cpuid_count(leaf ? 0x8000001du : 4u, i, &a, &b, &c, &d) && (a & 31)) {
                const size_t ways = (b >> 22) + 1, parts = (b >> 12 & 0x3ff) + 1, line = (b & 0xfff) + 1;
                const size_t size = ways * parts * line * (c + (size_t)1);
                largest = size > largest ? size : largest;
            } else
                break;
    return largest;
}

static inline size_t stream_from(void)
{
    static _Atomic size_t from;
    if (!from) { /* racing threads find the same */
        const size_t cache = last_cache() * 3 / 2;
        from = cache && cache < STREAM_AT_MOST_FROM ? cache : STREAM_AT_MOST_FROM;
    }
    return from;
}

/* to = from, whole lines past the caches, in halves of lines (in quarters 1.3 times slower, Zen 4).  All x86-64 kernels
 * need AVX. */
__attribute__((target("avx"))) static inline void stream(char *to, const char *from, size_t bytes)
{
    const size_t head = -(uintptr_t)to % LINE, first = head < bytes ? head : bytes;
    const size_t whole = (bytes - first) / LINE * LINE;
    memcpy(to, from, first);
    for (size_t i = first; i < first + whole; i += sizeof(__m256i))
        _mm256_stream_si256((__m256i *)(to + i), _mm256_loadu_si256((const __m256i *)(from + i)));
    memcpy(to + first + whole, from + first + whole, bytes - first - whole);
}

static inline void streamed(void) { _mm_sfence(); } /* stores past the caches are not ordered with others */

#else
static inline size_t stream_from(void) { return SIZE_MAX; }
static inline void stream(char *to, const char *from, size_t bytes) { memcpy(to, from, bytes); }
static inline void streamed(void) {}
#endif

/* Asks for the bytes that follow from AHEAD on. */
static inline void ask_ahead(const char *from, size_t bytes)
{
    for (size_t ahead = AHEAD; ahead < AHEAD + bytes; ahead += LINE)
        __builtin_prefetch(from + ahead);
}

#endif
