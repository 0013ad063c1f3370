/* direct.h - runs kernels on contiguous operands where they lie, and streams results past the caches. */
#ifndef CACT_DIRECT_H
#define CACT_DIRECT_H

#include "cact.h"
#include "stream.h"
#include "threads.h"

#define ALIGN_FROM 16384 /* bytes from where it pays that no store is split between two lines */

typedef struct {
    cact_loop *loop;
    char *const *in, *const *out;
    const double *const *p;
    int ins, outs;
    size_t size, first; /* of an element; where to begin */
} direct_work;

static void direct_piece(void *context, size_t begin, size_t end)
{
    const direct_work *w = context;
    const void *in[CACT_MAX_INPUTS] = {0};
    void *out[CACT_MAX_OUTPUTS] = {0};
    for (int k = 0; k < w->ins; k++)
        in[k] = w->in[k] + (w->first + begin) * w->size;
    for (int k = 0; k < w->outs; k++)
        out[k] = w->out[k] + (w->first + begin) * w->size;
    w->loop(end - begin, in, w->p, 0, out);
}

static void streamed_piece(void *context, size_t begin, size_t end)
{
    const direct_work *w = context;
    _Alignas(LINE) char block[CACT_MAX_OUTPUTS][STREAMED];
    const void *in[CACT_MAX_INPUTS] = {0};
    void *out[CACT_MAX_OUTPUTS] = {0};
    for (int k = 0; k < w->outs; k++)
        out[k] = block[k];
    for (size_t i = begin, n; i < end; i += n) {
        const size_t at = (w->first + i) * w->size;
        n = end - i < STREAMED / w->size ? end - i : STREAMED / w->size;
        for (int k = 0; k < w->ins; k++) {
            in[k] = w->in[k] + at;
            ask_ahead(in[k], STREAMED);
        }
        w->loop(n, in, w->p, 0, out);
        for (int k = 0; k < w->outs; k++)
            stream(w->out[k] + at, block[k], n * w->size);
    }
    streamed();
}

static int in_place(const direct_work *w)
{
    int found = 0;
    for (int j = 0; j < w->ins; j++)
        for (int k = 0; k < w->outs; k++)
            found |= w->in[j] == w->out[k];
    return found;
}

static cact_piece *piece_for(const direct_work *w, size_t n, int streams)
{
    const size_t operands = (size_t)(w->ins + w->outs);
    return streams && n * w->size >= stream_from() / operands && !in_place(w) ? streamed_piece : direct_piece;
}

#endif
