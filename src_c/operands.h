/* operands.h - what lies in memory, as floats or doubles, and back. */
#ifndef CACT_OPERANDS_H
#define CACT_OPERANDS_H

#include <stdint.h>
#include <string.h>

#include "cact.h"

static const size_t sizes[CACT_TYPES] = {4, 8, 2, 2, 1, 1, 1, 2, 2, 4, 4, 8, 8};

#define GATHER(type, to, value)                                       \
    for (size_t i = 0; i < n; i++) {                                  \
        type v;                                                       \
        memcpy(&v, from + (ptrdiff_t)i * step, sizeof v);             \
        ((to *)into)[i] = (to)(value);                                \
    }                                                                 \
    break

#if defined(__SSE__)
#include <xmmintrin.h>
/* The first so many of n floats 8 bytes apart, of which the last may end a page */
static size_t every_other(size_t n, const char *from, char *to)
{
    size_t i = 0;
    for (; i + 4 < n; i += 4) {
        const __m128 a = _mm_loadu_ps((const float *)(from + 8 * i)), b = _mm_loadu_ps((const float *)(from + 8 * i + 16));
        _mm_storeu_ps((float *)(to + 4 * i), _mm_shuffle_ps(a, b, 0x88));
    }
    return i;
}
#else
static size_t every_other(size_t n, const char *from, char *to) { return (void)n, (void)from, (void)to, 0; }
#endif

/* n elements of a size, as they are, from some steps to others */
#define COPY(type)                                                    \
    for (; n >= 4; n -= 4, from += 4 * step, to += 4 * step_to) {     \
        type a, b, c, d;                                              \
        memcpy(&a, from, sizeof a);                                   \
        memcpy(&b, from + step, sizeof a);                            \
        memcpy(&c, from + 2 * step, sizeof a);                        \
        memcpy(&d, from + 3 * step, sizeof a);                        \
        memcpy(to, &a, sizeof a);                                     \
        memcpy(to + step_to, &b, sizeof a);                           \
        memcpy(to + 2 * step_to, &c, sizeof a);                       \
        memcpy(to + 3 * step_to, &d, sizeof a);                       \
    }                                                                 \
    for (; n; n--, from += step, to += step_to)                       \
        memcpy(to, from, sizeof(type))
static void copy(size_t size, size_t n, const char *from, ptrdiff_t step, char *to, ptrdiff_t step_to)
{
    if (step == (ptrdiff_t)size && step_to == step) {
        size_t bytes = n * size; /* few: a call of memcpy would cost as much */
        for (; bytes >= 16; bytes -= 16, from += 16, to += 16)
            memcpy(to, from, 16);
        memcpy(to, from, bytes);
    } else if (size == 4 && step_to == 4) {
        if (step == 8) {
            const size_t done = every_other(n, from, to);
            n -= done, from += done * 8, to += done * 4;
        }
        COPY(uint32_t);
    } else if (size == 4) {
        COPY(uint32_t);
    } else if (step_to == 8) {
        COPY(uint64_t);
    } else {
        COPY(uint64_t);
    }
}

/* n elements of a type, `step` bytes apart, as contiguous floats or doubles. */
static void load(cact_type type, int dtype, size_t n, const char *from, ptrdiff_t step, void *into)
{
    if (dtype == CACT_F32)
        switch (type) {
        case CACT_FLOAT: copy(4, n, from, step, into, 4); break;
        default: break;
        }
    else
        switch (type) {
        case CACT_DOUBLE: copy(8, n, from, step, into, 8); break;
        case CACT_BOOL: GATHER(uint8_t, double, v != 0);
        case CACT_INT8: GATHER(int8_t, double, v);
        case CACT_UINT8: GATHER(uint8_t, double, v);
        case CACT_INT16: GATHER(int16_t, double, v);
        case CACT_UINT16: GATHER(uint16_t, double, v);
        case CACT_INT32: GATHER(int32_t, double, v);
        case CACT_UINT32: GATHER(uint32_t, double, v);
        case CACT_INT64: GATHER(int64_t, double, v);
        case CACT_UINT64: GATHER(uint64_t, double, v);
        default: break;
        }
}

/* n contiguous floats or doubles, `step` bytes apart */
static void store(cact_type type, size_t n, const void *from, char *to, ptrdiff_t step)
{
    copy(sizes[type], n, from, (ptrdiff_t)sizes[type], to, step);
}

#endif
