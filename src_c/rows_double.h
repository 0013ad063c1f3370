/* rows_double.h - backward of log_softmax in vectors of doubles. */

typedef fine two_reals;
INLINE two_reals two_reals_of(fine a) { return a; }

#define LEAST_SUM 0x1p-80 /* of dy: times e^-600 no product of low words is subnormal */
#define GREATEST_SUM 0x1p400

/* dx = dy - e^y sum of two vectors, off by 2^-59 of the share; whether it is exact enough: |dx| not below 2^-6 |dy|,
 * |y| below 600.  With e^r = 1 + r + r^2/2 + r^3 C(r), of which C is that of exp_rest() in real.h, in two words. */
INLINE lanes_mask minus_share_pair(const double *dy, two_reals sum, const double *y, double *dx)
{
    vector t[PAIR], r[PAIR], rest[PAIR], u[PAIR], s[PAIR], even[PAIR], odd[PAIR], c[PAIR], e[PAIR], a[PAIR];
    lanes_mask enough = all_lanes();
    PAIRS a[j] = vector_at(y + j * VECTOR);
    PAIRS enough &= IS_LESS(vector_size(a[j]), vector_of(600));
    PAIRS t[j] = vector_fma(a[j], vector_of(LOG2E), vector_of(ROUNDER));
    PAIRS u[j] = t[j] - ROUNDER;
    PAIRS r[j] = vector_fma(u[j], vector_of(-LN2_HI), a[j]); /* exact */
    PAIRS rest[j] = u[j] * -LN2_LO;
    PAIRS u[j] = r[j] + rest[j];
    PAIRS s[j] = u[j] * u[j];
    PAIRS even[j] = vector_fma(vector_of(0x1.af4ed0866c5f6p-26), s[j], vector_of(0x1.71de01aa5719p-19));
    PAIRS odd[j] = vector_fma(vector_of(0x1.1f86f4326bba2p-29), s[j], vector_of(0x1.27e4cfad3d705p-22));
    PAIRS even[j] = vector_fma(even[j], s[j], vector_of(0x1.a01a01ac1ea4dp-13));
    PAIRS odd[j] = vector_fma(odd[j], s[j], vector_of(0x1.a01a01ab991c6p-16));
    PAIRS even[j] = vector_fma(even[j], s[j], vector_of(0x1.111111111005p-7));
    PAIRS odd[j] = vector_fma(odd[j], s[j], vector_of(0x1.6c16c16c156a4p-10));
    PAIRS even[j] = vector_fma(even[j], s[j], vector_of(0x1.5555555555557p-3));
    PAIRS odd[j] = vector_fma(odd[j], s[j], vector_of(0x1.5555555555557p-5));
    PAIRS even[j] = vector_fma(odd[j], u[j], even[j]);
    PAIRS u[j] *= s[j];
    PAIRS s[j] = r[j] * r[j];
    PAIRS odd[j] = vector_fma(r[j], r[j], -s[j]);
    PAIRS rest[j] = vector_fma(r[j], rest[j], rest[j]);
    PAIRS rest[j] = vector_fma(vector_of(0.5), odd[j], rest[j]);
    PAIRS rest[j] = vector_fma(u[j], even[j], rest[j]);
    PAIRS c[j] = vector_fma(vector_of(0.5), s[j], r[j]);
    PAIRS rest[j] += vector_fma(vector_of(0.5), s[j], r[j] - c[j]);
    PAIRS e[j] = 1 + c[j];
    PAIRS rest[j] += (1 - e[j]) + c[j];
    PAIRS t[j] = (vector)(((integers)t[j] << 52) + (integers)vector_of(1));
    PAIRS s[j] = t[j] * sum.hi;
    PAIRS a[j] = vector_at(dy + j * VECTOR);
    PAIRS c[j] = e[j] * s[j];
    PAIRS u[j] = vector_fma(e[j], s[j], -c[j]);
    PAIRS u[j] = vector_fma(e[j], t[j] * sum.lo, u[j]);
    PAIRS u[j] = vector_fma(rest[j], s[j], u[j]);
    PAIRS r[j] = (a[j] - c[j]) - u[j];
    PAIRS put(dx + j * VECTOR, r[j]);
    PAIRS enough &= IS_AT_MOST(0x1p-6 * vector_size(a[j]), vector_size(r[j]));
    return enough;
}
