/* threads.h - see threads.c. */
#ifndef CACT_THREADS_H
#define CACT_THREADS_H

#include <stddef.h>

typedef void cact_piece(void *context, size_t begin, size_t end);

/* piece() over [0, n), cut at multiples of `grain`, by up to cact_get_threads() threads. */
void cact_parallel(size_t n, size_t grain, cact_piece *piece, void *context);

/* From where a second thread pays, and the pieces (measured on 2 cores: benchmarks/threads.py). */
#define HEAVY_FROM 32768     /* elements: 20 us of work and more */
#define HEAVY_GRAIN 8192     /* elements */
#define LIGHT_FROM (8 << 20) /* bytes: memory sets the pace, so only where no cache holds them */
#define LIGHT_GRAIN (1 << 18)

/* The same for n rows of elements of a size, in parallel where it pays. */
static inline void cact_in_pieces(int heavy, size_t n, size_t size, size_t row, cact_piece *piece, void *work)
{
    const size_t grain = heavy ? HEAVY_GRAIN : LIGHT_GRAIN;
    if (heavy ? n * row >= HEAVY_FROM : n * row * size >= LIGHT_FROM)
        cact_parallel(n, (grain + row - 1) / row, piece, work);
    else if (n)
        piece(work, 0, n);
}

void cact_set_threads(int n);
int cact_get_threads(void);

#endif
