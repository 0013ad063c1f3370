/* vector_part.h - parts of rows in vectors: the last of a row, which is padded, and sums of the lanes. */

#define LANES CACT_LANES

#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif
/* The vectors of a block, k a constant in each: an array that they index is then of registers. */
#define VECTORS UNROLLED for (int k = 0; k < LANES / VECTOR; k++)
/* Those of the last block that are not all padding */
#define LAST_VECTORS(whole, n) VECTORS if ((whole) + (size_t)k * VECTOR < (n))

#define PAIR (LANES / VECTOR < 2 ? 1 : 2)
#define PAIRS UNROLLED for (int j = 0; j < PAIR; j++)
#define ALL UNROLLED for (int j = 0; j < m; j++)

INLINE lanes_mask first_lanes(size_t count)
{
#if defined(__AVX512F__)
    return (lanes_mask)((1u << (count < VECTOR ? count : VECTOR)) - 1);
#else
    static const integer flags[2 * VECTOR] = {[0 ... VECTOR - 1] = -1};
    lanes_mask m;
    memcpy(&m, flags + VECTOR - (count < VECTOR ? count : VECTOR), sizeof m);
    return m;
#endif
}

INLINE lanes_mask all_lanes(void) { return first_lanes(VECTOR); }

/* The first `count` of x, then padding. */
INLINE vector vector_first(const real *x, size_t count, real padding)
{
#if defined(__AVX512F__)
    return (vector)INTRINSIC(512, mask_loadu, )((NATIVE(512))vector_of(padding), first_lanes(count), x);
#elif defined(__AVX2__)
    const lanes_mask m = first_lanes(count);
    return select_where(m, (vector)INTRINSIC(256, maskload, )(x, (__m256i)m), vector_of(padding));
#else
    vector v = vector_of(padding);
    for (size_t j = 0; j < VECTOR && j < count; j++)
        v[j] = x[j];
    return v;
#endif
}

INLINE void put_first(real *y, size_t count, vector v)
{
    if (count >= VECTOR) {
        put(y, v);
        return;
    }
    const real *from = (const real *)&v; /* which a vector may alias */
#define PUT_SOME(some)                                                                                 \
    if (some < VECTOR && count & some) {                                                               \
        memcpy(y, from, some * sizeof *y);                                                             \
        y += some, from += some;                                                                       \
    }
    PUT_SOME(8)
    PUT_SOME(4)
    PUT_SOME(2)
    PUT_SOME(1)
}

/* Elements `half` apart exchanged */
INLINE vector swapped(vector v, int half)
{
#define OTHER(j) v[(j) ^ half]
#define FOUR(j) OTHER(j), OTHER((j) + 1), OTHER((j) + 2), OTHER((j) + 3)
#if VECTOR == 16
    return (vector){FOUR(0), FOUR(4), FOUR(8), FOUR(12)};
#elif VECTOR == 8
    return (vector){FOUR(0), FOUR(4)};
#elif VECTOR == 4
    return (vector){FOUR(0)};
#else
    return (vector){OTHER(0), OTHER(1)};
#endif
}

/* The sum of the lanes, halves onto halves. */
INLINE real folded(const vector *lanes_)
{
    vector t[LANES / VECTOR];
    VECTORS t[k] = lanes_[k];
    for (int half = LANES / VECTOR / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            t[k] += t[k + half];
#if VECTOR > 8
    t[0] += swapped(t[0], 8);
#endif
#if VECTOR > 4
    t[0] += swapped(t[0], 4);
#endif
#if VECTOR > 2
    t[0] += swapped(t[0], 2);
#endif
    return t[0][0] + t[0][1];
}

/* The last n mod 16 elements of a row, padded; and back. */
INLINE void take_last(const real *row, size_t n, real padding, real *block)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    VECTORS
    {
        const size_t i = whole + (size_t)k * VECTOR;
        put(block + k * VECTOR, i < n ? vector_first(row + i, n - i, padding) : vector_of(padding));
    }
}

INLINE void put_last(const real *block, size_t n, real *row)
{
    const size_t whole = n & ~(size_t)(LANES - 1);
    LAST_VECTORS(whole, n)
    put_first(row + whole + k * VECTOR, n - whole - (size_t)k * VECTOR, vector_at(block + k * VECTOR));
}
