/* rows_float.h - float rows in float lanes, where that is exact enough; rows.h has what is left over.
 *
 * Which of the two computes a row or a part of it depends on the numbers alone, never on where they lie: in
 * place or not, the bits are the same. */

#define VECTORS for (int k = 0; k < LANES / VECTOR; k++)

/* The k-th half of a vector as doubles; gcc takes them element by element. */
INLINE wide half_of(vector v, int k)
{
#if defined(__AVX512F__)
    return (wide)_mm512_cvtps_pd(k ? _mm512_extractf32x8_ps((__m512)v, 1) : _mm512_castps512_ps256((__m512)v));
#elif defined(__AVX2__)
    return (wide)_mm256_cvtps_pd(k ? _mm256_extractf128_ps((__m256)v, 1) : _mm256_castps256_ps128((__m256)v));
#else
    return (wide){v[2 * k], v[2 * k + 1]};
#endif
}

INLINE void add_vector(wide *sum, vector v)
{
    sum[0] += half_of(v, 0);
    sum[1] += half_of(v, 1);
}

/* x - max, exactly: TwoSum */
INLINE vector difference(vector x, vector max, vector *low)
{
    const vector d = x - max, t = d - x;
    *low = (x - (d - t)) + (-max - t);
    return d;
}

/* e^{x - max} below this is 0 beside the others, in float and in a sum of doubles. */
#define FLOAT_FAR 110
#define MAX_IN_FLOAT(max) (abs_(max) < 0x1p17) /* of rows: FLOAT_FAR is more than its last bits there */

/* y = 2^64 e^{x - max} (x and max negated for softmin), their sum added to the lanes of `sum` */
static __attribute__((noinline)) void shifted_exp_float(size_t n, const float *x, int negated, float max, float *y,
                                                        wide *sum)
{
    const integers flip = (integers){0} + (negated ? INT32_MIN : 0);
    const vector m = vector_of(max), least = vector_of(max - FLOAT_FAR);
    for (size_t i = 0; i + LANES <= n; i += LANES) {
        VECTORS
        {
            const vector v = (vector)((integers)vector_at(x + i + k * VECTOR) ^ flip);
            vector low;
            const vector d = difference(vector_at_least(v, least), m, &low), e = exp_scaled(d, low);
            memcpy(y + i + k * VECTOR, &e, sizeof e);
            add_vector(sum + 2 * k, e);
        }
    }
}

/* y = r y, r in two words */
static __attribute__((noinline)) void times_float(size_t n, double r, float *y)
{
    const float hi = (float)r, lo = (float)(r - hi);
    for (size_t i = 0; i + VECTOR <= n; i += VECTOR) {
        const vector v = vector_at(y + i), p = r == r ? vector_fma(v, vector_of(hi), v * lo) : vector_of(NAN);
        memcpy(y + i, &p, sizeof p);
    }
}

static void softmax_float(size_t n, const float *x, float *last, int negated, float max, float *y)
{
    lanes s = {0};
    shifted_exp_float(n, x, negated, max, y, s.hi);
    if (n % LANES)
        shifted_exp_float(LANES, last, negated, max, last, s.hi);
    const double r = 1 / lanes_total(&s);
    times_float(n & ~(size_t)(LANES - 1), r, y);
    if (n % LANES) {
        times_float(LANES, r, last);
        put_last(last, n, y);
    }
}

/* ------------------------------------------------------------------ backward
 * Sums of a (times b) in one double a lane, off by less than 2^-44 of their `size`, the sum of all |a b|, as
 * rows longer than LONGEST are not taken: 2^18/16 ... in parts of PART elements. */
#define LONGEST 0x1p20
#define PART 4096

typedef struct {
    double sum;
    float size;
} quick_sum;

INLINE void quick_block(wide *s, vector *size, const float *a, const float *b)
{
    VECTORS
    {
        const vector x = vector_at(a + k * VECTOR), y = b ? vector_at(b + k * VECTOR) : x, p = b ? x * y : x;
        size[k] += vector_size(p);
        for (int h = 0; h < 2; h++)
            s[2 * k + h] += b ? half_of(x, h) * half_of(y, h) : half_of(x, h);
    }
}

INLINE quick_sum quick_sum_of(size_t n, const float *a, const float *b, const float *last_a, const float *last_b)
{
    lanes s = {0};
    vector size[LANES / VECTOR] = {0};
    for (size_t start = 0; start < n; start += PART) {
        wide part[LANES / WIDE] = {0};
        const size_t end = n - start < PART ? n : start + PART;
        for (size_t i = start; i + LANES <= end; i += LANES)
            quick_block(part, size, a + i, b ? b + i : 0);
        if (end == n && n % LANES)
            quick_block(part, size, last_a, last_b);
        EACH s.hi[k] += part[k];
    }
    float t[LANES];
    memcpy(t, size, sizeof t);
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            t[j] += t[j + half];
    return (quick_sum){lanes_total(&s), n <= LONGEST ? t[0] : INFINITY};
}

static __attribute__((noinline)) quick_sum quick_total(size_t n, const float *a, const float *last)
{
    return quick_sum_of(n, a, 0, last, 0);
}

static __attribute__((noinline)) quick_sum quick_dot(size_t n, const float *a, const float *b, const float *last_a,
                                                     const float *last_b)
{
    return quick_sum_of(n, a, b, last_a, last_b);
}

/* softmax: dx = y (dy - d) from quick sums, off by 2^-26 where all |dy - d| are at least this. */
#define NEAR_QUICK(d) ((d).size * 0x1p-18f)

static __attribute__((noinline)) int any_near_quick(size_t n, const float *dy, quick_sum d)
{
    const float hi = (float)d.sum, near = NEAR_QUICK(d);
    int32_t some = 0;
    for (size_t i = 0; i < n; i++)
        some |= __builtin_fabsf(dy[i] - hi) < near;
    return some;
}

/* Returns whether some dy is near. */
static __attribute__((noinline)) int times_difference_quick(size_t n, const float *dy, quick_sum d, const float *y,
                                                            float sign, float *dx)
{
    const float hi = (float)d.sum, lo = (float)(d.sum - hi), near = NEAR_QUICK(d);
    integers some = {0};
    for (size_t i = 0; i + VECTOR <= n; i += VECTOR) {
        const vector t = vector_at(dy + i) - hi, v = vector_at(y + i) * sign, r = vector_fma(v, t, -(v * lo));
        some |= (t < near) & (t > -near);
        memcpy(dx + i, &r, sizeof r);
    }
    int32_t any = 0;
    for (int j = 0; j < VECTOR; j++)
        any |= some[j];
    return any;
}

/* Returns whether it was enough. */
static int softmax_backward_float(size_t n, const float *dy, const float *y, float *last_dy, const float *last_y,
                                  float sign, float *dx)
{
    const quick_sum d = quick_dot(n, dy, y, last_dy, last_y);
    if (!(d.size < 0x1p100f) || ((dx == dy || dx == y) && any_near_quick(n, dy, d)))
        return 0;
    int near = times_difference_quick(n & ~(size_t)(LANES - 1), dy, d, y, sign, dx);
    if (n % LANES) {
        near |= any_near_quick(n % LANES, last_dy, d); /* not the padding */
        float block[LANES];
        times_difference_quick(LANES, last_dy, d, last_y, sign, block);
        put_last(block, n, dx);
    }
    return !near;
}
