/* strided.h - what dispatch.c gives strided.c: see there. */
#ifndef CACT_STRIDED_H
#define CACT_STRIDED_H

#include "cact.h"

/* Inputs, parameters (doubles), outputs; steps in bytes, by operand and dimension. */
typedef struct {
    cact_loop *loop;
    int ins, params, outs, heavy, plain, dims;
    cact_type own; /* CACT_FLOAT, CACT_DOUBLE: of the outputs */
    const cact_type *type;
    const ptrdiff_t (*steps)[CACT_MAX_DIMS];
} strided_call;

void cact_strided(const strided_call *call, const size_t *shape, char *const *args);

#endif
