/* exact.h - sums of doubles in three words or exactly, for the rare elements of which only the last digits of
 * large terms are left.  Scalar. */

/* a + b + c to 2^-155, |b| at most half the last place of a, |c| of b */
typedef struct {
    double a, b, c;
} three;

INLINE three three_of(double a, double b, double c)
{
    const fine u = fine_sum(b, c), v = fine_sum(a, u.hi), w = fine_sum(v.lo, u.lo);
    const fine x = fine_sum(v.hi, w.hi), y = fine_sum(x.lo, w.lo); /* again: a and b may have cancelled */
    return (three){x.hi, y.hi, y.lo};
}

INLINE three three_add(three x, three y)
{
    const fine s = fine_sum(x.a, y.a), t = fine_sum(x.b, y.b), u = fine_sum(s.lo, t.hi);
    return three_of(s.hi, u.hi, u.lo + (t.lo + (x.c + y.c)));
}

INLINE three three_mul(three x, three y)
{
    const fine p = fine_product(x.a, y.a), q = fine_product(x.a, y.b), r = fine_product(x.b, y.a);
    const fine s = fine_sum(q.hi, r.hi), t = fine_sum(p.lo, s.hi);
    const double rest = fma_(x.b, y.b, fma_(x.a, y.c, x.c * y.a)) + (q.lo + r.lo);
    return three_of(p.hi, t.hi, t.lo + (s.lo + rest));
}

INLINE three three_scale(three x, double s) { return (three){x.a * s, x.b * s, x.c * s}; } /* s = 2^k */

/* x/d, the digits of a long division */
INLINE three three_over(three x, double d)
{
    double digit[3];
    for (int k = 0; k < 3; k++) {
        digit[k] = x.a / d;
        const fine p = fine_product(-digit[k], d);
        x = three_add(x, (three){p.hi, p.lo, 0});
    }
    return three_of(digit[0], digit[1], digit[2]);
}

/* e^v = (1 + what is returned) 2^k, to 2^-145, |v| <= 1e4: (v - k log 2)/2^8 in Taylor's series, eight times
 * doubled.  In two words: 2^-99. */
#define LN2_THIRD 0x1.7b57a079a1934p-111
#define LN2_FOURTH -0x1.ace93a4ebe5d1p-165

static __attribute__((noinline, cold)) three expm1_three(double v, int *k)
{
    const double n = __builtin_rint(v * LOG2E);
    const fine p = fine_product(-n, LN2_HI), s = fine_product(-n, LN2_LO), t = fine_product(-n, LN2_THIRD);
    three r = three_add((three){v, 0, 0}, (three){p.hi, p.lo, 0});
    r = three_add(r, three_of(s.hi, s.lo, 0));
    r = three_scale(three_add(r, three_of(t.hi, fma_(-n, LN2_FOURTH, t.lo), 0)), 0x1p-8);
    const three one = {1, 0, 0};
    three q = one;
    for (int i = 13; i > 1; i--)
        q = three_add(one, three_over(three_mul(r, q), i));
    q = three_mul(r, q);
    for (int i = 0; i < 8; i++)
        q = three_add(three_scale(q, 2), three_mul(q, q));
    *k = (int)n;
    return q;
}

static __attribute__((noinline, cold)) fine expm1_twice(double v, int *k)
{
    const double n = __builtin_rint(v * LOG2E);
    const fine p = fine_product(-n, LN2_LO), s = fine_sum(fma_(-n, LN2_HI, v), p.hi);
    const fine r = fine_scale((fine){s.hi, s.lo + fma_(-n, LN2_THIRD, p.lo)}, 0x1p-8);
    fine q = {1, 0};
    for (int i = 11; i > 1; i--)
        q = fine_one_plus(fine_ratio(fine_mul(r, q), (fine){i, 0}));
    q = fine_mul(r, q);
    for (int i = 0; i < 8; i++)
        q = fine_add(fine_scale(q, 2), fine_mul(q, q));
    *k = (int)n;
    return q;
}

/* An exact sum, of parts that do not overlap, the least first (Shewchuk 1997); of more than PARTS, which real rows
 * do not have, the least are lost. */
#define PARTS 64
typedef struct {
    int n;
    double part[PARTS];
} exact_sum;

static __attribute__((noinline, cold)) void exactly_add(exact_sum *s, double a)
{
    const int lost = s->n == PARTS;
    int kept = 0;
    for (int i = lost; i < s->n; i++) {
        const fine t = fine_sum(a, s->part[i]);
        s->part[kept] = t.lo;
        kept += t.lo != 0;
        a = t.hi;
    }
    s->part[kept] = a;
    s->n = kept + 1;
}

/* a b is exact but where its last bits are below 2^-1074 */
static __attribute__((noinline, cold)) void exactly_add_product(exact_sum *s, double a, double b)
{
    const fine p = fine_product(a, b);
    exactly_add(s, p.lo);
    exactly_add(s, p.hi);
}

static __attribute__((noinline, cold)) double exactly(const exact_sum *s)
{
    double t = 0;
    for (int i = 0; i < s->n; i++)
        t += s->part[i];
    return t;
}

static __attribute__((noinline, cold)) fine exactly_two(exact_sum s)
{
    const double hi = exactly(&s);
    exactly_add(&s, -hi);
    return (fine){hi, exactly(&s)};
}
