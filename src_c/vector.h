/* vector.h - float vectors as wide as the machine's, for formulas that look up their coefficients.
 *
 * A table of 4 floats is a register, but gcc makes gathers of plain indexing: hence look_up() and column().
 * The same bits on every machine. */
#ifndef CACT_VECTOR_H
#define CACT_VECTOR_H

#include "vector_real.h"

INLINE vector look_up(const float table[4], integers i) /* table[i & 3] */
{
#if defined(__AVX512F__)
    return (vector)_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(table)), (__m512i)i);
#elif defined(__AVX2__)
    return (vector)_mm256_permutevar_ps(_mm256_broadcast_ps((const __m128 *)table), (__m256i)i);
#else
    return looked_up(table, i, 3);
#endif
}

INLINE vector look_up_8(const float table[8], integers i) /* table[i & 7] */
{
#if defined(__AVX512F__)
    return (vector)_mm512_permutexvar_ps((__m512i)i, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)));
#elif defined(__AVX2__)
    return (vector)_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)i);
#else
    return looked_up(table, i, 7);
#endif
}

/* g'(x) where g'(-x) = 1 - g'(x), from that of -|x| */
INLINE vector reflected(vector left, vector x) { return where(x < 0, left, 1 - left); }

/* What rounding a + b to s lost; a and b not negative */
INLINE vector vector_low(vector a, vector b, vector s)
{
    return vector_at_most(a, b) - (s - vector_at_least(a, b));
}

/* |x| up to `most`; NaN becomes `most`. */
INLINE vector vector_magnitude(vector x, float most)
{
    const integers u = (integers)x & INT32_MAX, v = (integers)vector_of(most);
#if defined(__AVX512F__)
    return (vector)_mm512_min_epi32((__m512i)u, (__m512i)v);
#elif defined(__AVX2__)
    return (vector)_mm256_min_epi32((__m256i)u, (__m256i)v);
#else
    return where(u < v, (vector)u, (vector)v);
#endif
}

/* ------------------------------------------------------------------ doubles, half as many */
typedef double precise __attribute__((vector_size(VECTOR_BYTES)));

INLINE precise precise_of(vector x, int upper) /* the lower or upper half of the elements */
{
#if defined(__AVX512F__)
    return (precise)_mm512_cvtps_pd(upper ? _mm512_extractf32x8_ps((__m512)x, 1) : _mm512_castps512_ps256((__m512)x));
#elif defined(__AVX2__)
    return (precise)_mm256_cvtps_pd(upper ? _mm256_extractf128_ps((__m256)x, 1) : _mm256_castps256_ps128((__m256)x));
#else
    precise r;
    for (int j = 0; j < VECTOR / 2; j++)
        r[j] = x[j + upper * VECTOR / 2];
    return r;
#endif
}

INLINE vector rounded_to_floats(precise lower, precise upper)
{
#if defined(__AVX512F__)
    const __m512 r = _mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)lower));
    return (vector)_mm512_insertf32x8(r, _mm512_cvtpd_ps((__m512d)upper), 1);
#elif defined(__AVX2__)
    return (vector)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)upper), _mm256_cvtpd_ps((__m256d)lower));
#else
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = (float)(j < VECTOR / 2 ? lower : upper)[j % (VECTOR / 2)];
    return r;
#endif
}

INLINE precise precise_fma(precise a, precise b, precise c)
{
#if defined(__AVX512F__)
    return (precise)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (precise)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    precise r;
    for (int j = 0; j < VECTOR / 2; j++)
        r[j] = __builtin_fma(a[j], b[j], c[j]);
    return r;
#endif
}

INLINE precise precise_size(precise x) /* |x| */
{
    typedef int64_t bits __attribute__((vector_size(VECTOR_BYTES)));
    return (precise)((bits)x & INT64_MAX);
}

/* ------------------------------------------------------------------ piecewise polynomials
 * g(c + d) = v + d P(d) in 32 pieces, those of t (a + b t) + first rounded: tools/pieces.py. */
typedef struct {
    float a, b;
    int first;
    float row[32][16] __attribute__((aligned(64)));
} pieces;

/* A row: c, v, the coefficients of P, low (of the first), and beside_root or right */
enum { CENTER, VALUE, P };
#define LOW(degree) (P + (degree) + 1)
#define ASIDE(degree) (P + (degree) + 2)

typedef struct {
    integers i;
    const float *row[VECTOR]; /* i & 31, of each element */
    vector d, value;
} piece;


/* Column k of the elements' rows.  AVX-512 looks it up in the column's 32 floats, a constant that the
 * compiler makes of the rows.  AVX2 would take 7 shuffles and blends for that: there 8 rows are transposed,
 * with 3 a column. */
#if defined(__AVX512F__)
INLINE vector column(const pieces *g, piece at, int k)
{
#define ROWS_4(j) g->row[j][k], g->row[(j) + 1][k], g->row[(j) + 2][k], g->row[(j) + 3][k]
#define ROWS_16(j) {ROWS_4(j), ROWS_4((j) + 4), ROWS_4((j) + 8), ROWS_4((j) + 12)}
    const vector low = ROWS_16(0), high = ROWS_16(16);
    return (vector)_mm512_permutex2var_ps((__m512)low, (__m512i)at.i, (__m512)high);
}
#elif defined(__AVX2__)
INLINE __m256 two_rows(piece at, int j, int k) /* of elements j and j + 4: k, k + 1, k + 2, k + 3 */
{
    const __m256 low = _mm256_castps128_ps256(_mm_load_ps(at.row[j] + k));
    return _mm256_insertf128_ps(low, _mm_load_ps(at.row[j + 4] + k), 1);
}

INLINE vector column(const pieces *g, piece at, int k) /* what 4 columns have in common is done once */
{
    (void)g;
    const __m256 r0 = two_rows(at, 0, k & ~3), r1 = two_rows(at, 1, k & ~3);
    const __m256 r2 = two_rows(at, 2, k & ~3), r3 = two_rows(at, 3, k & ~3);
    const __m256d r01 = (__m256d)(k & 2 ? _mm256_unpackhi_ps(r0, r1) : _mm256_unpacklo_ps(r0, r1));
    const __m256d r23 = (__m256d)(k & 2 ? _mm256_unpackhi_ps(r2, r3) : _mm256_unpacklo_ps(r2, r3));
    return (vector)(k & 1 ? _mm256_unpackhi_pd(r01, r23) : _mm256_unpacklo_pd(r01, r23));
}
#else
INLINE vector column(const pieces *g, piece at, int k)
{
    (void)g;
    vector r;
    for (int j = 0; j < VECTOR; j++)
        r[j] = at.row[j][k];
    return r;
}
#endif

INLINE void find_rows(piece *at, const void *rows, int size, int mask, row_places found)
{
#if defined(ROWS_AHEAD)
    if (found.ahead && found.offset) {
        const integers offsets = (at->i & mask) * size;
        memcpy(found.offset, &offsets, sizeof offsets);
        __asm__("" ::: "memory"); /* or x would be kept in a register, of which there are too few */
    }
    const int known = !found.ahead && found.offset; /* else what is read is not used */
    for (int j = 0; j < VECTOR; j++)
        at->row[j] = (const float *)((const char *)rows + (known ? found.offset[j] : 0));
#else
    (void)at, (void)rows, (void)size, (void)mask, (void)found;
#endif
}

INLINE vector column_of_16(const float rows[16][8], piece at, int k)
{
#if defined(__AVX512F__)
#define COLUMN_4(j) rows[j][k], rows[(j) + 1][k], rows[(j) + 2][k], rows[(j) + 3][k]
    const vector all = {COLUMN_4(0), COLUMN_4(4), COLUMN_4(8), COLUMN_4(12)};
    return (vector)_mm512_permutexvar_ps((__m512i)at.i, (__m512)all);
#else
    (void)rows;
    return column(0, at, k);
#endif
}

INLINE piece piece_of(const pieces *g, vector t, row_places found)
{
    const vector s = g->b ? vector_fma(t, vector_of(g->b), vector_of(g->a)) : vector_of(g->a);
    piece at = {.i = (integers)vector_fma(t, s, vector_of(0x1.8p23f + (float)g->first))};
    find_rows(&at, g->row, sizeof g->row[0], 31, found);
    at.d = t - column(g, at, CENTER);
    at.value = column(g, at, VALUE);
    return at;
}

INLINE vector polynomial(const pieces *g, piece at, int least, int degree) /* coefficients from `least` on */
{
    vector p = column(g, at, P + degree);
    for (int k = degree - 1; k >= least; k--)
        p = vector_fma(p, at.d, column(g, at, P + k));
    return p;
}

INLINE vector on_pieces(const pieces *g, int degree, vector t, row_places found) /* g(t), clear of a root */
{
    const piece at = piece_of(g, t, found);
    return vector_fma(polynomial(g, at, 0, degree), at.d, at.value);
}

/* d P(d) where it is not small beside the value, which it is not in the piece of a root either. */
INLINE vector rest_of(const pieces *g, int degree, int root, piece at)
{
    const vector q = vector_fma(polynomial(g, at, 1, degree), at.d, column(g, at, LOW(degree)));
    const vector r = root ? vector_fma(at.d, q, column(g, at, ASIDE(degree))) : at.d * q;
    return vector_fma(column(g, at, P), at.d, r);
}

INLINE vector on_pieces_finely(const pieces *g, int degree, vector t, row_places found)
{
    const piece at = piece_of(g, t, found);
    return at.value + rest_of(g, degree, 0, at);
}

INLINE vector on_pieces_with_root(const pieces *g, int degree, vector t, row_places found)
{
    const piece at = piece_of(g, t, found);
    return at.value + rest_of(g, degree, 1, at);
}

INLINE vector on_pieces_times(const pieces *g, int degree, vector t, row_places found) /* t g(t) */
{
    const piece at = piece_of(g, t, found);
    const vector w = rest_of(g, degree, 0, at);
    return vector_fma(t, at.value, t * w);
}

INLINE vector on_pieces_times_square(const pieces *g, int degree, vector t, vector x, row_places found) /* x^2 g(t), the square in two words */
{
    const piece at = piece_of(g, t, found);
    const vector w = at.d * polynomial(g, at, 0, degree), u = x * x;
    return vector_fma(u, at.value, vector_fma(vector_fma(x, x, -u), at.value, u * w));
}

/* t g(t) where d P(d) is not small, with x for t, of the same g */
INLINE vector on_pieces_times_finely(const pieces *g, int degree, vector t, vector x, row_places found)
{
    const piece at = piece_of(g, t, found);
    const vector w = rest_of(g, degree, 0, at), s = at.value + w, low = w - (s - at.value);
    return vector_fma(x, s, vector_at_most(x, vector_of(FLT_MAX)) * low);
}

/* ------------------------------------------------------------------ exponential */
/* p 2^n, n a whole number between -252 and 254, 1/2 < p < 2: rounded once */
INLINE vector times_power_of_2(vector p, vector n)
{
#if defined(__AVX512F__)
    return (vector)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    const integers k = (integers)(n + 0x1.8p23f) << 23, half = k >> 24 << 23; /* of n, n/2, from its last bits */
    return p * (vector)(half + 0x3f800000) * (vector)(k - half + 0x3f800000);
#endif
}

/* Q of e^r = 1 + r + r^2 Q(r), |r| < log(2)/2: tools/pieces.py exp, 2^-28.3 */
INLINE vector exp_series(vector r)
{
    vector q = vector_fma(r, vector_of(0x1.6a5198p-10f), vector_of(0x1.12397cp-7f));
    q = vector_fma(q, r, vector_of(0x1.5558acp-5f));
    q = vector_fma(q, r, vector_of(0x1.555492p-3f));
    return vector_fma(q, r, vector_of(0x1.fffffcp-2f));
}

/* e^x for any x, 0.99 ULP; below -104 it is 0 without the underflow, which takes Intel's processors a hundred cycles */
INLINE vector exp_rounded(vector x)
{
#if defined(__AVX512F__)
    const vector z = vector_at_most(x, vector_of(89));
#else
    const vector z = vector_at_least(vector_at_most(x, vector_of(89)), vector_of(-105));
#endif
    const vector n = vector_fma(z, vector_of(0x1.715476p0f), vector_of(0x1.8p23f)) - 0x1.8p23f;
    const vector r = vector_fma(n, vector_of(0x1.05c61p-29f), vector_fma(n, vector_of(-0x1.62e43p-1f), z));
    const vector s = vector_fma(exp_series(r), r, vector_of(1)), p = vector_fma(s, r, vector_of(1));
#if defined(__AVX512F__)
    return (vector)_mm512_maskz_scalef_ps(IS_ABOVE(x, vector_of(-104)), (__m512)p, (__m512)n);
#else
    return times_power_of_2(kept(IS_ABOVE(x, vector_of(-104)), p), n);
#endif
}

typedef struct {
    vector hi, lo;
} two_words;

/* e^x in two words, off by 2^-32 of it, |x| < 30: power (1 + r + rest + r^2 Q(r)), n = 8 x/log 2 rounded, r = x - n log(2)/8
 * exact, power = T_j 2^k where n = 8 k + j and 2^(j/8) = T_j (1 + L_j): tools/exp_rows.py, 2^-39.7. */
INLINE two_words exp_two_words(vector x)
{
    static const float powers[8] = {1, 0x1.f72b84p-1f, 0x1.f06fep-1f, 0x1.ebfdaep-1f, 0x1.ea09e6p-1f, 0x1.eace54p-1f,
                                    0x1.ee89fap-1f, 0x1.f5818ep-1f}; /* T_j less j 2^20 */
    static const float below[8] = {0, -0x1.9c0c22p-27f, 0x1.125002p-25f, -0x1.0a355p-25f, 0x1.26055cp-26f,
                                   0x1.67a1cap-28f, -0x1.f9c304p-27f, -0x1.a5217cp-28f}; /* L_j */
    const vector t = vector_fma(x, vector_of(0x1.715476p3f), vector_of(0x1.8p23f)), n = t - 0x1.8p23f;
    const vector r = vector_fma(n, vector_of(-0x1.62e43p-4f), x);
    const vector rest = vector_fma(n, vector_of(0x1.05c61p-32f), look_up_8(below, (integers)t));
    const vector power = (vector)((integers)look_up_8(powers, (integers)t) + ((integers)t << 20));
    vector q = vector_fma(r, vector_of(0x1.10fb74p-7f), vector_of(0x1.555a5ep-5f));
    q = vector_fma(q, r, vector_of(0x1.555556p-3f));
    q = vector_fma(q, r, vector_of(0.5f));
    q = vector_fma(r * r, q, vector_fma(r, rest, rest));
    const vector e = vector_fma(power, r, power);
    const vector low = vector_fma(power, q, vector_fma(power, r, power - e)), hi = e + low;
    return (two_words){hi, low - (hi - e)};
}

/* e^x = (1 + p + rest) 2^n for x in two words, -150 < x <= 0, off by 2^-26 */
typedef struct {
    vector p, rest, n;
} scaled_exp;

INLINE scaled_exp exp_of_two_words(two_words x)
{
    const vector n = vector_fma(x.hi, vector_of(0x1.715476p0f), vector_of(0x1.8p23f)) - 0x1.8p23f;
    const vector r = vector_fma(n, vector_of(-0x1.62e43p-1f), x.hi); /* exact */
    const vector low = vector_fma(n, vector_of(0x1.05c61p-29f), x.lo);
    const vector s = r * r, series = exp_series(r);
    const vector q = vector_fma(s, series, vector_fma(low, vector_fma(s, series, r), low)), p = r + q;
    return (scaled_exp){p, q - (p - r), n};
}

#endif
