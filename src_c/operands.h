/* operands.h - what lies in memory, as floats or doubles, and back. */
#ifndef CACT_OPERANDS_H
#define CACT_OPERANDS_H

#include <stdint.h>
#include <string.h>

#include "cact.h"

static const size_t sizes[CACT_TYPES] = {4, 8, 2, 2, 1, 1, 1, 2, 2, 4, 4, 8, 8};

static float half_to_float(uint16_t h)
{
    uint32_t bits = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float f;
    if ((h & 0x7c00) == 0x7c00)
        bits |= 0x7f800000; /* inf, NaN */
    memcpy(&f, &bits, 4);
    if ((h & 0x7c00) != 0x7c00)
        f *= 0x1p112f; /* exact; subnormals become normal */
    memcpy(&bits, &f, 4);
    bits |= sign;
    memcpy(&f, &bits, 4);
    return f;
}

static uint16_t float_to_half(float f) /* to nearest, ties to even */
{
    uint32_t bits, sign;
    memcpy(&bits, &f, 4);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* below 2^-14: the spacing is 2^-24; let an addition round */
        float magnitude;
        memcpy(&magnitude, &bits, 4);
        magnitude += 0.5f; /* the last bit of 0.5 + m is 2^-24 */
        memcpy(&bits, &magnitude, 4);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits - 0x38000000) >> 13));
}

static float bfloat_to_float(uint16_t b)
{
    const uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint16_t float_to_bfloat(float f) /* to nearest, ties to even */
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Rounded to odd: rounding once more, to a half type, is then as from the double itself. */
static float double_to_odd(double d)
{
    float f = (float)d;
    if ((double)f != d && d == d) {
        uint32_t bits;
        memcpy(&bits, &f, 4);
        bits -= __builtin_fabs((double)f) > __builtin_fabs(d);
        bits |= 1;
        memcpy(&f, &bits, 4);
    }
    return f;
}

#define GATHER(type, to, value)                                       \
    for (size_t i = 0; i < n; i++) {                                  \
        type v;                                                       \
        memcpy(&v, from + (ptrdiff_t)i * step, sizeof v);             \
        ((to *)into)[i] = (to)(value);                                \
    }                                                                 \
    break

/* n elements of a type, `step` bytes apart, as contiguous floats (float and half types) or doubles. */
static void load(cact_type type, int dtype, size_t n, const char *from, ptrdiff_t step, void *into)
{
    if (dtype == CACT_F32)
        switch (type) {
        case CACT_FLOAT: GATHER(float, float, v);
        case CACT_HALF: GATHER(uint16_t, float, half_to_float(v));
        case CACT_BFLOAT: GATHER(uint16_t, float, bfloat_to_float(v));
        default: break;
        }
    else
        switch (type) {
        case CACT_DOUBLE: GATHER(double, double, v);
        case CACT_HALF: GATHER(uint16_t, double, half_to_float(v));
        case CACT_BFLOAT: GATHER(uint16_t, double, bfloat_to_float(v));
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

#define SCATTER(from_type, type, value)                               \
    for (size_t i = 0; i < n; i++) {                                  \
        type v = (value(((const from_type *)from)[i]));               \
        memcpy(to + (ptrdiff_t)i * step, &v, sizeof v);               \
    }                                                                 \
    break

static void store(cact_type type, size_t n, const void *from, char *to, ptrdiff_t step)
{
    switch (type) {
    case CACT_FLOAT: SCATTER(float, float, );
    case CACT_DOUBLE: SCATTER(double, double, );
    case CACT_HALF: SCATTER(float, uint16_t, float_to_half);
    case CACT_BFLOAT: SCATTER(float, uint16_t, float_to_bfloat);
    default: break;
    }
}

#endif
