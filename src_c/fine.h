/* fine.h - hi + lo also in the float32 kernels, and x s(b x) for any b.
 *
 * Where a root of f or f' moves with the parameters, no table of coefficients can stand beside
 * it, and a double loses what cancels there.  What may cancel is therefore computed as `fine`:
 * it is num in float64, and as precise in float32: some 2^-58 of the terms, so that even where a root is
 * nearer than 2^-30 to a float the result there is rounded well.
 */
#ifndef CACT_FINE_H
#define CACT_FINE_H

#if CACT_REAL == 64

typedef num fine;
#define fine_sum sum
#define fine_product product
#define fine_add add
#define fine_mul mul
#define fine_times times
#define fine_scale scale
#define fine_one_plus one_plus
#define fine_pick pick
INLINE num num_of(fine a) { return a; }

#else /* the same algorithms as real.h has them for float64 */

typedef struct {
    double hi, lo;
} fine;

INLINE fine fine_sum(double a, double b)
{
    double s = a + b, c = s - a;
    return (fine){s, (a - (s - c)) + (b - c)};
}

INLINE fine fine_product(double a, double b)
{
    double p = a * b;
    return (fine){p, fma_(a, b, -p)};
}

INLINE fine fine_add(fine a, fine b)
{
    fine s = fine_sum(a.hi, b.hi);
    return (fine){s.hi, s.lo + (a.lo + b.lo)};
}

INLINE fine fine_mul(fine a, fine b)
{
    fine p = fine_product(a.hi, b.hi);
    return (fine){p.hi, fma_(a.hi, b.lo, fma_(a.lo, b.hi, p.lo))};
}

INLINE fine fine_times(fine a, double b)
{
    fine p = fine_product(a.hi, b);
    return (fine){p.hi, fma_(a.lo, b, p.lo)};
}

INLINE fine fine_scale(fine a, double b) { return (fine){a.hi * b, a.lo * b}; }

INLINE fine fine_one_plus(fine a)
{
    double s = 1 + a.hi;
    return (fine){s, (a.hi - (s - 1)) + a.lo};
}

INLINE fine fine_pick(mask m, fine a, fine b) { return (fine){choose(m, a.hi, b.hi), choose(m, a.lo, b.lo)}; }
INLINE num num_of(fine a) { return a.hi + a.lo; }

#endif

INLINE fine fine_plus(fine a, double b)
{
    const fine s = fine_sum(a.hi, b);
    return fine_sum(s.hi, s.lo + a.lo);
}

INLINE fine fine_ratio(fine a, fine b)
{
    const double q = a.hi / b.hi;
    const double rest = fma_(-q, b.lo, fma_(-q, b.hi, a.hi) + a.lo) / b.hi;
    return fine_sum(q, rest);
}

/* As reduce(), but r^2/2 is exact, too: e^r - 1 to 2^-59 relative to 1. */
typedef struct {
    fine p;
    double k;
} fine_reduced;

INLINE fine_reduced fine_reduce(fine z)
{
    const double k = fma_(z.hi, LOG2E, ROUNDER), n = k - ROUNDER;
    const double r = fma_(-n, LN2_HI, z.hi), rl = fma_(-n, LN2_LO, z.lo), t = r + rl; /* rl up to 2^-46 */
    const fine s = fine_product(r, 0.5 * r);
    const double cube = t * t * exp_rest(t, 0), h = s.hi + cube, p = r + h;
    return (fine_reduced){{p, (h - (p - r)) + ((cube - (h - s.hi)) + (s.lo + fma_(r, rl, rl)))}, k};
}

INLINE reduced reduce_close(num z) /* in float64 to 2^-59 rather than reduce()'s 2^-57 */
{
#if CACT_REAL == 64
    const fine_reduced e = fine_reduce(z);
    return (reduced){e.p, e.k};
#else
    return reduce(z);
#endif
}

/* Conditions on the parameters alone are masks too: gcc 12 does not vectorise a `?:` on them. */
INLINE mask is_zero(double x) { return (uint64_t)((int64_t)(to_bits(abs_(x)) - 1) >> 63); }
INLINE mask is_above(double x, double least) { return is_negative(least - x); } /* least finite */

/* ------------------------------------------------------------------ silu of b x */
#define MOST (sizeof(real) == 4 ? FLT_MAX : DBL_MAX)

/* Beyond |v| = REACH, x e^-|v| is 0 for every finite x, and so it is times a parameter. */
#define REACH FARTHEST

/* From |v| = LAST on x^2 e^-|v| is 0, too (float64: for |x| < 1e162, beyond which b would be < 1e-159). */
#define LAST (0.999 * REACH)

/* b x, clamped at REACH, for any finite b = hi + lo (0, negative, 1e+-300); x may be infinite. */
INLINE fine reaching(double x, fine b)
{
    const int small = abs_(b.hi) < 1; /* then REACH/b may overflow: 2^64 goes from x to b */
    const fine c = fine_scale(b, small ? 0x1p64 : 1);
    const double y = abs_(x) * (small ? 0x1p-64 : 1), most = REACH / greater(abs_(c.hi), 0x1p-1011);
    return fine_times(c, __builtin_copysign(smaller(y, most), x));
}

/* sigmoid(v) and sigmoid(-v); the smaller one still lacks the tails of exp_far(). */
typedef struct {
    num s, c;
    double tail, far_tail;
} sigmoids;

INLINE sigmoids sigmoids_(num v, mask left) /* |v| <= REACH; left: v < 0 */
{
    const exponential e = exp_far(pick(left, v, negative(v)));
    const num great = reciprocal(add_big(exact(1), e.value)), small = mul(e.value, great);
    return (sigmoids){pick(left, small, great), pick(left, great, small), e.tail, e.far_tail};
}

/* silu'(v) = s(v) (1 + v s(-v)), without tails; its root, and the series beside it. */
#define SILU_ROOT -0x1.474973c84120bp+0, -0x1.f8d74bc9ac154p-54, 0x1.be1410460527fp-3, -0x1.2541062177473p-58
#define SILU_ROOT_LOWEST -0x1.44a50180ba780p-108
static const double SILU_SERIES[] = {
    0x1.2c563458cc0adp-3, 0x1.353eb573ca457p-6, -0x1.f2d0e32bc2994p-7, -0x1.b0f82c498fd2fp-8,
    0x1.098e92b8f076dp-13, 0x1.a2a7caf0ee747p-11, 0x1.8574d136d4cb4p-13, -0x1.57238dca12615p-15,
    -0x1.f2d8976600f6fp-16, -0x1.8af40fd30a2bcp-19, 0x1.3ae0f751df483p-19, 0x1.cdb14ef8f6491p-21};

INLINE double beside_silu_root(fine v, double df)
{
    double d, near = at_root(v.hi, v.lo, SILU_ROOT, SILU_SERIES, SILU_ROOT_LOWEST, &d);
    return d < ROOT_RADIUS ? near : df;
}

INLINE double silu_slope(fine v, num s, num c)
{
    return beside_silu_root(v, rounded_product(s, add(exact(1), mul(num_of(v), c))));
}

/* q y, y finite, rounded once (the low word of a subnormal product would be lost). */
INLINE double finite_times(num q, double y)
{
#if CACT_REAL == 32
    return q * y;
#else
    const int up = abs_(y) < 1 && abs_(q.hi) < 0x1p600;
    const double z = y * (up ? 0x1p300 : 1), most = q.hi * z;
    return (abs_(most) > DBL_MAX ? most : rounded_times(q, z)) * (up ? 0x1p-300 : 1);
#endif
}

#endif
