/* exact.h - exact sums of doubles, for the rare elements of which only the last digits of large terms are left.
 *
 * A sum is kept as parts that do not overlap, the least first (Shewchuk 1997).  Scalar: some 10 ns for each addition. */

#define PARTS 64 /* more than numbers between 2^-1074 and 2^1024 have been seen to need */
typedef struct {
    int n;
    double part[PARTS];
} exact_sum;

static __attribute__((noinline, cold)) void exactly_add(exact_sum *s, double a)
{
    int kept = 0;
    for (int i = 0; i < s->n; i++) {
        const fine t = fine_sum(a, s->part[i]);
        s->part[kept] = t.lo;
        kept += t.lo != 0 && kept < PARTS - 1;
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

/* s/d to 2^-200, the digits of a long division */
static __attribute__((noinline, cold)) exact_sum exactly_over(exact_sum s, double d)
{
    exact_sum q = {0};
    for (int k = 0; k < 4; k++) {
        const double digit = exactly(&s) / d;
        exactly_add_product(&s, -digit, d);
        exactly_add(&q, digit);
    }
    return q;
}

static __attribute__((noinline, cold)) exact_sum exactly_times(const exact_sum *a, const exact_sum *b)
{
    exact_sum p = {0};
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++)
            exactly_add_product(&p, a->part[i], b->part[j]);
    return exactly_over(p, 1);
}

/* e^v = 2^k times what is returned, to 2^-180, |v| <= 1e4: (v - k log 2)/2^8 in Taylor's series, eight times squared */
static __attribute__((noinline, cold)) exact_sum exactly_exp(double v, int *k)
{
    static const double ln2[] = {LN2_HI, LN2_LO, LN2_THIRD, -0x1.ace93a4ebe5d1p-165};
    const double n = __builtin_rint(v * LOG2E);
    exact_sum r = {1, {v}}, q = {1, {1}};
    for (int i = 0; i < 4; i++)
        exactly_add_product(&r, -n, ln2[i]);
    for (int i = 0; i < r.n; i++)
        r.part[i] *= 0x1p-8;
    for (int i = 18; i > 0; i--) {
        q = exactly_times(&r, &q);
        q = exactly_over(q, i);
        exactly_add(&q, 1);
    }
    for (int i = 0; i < 8; i++)
        q = exactly_times(&q, &q);
    *k = (int)n;
    return q;
}
