/* threads.h - see threads.c. */
#ifndef CACT_THREADS_H
#define CACT_THREADS_H

#include <stddef.h>

typedef void cact_piece(void *context, size_t begin, size_t end);

/* piece() over [0, n), cut at multiples of `grain`, by up to cact_get_threads() threads. */
void cact_parallel(size_t n, size_t grain, cact_piece *piece, void *context);

void cact_set_threads(int n);
int cact_get_threads(void);

#endif
