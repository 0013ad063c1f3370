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

INLINE wide wide_fma(wide a, wide b, wide c)
{
#if defined(__AVX512F__)
    return (wide)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (wide)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return (wide){fma_(a[0], b[0], c[0]), fma_(a[1], b[1], c[1])};
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

/* y = 2^64 e^{x - max} (x negated for softmin); the sum is returned.  `last` is the last block, padded, and becomes
 * that of y; so in times_float(). */
static __attribute__((noinline)) double shifted_exp_float(size_t n, const float *x, float *last, int negated,
                                                          float max, float *y)
{
    const integers flip = (integers){0} + (negated ? INT32_MIN : 0);
    const vector m = vector_of(max), least = vector_of(max - FLOAT_FAR);
    lanes s = {0};
    for (size_t i = 0; i < n; i += LANES) {
        const int whole = i + LANES <= n;
        const float *from = whole ? x + i : last;
        float *to = whole ? y + i : last;
        VECTORS
        {
            const vector v = (vector)((integers)vector_at(from + k * VECTOR) ^ flip);
            vector low;
            const vector d = difference(vector_at_least(v, least), m, &low), e = exp_scaled(d, low);
            memcpy(to + k * VECTOR, &e, sizeof e);
            add_vector(s.hi + 2 * k, e);
        }
    }
    return lanes_total(&s);
}

/* y = r y, r in two words */
static __attribute__((noinline)) void times_float(size_t n, double r, float *y, float *last)
{
    const vector hi = vector_of(r == r ? (float)r : NAN), lo = vector_of((float)(r - (float)r));
    for (size_t i = 0; i < n; i += LANES) {
        float *block = i + LANES <= n ? y + i : last;
        VECTORS
        {
            const vector v = vector_at(block + k * VECTOR), p = r == r ? vector_fma(v, hi, v * lo) : hi;
            memcpy(block + k * VECTOR, &p, sizeof p);
        }
    }
}

static void softmax_float(size_t n, const float *x, float *last, int negated, float max, float *y)
{
    times_float(n, 1 / shifted_exp_float(n, x, last, negated, max, y), y, last);
    put_last(last, n, y);
}

/* ------------------------------------------------------------------ backward
 * Sums of a (times b) in one double a lane, in parts: of less than PART/16 + LONGEST/PART = 512 additions each, so off
 * by less than 2^-44 of their `size`, the sum of all |a b|.  Longer rows have size infinity: not exact enough. */
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
            s[2 * k + h] = b ? wide_fma(half_of(x, h), half_of(y, h), s[2 * k + h]) : s[2 * k + h] + half_of(x, h);
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
    const vector s = vector_of(sign), high = vector_of(-hi * sign), low = vector_of(-lo * sign);
    integers some = {0};
    for (size_t i = 0; i + VECTOR <= n; i += VECTOR) {
        const vector t = vector_fma(vector_at(dy + i), s, high), v = vector_at(y + i), r = vector_fma(v, t, v * low);
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
