/* simplex_double.h - backward of entmax15 for double rows in vectors, to 1.5 ULP, as simplex_float.h has it for float
 * rows: dx = s (dy - mean), s = sqrt(y) in two words.  A row with what is not finite, or a dy near to the mean, is left to
 * simplex.h. */

#define ROOTS 512 /* kept at a time */

typedef struct {
    double s[ROOTS], low[ROOTS];
} roots;

/* The roots of a block, and sums of them and of all |dy s|, about */
INLINE void roots_block(const double *dy, const double *y, double *s, double *low, vector *weights, vector *sizes)
{
    VECTORS
    {
        const vector v = vector_at(y + k * VECTOR), w = vector_sqrt(v);
        put(s + k * VECTOR, w);
        put(low + k * VECTOR, where(v == 0, vector_of(0), vector_fma(-w, w, v) / (2 * w)));
        weights[k] += w;
        sizes[k] += vector_size(vector_at(dy + k * VECTOR) * w);
    }
}

INLINE void add_roots(split_sums *sums, split_sums *weights, const double *dy, const double *s, const double *low)
{
    VECTORS
    {
        const vector a = vector_at(dy + k * VECTOR), w = vector_at(s + k * VECTOR), w_low = vector_at(low + k * VECTOR);
        add_split_product(sums, k, a, w);
        add_split(weights, k, w);
        sums->rest[k] = vector_fma(a, w_low, sums->rest[k]);
        weights->rest[k] += w_low;
    }
}

INLINE vector times_root_block(const double *dy, fine mean, const double *s, const double *low, double *dx)
{
    vector least = vector_of(INFINITY);
    VECTORS
    {
        const vector t = vector_at(dy + k * VECTOR) - mean.hi, w = vector_at(s + k * VECTOR);
        put(dx + k * VECTOR, vector_fma(w, t, vector_fma(vector_at(low + k * VECTOR), t, -(w * mean.lo))));
        least = vector_at_most(vector_size(t), least);
    }
    return least;
}

/* Returns whether it was enough. */
static __attribute__((noinline)) int entmax15_backward_in_vectors(size_t n, const double *dy, const double *y,
                                                              const double *last_dy, const double *last_y, double *dx)
{
    roots r;
    fine sum = {0, 0}, weight = {0, 0};
    double size = 0;
    for (size_t start = 0; start < n; start += ROOTS) {
        const size_t m = n - start < ROOTS ? n - start : ROOTS, whole = m & ~(size_t)(LANES - 1);
        vector weights[LANES / VECTOR], sizes[LANES / VECTOR];
        VECTORS weights[k] = sizes[k] = vector_of(0);
        for (size_t i = 0; i < whole; i += LANES)
            roots_block(dy + start + i, y + start + i, r.s + i, r.low + i, weights, sizes);
        if (whole < m)
            roots_block(last_dy, last_y, r.s + whole, r.low + whole, weights, sizes);
        const double part_size = folded(sizes), part_weight = folded(weights);
        if (!(part_size < 0x1p900 && part_weight < 0x1p900))
            return 0;
        const double origin = origin_above(part_size), weight_origin = origin_above(part_weight);
        split_sums s = sums_from(origin), w = sums_from(weight_origin);
        for (size_t i = 0; i < whole; i += LANES)
            add_roots(&s, &w, dy + start + i, r.s + i, r.low + i);
        if (whole < m)
            add_roots(&s, &w, last_dy, r.s + whole, r.low + whole);
        sum = fine_add(sum, split_total(&s, origin));
        weight = fine_add(weight, split_total(&w, weight_origin));
        size += part_size;
    }
    if (!(weight.hi > 0x1p-100 && size > 0x1p-800))
        return 0;
    const fine mean = fine_ratio(sum, weight);
    const double near = size / weight.hi * 0x1p-40;
    if ((dx == dy || dx == y) && nearest(n, dy, mean.hi) < near)
        return 0;
    vector least = vector_of(INFINITY);
    for (size_t start = 0; start < n; start += ROOTS) {
        const size_t m = n - start < ROOTS ? n - start : ROOTS, whole = m & ~(size_t)(LANES - 1);
        vector unused[LANES / VECTOR];
        VECTORS unused[k] = vector_of(0);
        for (size_t i = 0; i < whole; i += LANES) {
            if (n > ROOTS) /* else they are there */
                roots_block(dy + start + i, y + start + i, r.s + i, r.low + i, unused, unused);
            least = vector_at_most(times_root_block(dy + start + i, mean, r.s + i, r.low + i, dx + start + i), least);
        }
        if (whole < m) {
            if (n > ROOTS)
                roots_block(last_dy, last_y, r.s + whole, r.low + whole, unused, unused);
            double block[LANES];
            times_root_block(last_dy, mean, r.s + whole, r.low + whole, block);
            put_last(block, n, dx);
            least = vector_at_most(vector_of(nearest(m - whole, last_dy, mean.hi)), least); /* not of the padding */
        }
    }
    return all((integers)(least >= near));
}
