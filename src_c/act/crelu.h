/* crelu(x) = [max(x, 0), max(-x, 0)] (Shang et al. 2016, arXiv:1603.05201).  Exact; the derivative at 0 is 0.
 * Measured in ULP, float32: f 0 of 40,000, backward 0 of 20,000;
 *    float64: f 0 of 40,000, backward 0 of 20,000. */
#ifdef BODIES
INLINE void crelu_loop(size_t n, size_t step, size_t apart, const real *x, real *y)
{
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const real v = x[i];
        y[i * step] = v <= 0 ? 0 : v; /* not max(v, 0): NaN stays, -0 becomes 0 */
        y[i * step + apart] = v >= 0 ? 0 : -v;
    }
}

INLINE void crelu_loop_backward(size_t n, size_t step, size_t apart, const real *dy, const real *x, real *dx)
{
    IVDEP for (size_t i = 0; i < n; i++)
    {
        const real v = x[i], up = dy[i * step], down = -dy[i * step + apart];
        const real below = v < 0 ? down : 0, number = v > 0 ? up : below;
        dx[i] = v != v ? v : number;
    }
}

static void crelu_pieces(size_t n, size_t k, size_t step, size_t apart, const void *dy, const void *x,
                         void *y)
{
    if (step == 1)
        crelu_loop(n, 1, apart, x, y);
    else
        crelu_loop(n, 2, 1, x, y);
}

static void crelu_pieces_backward(size_t n, size_t k, size_t step, size_t apart, const void *dy,
                                  const void *x, void *dx)
{
    if (step == 1)
        crelu_loop_backward(n, 1, apart, dy, x, dx);
    else
        crelu_loop_backward(n, 2, 1, dy, x, dx);
}
#endif
PIECES_FUNCTION(crelu, 0, CACT_SPLITS)
