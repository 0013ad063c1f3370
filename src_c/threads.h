/* threads.h - see threads.c. */
#ifndef CACT_THREADS_H
#define CACT_THREADS_H

#include <stddef.h>

typedef void cact_piece(void *context, size_t begin, size_t end);

/* piece() over [0, n), cut at multiples of `grain`, by up to cact_get_threads() threads; by the caller alone if all
 * others sleep and `waking_pays` is not set. */
void cact_parallel(size_t n, size_t grain, int waking_pays, cact_piece *piece, void *context);

/* From where a second thread pays, in bytes of one operand (measured on 2 cores: benchmarks/threads.py): where
 * arithmetic sets the pace, and where memory does, if no cache near a core holds it.  To wake a thread takes as long as
 * a call of that size, so it pays from four times that; in a row of calls it is awake. */
#define HEAVY_FROM (128 << 10)
#define LIGHT_FROM (1 << 20)
#define WAKING 4

/* Pieces, in bytes of one operand: an eighth of the whole, for threads that are not equally fast, within bounds. */
#define LEAST_PIECE (32 << 10)
#define MOST_PIECE (512 << 10)

/* The same for n rows of elements of a size (of single elements: row = 1), in parallel where it pays. */
static inline void cact_in_pieces(int heavy, size_t n, size_t size, size_t row, cact_piece *piece, void *work)
{
    const size_t bytes = n * row * size, from = heavy ? HEAVY_FROM : LIGHT_FROM;
    size_t grain = bytes / 8 < LEAST_PIECE ? LEAST_PIECE : bytes / 8 > MOST_PIECE ? MOST_PIECE : bytes / 8;
    grain &= ~(size_t)(LEAST_PIECE - 1);
    if (bytes >= from)
        cact_parallel(n, (grain + row * size - 1) / (row * size), bytes >= WAKING * from, piece, work);
    else if (n)
        piece(work, 0, n);
}

void cact_set_threads(int n);
int cact_get_threads(void);

#endif
