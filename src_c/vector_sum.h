/* vector_sum.h - sums in double, in the order of NumPy's np.sum, for the same bits: halves of halves down to LEAF
 * elements, which eight lanes share.  Part of kernels.c. */
#define LEAF 128

typedef double quad __attribute__((vector_size(32)));
typedef real quad_of_real __attribute__((vector_size(4 * sizeof(real))));

INLINE quad quad_at(const real *a)
{
    quad_of_real v;
    memcpy(&v, a, sizeof v);
#if CACT_REAL == 32 && defined(__AVX2__)
    return (quad)_mm256_cvtps_pd((__m128)v); /* which gcc makes two conversions of */
#else
    return __builtin_convertvector(v, quad);
#endif
}

static double leaf_sum(size_t n, const real *a)
{
    double total = 0;
    size_t i = 0;
    if (n >= 8) {
        quad l = quad_at(a), h = quad_at(a + 4);
        for (i = 8; i + 8 <= n; i += 8)
            l += quad_at(a + i), h += quad_at(a + i + 4);
        total = ((l[0] + l[1]) + (l[2] + l[3])) + ((h[0] + h[1]) + (h[2] + h[3]));
    }
    for (; i < n; i++)
        total += a[i];
    return total;
}

static double sum_of(size_t n, const real *a)
{
    const size_t half = n / 2 - n / 2 % 8;
    return n <= LEAF ? leaf_sum(n, a) : sum_of(half, a) + sum_of(n - half, a + half);
}
