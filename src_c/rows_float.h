/* rows_float.h - what of rows_vector.h is of float rows alone: sums in doubles, and backward of log_softmax. */

INLINE void add_vector(wide *sum, vector v)
{
    sum[0] += precise_of(v, 0);
    sum[1] += precise_of(v, 1);
}

/* In two words */
typedef struct {
    float hi, lo;
} two_reals;

INLINE two_reals two_reals_of(fine a)
{
    const float hi = (float)a.hi;
    return (two_reals){hi, (float)((a.hi - hi) + a.lo)};
}

/* ------------------------------------------------------------------ backward
 * Sums in one double a lane, in parts: of less than PART/16 + LONGEST/PART = 2080 additions each, so off by less than
 * 2^-41 of their `size`, the sum of all their terms' sizes.  Longer rows have size infinity: not exact enough. */
#define LONGEST 0x1p20
#define PART 512

typedef struct {
    double sum;
    float size;
} quick_sum;

/* A dy nearer than this to a mean of quick sums is left to others. */
#define NEAR_QUICK(d) ((d).size * 0x1p-18f)

/* ------------------------------------------------------------------ backward of log_softmax */
#define LEAST_SUM 0x1p-30 /* of dy: 2^-64 of it not subnormal, and 2^94 of it finite */
#define GREATEST_SUM 0x1p30

/* dx = dy - e^y sum of two vectors, off by 2^-32 of the share; whether it is exact enough: |dx| not below 2^-6 |dy|,
 * y below 30.  e^y 2^64 = power (1 + r + rest + r^2 Q(r)): n = 4 y/log 2 rounded, r = y - n log(2)/4 exact, power =
 * T_j 2^(k + 64) where n = 4 k + j and 2^(j/4) = T_j (1 + L_j): tools/exp_rows.py. */
INLINE lanes_mask minus_share_pair(const float *dy, two_reals sum, const float *y, float *dx)
{
    static const float powers[4] = {0x1p64f, 0x1.f06fep63f, 0x1.ea09e6p63f, 0x1.ee89fap63f}; /* T_j less j 2^21 */
    static const float below[4] = {0, 0x1.125002p-25f, 0x1.26055cp-26f, -0x1.f9c304p-27f};   /* L_j */
    const real hi = sum.hi * 0x1p-64f, lo = sum.lo * 0x1p-64f;
    vector v[PAIR], t[PAIR], r[PAIR], rest[PAIR], power[PAIR], q[PAIR], e[PAIR], low[PAIR], a[PAIR], share[PAIR];
    lanes_mask enough = all_lanes();
    PAIRS v[j] = vector_at(y + j * VECTOR);
    PAIRS enough &= IS_LESS(v[j], vector_of(30));
    PAIRS v[j] = vector_at_least(v[j], vector_of(-130));
    PAIRS t[j] = vector_fma(v[j], vector_of(0x1.715476p2f), vector_of(0x1.8p23f));
    PAIRS q[j] = t[j] - 0x1.8p23f;
    PAIRS r[j] = vector_fma(q[j], vector_of(-0x1.62e43p-3f), v[j]);
    PAIRS rest[j] = vector_fma(q[j], vector_of(0x1.05c61p-31f), look_up(below, (integers)t[j]));
    PAIRS power[j] = (vector)((integers)look_up(powers, (integers)t[j]) + ((integers)t[j] << 21));
    PAIRS q[j] = vector_fma(r[j], vector_of(0x1.10dd7ap-7f), vector_of(0x1.55697ep-5f));
    PAIRS rest[j] = vector_fma(r[j], rest[j], rest[j]);
    PAIRS q[j] = vector_fma(r[j], q[j], vector_of(0x1.55555cp-3f));
    PAIRS e[j] = vector_fma(power[j], r[j], power[j]);
    PAIRS q[j] = vector_fma(r[j], q[j], vector_of(0.5f));
    PAIRS low[j] = power[j] - e[j];
    PAIRS share[j] = e[j] * hi;
    PAIRS low[j] = vector_fma(power[j], r[j], low[j]);
    PAIRS q[j] = vector_fma(r[j] * r[j], q[j], rest[j]);
    PAIRS rest[j] = vector_fma(e[j], vector_of(hi), -share[j]);
    PAIRS rest[j] = vector_fma(e[j], vector_of(lo), rest[j]);
    PAIRS a[j] = vector_at(dy + j * VECTOR);
    PAIRS share[j] = a[j] - share[j];
    PAIRS low[j] = vector_fma(power[j], q[j], low[j]); /* of e, below 2^-7 of it */
    PAIRS rest[j] = vector_fma(low[j], vector_of(hi), rest[j]);
    PAIRS share[j] -= rest[j];
    PAIRS put(dx + j * VECTOR, share[j]);
    PAIRS enough &= IS_AT_MOST(0x1p-6f * vector_size(a[j]), vector_size(share[j]));
    return enough;
}
