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

/* n elements of a type, `step` bytes apart, as contiguous floats or doubles. */
static void load(cact_type type, int dtype, size_t n, const char *from, ptrdiff_t step, void *into)
{
    if (dtype == CACT_F32)
        switch (type) {
        case CACT_FLOAT: GATHER(float, float, v);
        default: break;
        }
    else
        switch (type) {
        case CACT_DOUBLE: GATHER(double, double, v);
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
    default: break;
    }
}

#endif
