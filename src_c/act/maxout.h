/* maxout(x)_i = the greatest of the k elements of piece i (Goodfellow et al. 2013, arXiv:1302.4389).
 * Exact.  Of equal ones, 0 and -0 too, the first is taken, and has the gradient; a NaN is the last there is,
 * and is the gradient of them all.
 * Measured in ULP, float32: f 0 of 20,000, backward 0 of 40,000;
 *    float64: f 0 of 20,000, backward 0 of 40,000. */
#ifdef BODIES
INLINE real greater_of(real y, real v)
{
    const real greater = v > y ? v : y;
    return v != v ? v : greater;
}

/* Of two: one pass. */
INLINE void maxout_pairs(size_t n, size_t step, size_t apart, const real *x, real *y)
{
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const real a = x[i * step], b = x[i * step + apart];
        y[i] = greater_of(a, b);
    }
}

INLINE void maxout_pairs_backward(size_t n, size_t step, size_t apart, const real *dy, const real *x,
                                  real *dx)
{
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const real a = x[i * step], b = x[i * step + apart], y = greater_of(a, b), g = dy[i];
        const real first = b > a ? 0 : g, second = b > a ? g : 0;
        dx[i * step] = y != y ? y : first;
        dx[i * step + apart] = y != y ? y : second;
    }
}

/* Of k, a block at a time: the greatest so far, and where it stands.  From one of two arrays into the other,
 * since a compiler makes of what may stay as it is a store under a mask, which is slow. */
enum { MAXOUT_BLOCK = 256 };
#if CACT_REAL == 32
typedef int32_t maxout_place;
#else
typedef int64_t maxout_place;
#endif
typedef struct {
    real greatest[MAXOUT_BLOCK];
    maxout_place at[MAXOUT_BLOCK];
} maxout_found;

INLINE const maxout_found *maxout_block(size_t n, size_t k, size_t step, size_t apart, const real *x,
                                        maxout_found *two)
{
    for (size_t i = 0; i < n; i++)
        two[0].greatest[i] = x[i * step], two[0].at[i] = 0;
    for (size_t j = 1; j < k; j++) {
        const maxout_found *const from = &two[(j - 1) % 2];
        maxout_found *const to = &two[j % 2];
        IVDEP for (size_t i = 0; i < n; i++)
        {
            const real v = x[i * step + j * apart];
            to->at[i] = v > from->greatest[i] ? (maxout_place)j : from->at[i];
            to->greatest[i] = greater_of(from->greatest[i], v);
        }
    }
    return &two[(k - 1) % 2];
}

INLINE void maxout_blocks(size_t n, size_t k, size_t step, size_t apart, const real *x, real *y)
{
    maxout_found two[2];
    for (size_t done = 0, m; done < n; done += m) {
        m = n - done < MAXOUT_BLOCK ? n - done : MAXOUT_BLOCK;
        memcpy(y + done, maxout_block(m, k, step, apart, x + done * step, two)->greatest, m * sizeof *y);
    }
}

INLINE void maxout_blocks_backward(size_t n, size_t k, size_t step, size_t apart, const real *dy,
                                   const real *x, real *dx)
{
    maxout_found two[2];
    for (size_t done = 0, m; done < n; done += m) {
        m = n - done < MAXOUT_BLOCK ? n - done : MAXOUT_BLOCK;
        const maxout_found *const found = maxout_block(m, k, step, apart, x + done * step, two);
        for (size_t j = 0; j < k; j++)
            IVDEP for (size_t i = 0; i < m; i++)
            {
                const real y = found->greatest[i], g = dy[done + i];
                const real chosen = found->at[i] == (maxout_place)j ? g : 0;
                dx[(done + i) * step + j * apart] = y != y ? y : chosen;
            }
    }
}

static void maxout_pieces(size_t n, size_t k, size_t step, size_t apart, const void *dy, const void *x,
                          void *y)
{
    if (k == 2 && step == 2)
        maxout_pairs(n, 2, 1, x, y);
    else if (k == 2)
        maxout_pairs(n, 1, apart, x, y);
    else if (step == 1)
        maxout_blocks(n, k, 1, apart, x, y);
    else
        maxout_blocks(n, k, k, 1, x, y);
}

static void maxout_pieces_backward(size_t n, size_t k, size_t step, size_t apart, const void *dy,
                                   const void *x, void *dx)
{
    if (k == 2 && step == 2)
        maxout_pairs_backward(n, 2, 1, dy, x, dx);
    else if (k == 2)
        maxout_pairs_backward(n, 1, apart, dy, x, dx);
    else if (step == 1)
        maxout_blocks_backward(n, k, 1, apart, dy, x, dx);
    else
        maxout_blocks_backward(n, k, k, 1, dy, x, dx);
}
#endif
PIECES_FUNCTION(maxout, 1, CACT_JOINS)
