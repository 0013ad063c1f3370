/* simplex_float.h - backward of sparsemax and entmax15 for float rows, in float lanes as in rows_float.h.
 *
 * The mean of dy is of quick sums, off by less than 2^-41 of its size; enough where no dy of the support is too near
 * to it, to 1 ULP (sparsemax) and 2 (entmax15, three roundings).  A row with what is not finite has a size that is
 * not, and is left to simplex.h. */

typedef struct {
    wide sums[LANES / WIDE], weights[LANES / WIDE];
    vector size[LANES / VECTOR];
} quick_sums;

/* Weights: 1 on the support (sparsemax), or sqrt(y) (entmax15) in two floats. */
INLINE void quick_mean_block(quick_sums *s, int root, const float *dy, const float *y)
{
    VECTORS
    {
        const vector a = vector_at(dy + k * VECTOR), v = vector_at(y + k * VECTOR);
        const vector w = root ? vector_sqrt(v) : where(v > 0, vector_of(1), vector_of(0));
        const vector low = where(v > 0, vector_fma(-w, w, v) / (2 * w), vector_of(0));
        s->size[k] += root ? vector_size(a * w) : vector_size(a) + vector_size(v);
        for (int h = 0; h < 2; h++) {
            const wide weight = root ? precise_of(w, h) + precise_of(low, h) : precise_of(w, h);
            s->weights[2 * k + h] += weight;
            s->sums[2 * k + h] = precise_fma(precise_of(a, h), weight, s->sums[2 * k + h]);
        }
    }
}

INLINE quick_sum quick_mean_of(size_t n, int root, const float *dy, const float *y, const float *last_dy,
                               const float *last_y)
{
    wide sums[LANES / WIDE], weights[LANES / WIDE];
    EACH sums[k] = weights[k] = (wide){0};
    quick_sums s;
    VECTORS s.size[k] = vector_of(0);
    for (size_t start = 0; start < n; start += PART) {
        const size_t end = n - start < PART ? n : start + PART;
        EACH s.sums[k] = s.weights[k] = (wide){0};
        for (size_t i = start; i + LANES <= end; i += LANES)
            quick_mean_block(&s, root, dy + i, y + i);
        if (end == n && n % LANES)
            quick_mean_block(&s, root, last_dy, last_y);
        EACH sums[k] += s.sums[k];
        EACH weights[k] += s.weights[k];
    }
    const double all_weights = wide_total(weights);
    return (quick_sum){wide_total(sums) / all_weights, n <= LONGEST ? folded(s.size) / (float)all_weights : INFINITY};
}

/* dx = w (dy - mean); whether some dy was near */
INLINE int minus_quick_mean(size_t n, int root, const float *dy, quick_sum d, const float *y, float *dx)
{
    const float hi = (float)d.sum, lo = (float)(d.sum - hi), near = NEAR_QUICK(d);
    integers some = {0};
    for (size_t i = 0; i + VECTOR <= n; i += VECTOR) {
        const vector v = vector_at(y + i), t = vector_at(dy + i) - hi, w = vector_sqrt(v);
        const vector r = root ? vector_fma(w, t, -(w * lo)) : where(v > 0, t - lo, vector_of(0));
        some |= (t < near) & (t > -near) & (v > 0);
        put(dx + i, r);
    }
    int32_t any_ = 0;
    for (int j = 0; j < VECTOR; j++)
        any_ |= some[j];
    return any_;
}

INLINE int any_near_on_support(size_t n, const float *dy, quick_sum d, const float *y)
{
    const float hi = (float)d.sum, near = NEAR_QUICK(d);
    int32_t some = 0;
    for (size_t i = 0; i < n; i++)
        some |= (__builtin_fabsf(dy[i] - hi) < near) & (y[i] > 0);
    return some;
}

/* Returns whether it was enough. */
INLINE int minus_mean_float(size_t n, int root, const float *dy, const float *y, const float *last_dy,
                            const float *last_y, float *dx)
{
    const quick_sum d = quick_mean_of(n, root, dy, y, last_dy, last_y);
    if (!(d.size < 0x1p100f) || ((dx == dy || dx == y) && any_near_on_support(n, dy, d, y)))
        return 0;
    int near = minus_quick_mean(n & ~(size_t)(LANES - 1), root, dy, d, y, dx);
    if (n % LANES) {
        float block[LANES];
        near |= minus_quick_mean(LANES, root, last_dy, d, last_y, block); /* the padding is no support */
        put_last(block, n, dx);
    }
    return !near;
}

static __attribute__((noinline)) int sparsemax_backward_float(size_t n, const float *dy, const float *y,
                                                              const float *last_dy, const float *last_y, float *dx)
{
    return minus_mean_float(n, 0, dy, y, last_dy, last_y, dx);
}

static __attribute__((noinline)) int entmax15_backward_in_vectors(size_t n, const float *dy, const float *y,
                                                             const float *last_dy, const float *last_y, float *dx)
{
    return minus_mean_float(n, 1, dy, y, last_dy, last_y, dx);
}
