/* half.h - half types: one number at a time, and what half.c gives dispatch.c. */
#ifndef CACT_HALF_H
#define CACT_HALF_H

#include <stdint.h>
#include <string.h>

#include "cact.h"

static inline uint32_t float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static inline uint16_t float_to_half(float f) /* to nearest, ties to even */
{
    const uint32_t sign = float_bits(f) >> 16 & 0x8000;
    uint32_t bits = float_bits(f) & 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) /* below 2^-14: the spacing is 2^-24, the last bit of 0.5 + m */
        return (uint16_t)(sign | (float_bits(float_of(bits) + 0.5f) - 0x3f000000));
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits - 0x38000000) >> 13));
}

static inline float bfloat_to_float(uint16_t b) { return float_of((uint32_t)b << 16); }

static inline uint16_t float_to_bfloat(float f) /* to nearest, ties to even */
{
    const uint32_t bits = float_bits(f);
    const uint32_t nan = bits >> 16 | 0x40, rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

/* Elementwise operations on contiguous or strided operands of one half type; the kernels are those of f, f' or
 * both, in float and in double.  Arguments are as of cact_run. */
typedef struct {
    const cact_kernels *single, *twice;
    const cact_half_loops *loops;
    cact_op op;
    int ins, params, outs, each;
    char *const *args;
    const ptrdiff_t *steps;
    cact_type type;
} half_work;

void cact_run_half(const half_work *w, size_t n);

/* n numbers, `step` bytes apart, as floats and back, rounded; there is room for whole blocks of CACT_LANES floats. */
void cact_half_load(const cact_half_loops *loops, size_t n, const char *from, ptrdiff_t step, float *into);
void cact_half_store(const cact_half_loops *loops, size_t n, const float *from, char *to, ptrdiff_t step);

static inline int is_half(cact_type type) { return type == CACT_HALF || type == CACT_BFLOAT; }

#endif
