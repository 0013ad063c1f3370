/* rows_double.h - double rows with the exponential of vector_double.h, a block at a time, where that is exact enough;
 * rows.h has what is left over.  Which of the two computes a block depends on its numbers alone. */

#define VECTORS for (int k = 0; k < LANES / VECTOR; k++)

/* e^{sign x - max} of a block, 0.55 ULP, the difference exact in two words; whether none is subnormal or NaN */
INLINE int shifted_exp_block(const double *x, double sign, double max, vector *e)
{
    int right = 1;
    VECTORS
    {
        const vector z = vector_at(x + k * VECTOR) * sign, d = z - max, t = d - z;
        e[k] = exp_rounded((two){d, (z - (d - t)) + (-max - t)});
        right &= all_below(-d, 700);
    }
    return right;
}

/* log_softmax: dx = dy - e^y sum of a block, to 1.5 ULP where no term is 8 times dx; whether it is. */
INLINE int minus_share_block(const double *dy, num sum, const double *y, double *dx)
{
    int right = 1;
    vector r[LANES / VECTOR];
    VECTORS
    {
        const vector v = vector_at(y + k * VECTOR), a = vector_at(dy + k * VECTOR);
        const two share = two_mul(exp_two(only(v), TO_ONE), two_of(sum.hi, sum.lo));
        r[k] = (a - share.hi) - share.lo;
        right &= all_below(vector_size(v), 600) &
                 all_below(vector_size(a) * 0x1p-3 - vector_size(r[k]), 0) & all_below(vector_size(r[k]), DBL_MAX);
    }
    VECTORS put(dx + k * VECTOR, r[k]);
    return right;
}
