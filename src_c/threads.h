/* threads.h - see threads.c. */
#ifndef CACT_THREADS_H
#define CACT_THREADS_H

#include <stddef.h>

typedef void cact_piece(void *context, size_t begin, size_t end);

/* piece() over [0, n), cut at multiples of `grain`, by up to cact_get_threads() threads; by the caller alone if all
 * others sleep, unless `waking_pays` or calls follow each other closely. */
void cact_parallel(size_t n, size_t grain, int waking_pays, cact_piece *piece, void *context);

/* From where a second thread that is awake pays, in bytes of one operand: where arithmetic sets the pace, and where
 * memory does, if no cache near a core holds it.  From where it pays to wake one, which may take a millisecond on
 * a virtual machine.  (Measured on 2 cores: benchmarks/threads.py.) */
#define HEAVY_FROM (64 << 10)
#define LIGHT_FROM (512 << 10)
#define WAKING_FROM (3 << 20)

/* What sets the pace: memory, arithmetic (a heavy function), or the matrix products around, for what a step of training
 * does between them: BLAS's own threads hold the other cores then, where they wait for the next product, and ours would
 * keep them from it. */
enum { MEMORY, ARITHMETIC, PRODUCTS };

/* Pieces, in bytes of one operand: an eighth of the whole, for threads that are not equally fast, within bounds. */
#define LEAST_PIECE (8 << 10)
#define MOST_PIECE (512 << 10)

/* The same for n rows of elements of a size (of single elements: row = 1), in parallel where it pays. */
static inline void cact_in_pieces(int pace, size_t n, size_t size, size_t row, cact_piece *piece, void *work)
{
    const size_t bytes = n * row * size;
    const size_t from = pace == PRODUCTS ? WAKING_FROM : pace == ARITHMETIC ? HEAVY_FROM : LIGHT_FROM;
    size_t grain = bytes / 8 < LEAST_PIECE ? LEAST_PIECE : bytes / 8 > MOST_PIECE ? MOST_PIECE : bytes / 8;
    grain &= ~(size_t)(LEAST_PIECE - 1);
    if (bytes >= from)
        cact_parallel(n, (grain + row * size - 1) / (row * size), bytes >= WAKING_FROM, piece, work);
    else if (n)
        piece(work, 0, n);
}

void cact_set_threads(int n);
int cact_get_threads(void);

#endif
