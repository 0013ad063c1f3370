/* The elementary functions that the kernels are built from, one element at a time. */
#include "real.h"

void block_exp(int n, const real *x, real *y)
{
    for (int i = 0; i < n; i++) {
        const exponential e = exp_far(exact(x[i]));
        y[i] = (real)(rounded(e.value) * e.tail * e.far_tail);
    }
}

void block_expm1(int n, const real *x, real *y)
{
    for (int i = 0; i < n; i++) {
        const reduced e = reduce(exact(x[i]));
        const double s = pow2(at_least(e.k, -900));
        y[i] = (real)rounded(add(sum(-1, s), scale(e.p, s))); /* (2^k - 1) + 2^k p */
    }
}

void block_log1p(int n, const real *x, real *y)
{
    for (int i = 0; i < n; i++)
        y[i] = (real)rounded(log1p_(exact(x[i])));
}
