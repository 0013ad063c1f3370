/* maxout(x)_i = the greatest of the k elements of piece i (Goodfellow et al. 2013, arXiv:1302.4389).
 * Exact.  Of equal ones, 0 and -0 too, the first is taken, and has the gradient; a NaN is the last there is, and is
 * the gradient of them all. */
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

INLINE void maxout_pairs_backward(size_t n, size_t step, size_t apart, const real *dy, const real *x, real *dx)
{
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const real a = x[i * step], b = x[i * step + apart], y = greater_of(a, b), g = dy[i];
        const real first = b > a ? 0 : g, second = b > a ? g : 0;
        dx[i * step] = y != y ? y : first;
        dx[i * step + apart] = y != y ? y : second;
    }
}

/* Of k, block by block: the greatest so far in `y`, and where it stands in `at`. */
enum { MAXOUT_BLOCK = 256 };
#if CACT_REAL == 32
typedef int32_t maxout_place;
#else
typedef int64_t maxout_place;
#endif

INLINE void maxout_block(size_t n, size_t k, size_t step, size_t apart, const real *x, real *y, maxout_place *at)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i * step], at[i] = 0;
    for (size_t j = 1; j < k; j++)
        for (size_t i = 0; i < n; i++) {
            const real v = x[i * step + j * apart];
            at[i] = v > y[i] ? (maxout_place)j : at[i];
            y[i] = greater_of(y[i], v);
        }
}

INLINE void maxout_blocks(size_t n, size_t k, size_t step, size_t apart, const real *dy, const real *x, real *out)
{
    real y[MAXOUT_BLOCK];
    maxout_place at[MAXOUT_BLOCK];
    for (size_t done = 0, m; done < n; done += m, x += m * step) {
        m = n - done < MAXOUT_BLOCK ? n - done : MAXOUT_BLOCK;
        maxout_block(m, k, step, apart, x, y, at);
        if (!dy) {
            memcpy(out, y, m * sizeof *y);
            out += m;
            continue;
        }
        for (size_t j = 0; j < k; j++)
            for (size_t i = 0; i < m; i++) {
                const real dx = at[i] == (maxout_place)j ? dy[i] : 0;
                out[i * step + j * apart] = y[i] != y[i] ? y[i] : dx;
            }
        dy += m, out += m * step;
    }
}

static void maxout_pieces(size_t n, size_t k, size_t step, size_t apart, const void *dy, const void *x, void *y)
{
    if (k == 2 && step == 2)
        maxout_pairs(n, 2, 1, x, y);
    else if (k == 2)
        maxout_pairs(n, 1, apart, x, y);
    else if (step == 1)
        maxout_blocks(n, k, 1, apart, NULL, x, y);
    else
        maxout_blocks(n, k, k, 1, NULL, x, y);
}

static void maxout_pieces_backward(size_t n, size_t k, size_t step, size_t apart, const void *dy, const void *x,
                                   void *dx)
{
    if (k == 2 && step == 2)
        maxout_pairs_backward(n, 2, 1, dy, x, dx);
    else if (k == 2)
        maxout_pairs_backward(n, 1, apart, dy, x, dx);
    else if (step == 1)
        maxout_blocks(n, k, 1, apart, dy, x, dx);
    else
        maxout_blocks(n, k, k, 1, dy, x, dx);
}
#endif
PIECES_FUNCTION(maxout, 1, CACT_JOINS)
