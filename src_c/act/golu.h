/* golu(x) = x exp(-exp(-x))                               Das et al. 2025, arXiv:2502.03654
 * With v = e^-x:  f = x e^-v, f' = e^-v (1 + x v).  e^-v multiplies the error of v by v, hence
 * exp_precise.  x is clamped where f is 0 (v = 270, 1097) and where it is x (v = 2^-72).
 * f leaves the subnormals at x = -4.67 (float32), -6.62 (float64); f' crosses zero at
 * -0.56714329040978387300.
 * Measured in ULP, all float32: f 0.9899 at -0.0026580852, f' 0.9516 at -4.37365627;
 *    12 M float64: f 0.7834 at 1.15492694e-307, f' 1.204 at -5.93272934. */
#ifdef BODIES
#define GOLU_ROOT -0x1.22609af8e9657p-1, -0x1.2f57eed531437p-55, 0x1.e53dd19d6cb7dp-2, -0x1.002c949e35297p-56
static const double GOLU_SERIES[] = {
        0x1.ca26a25e218c1p-2, -0x1.7c5e465719a51p-3, -0x1.54427350658cap-3, 0x1.ac14f79587585p-4,
        0x1.730422a1fe1aap-6, -0x1.30c4f342052a1p-5, 0x1.daa7db11bc4ebp-8, 0x1.9d98a06813489p-8,
        -0x1.0c02f79386562p-8, 0x1.22006c54463b8p-12, 0x1.7a075168bf9afp-11, -0x1.6e071677519a2p-12};
ACTIVATION(golu)
{
    const double y = between(x, sizeof(real) == 4 ? -5.6f : -7, 50);
    const num v = exp_precise(exact(-y));
    const exponential e = exp_(negative(v));
    const double df = rounded_product(e.value, add(exact(1), times(v, y))) * e.tail;
    return (dual){
        .f = x > y ? (double)x : __builtin_copysign(rounded_multiple(e.value, y) * e.tail, x),
        .df = beside_root(x, df, GOLU_ROOT, GOLU_SERIES),
    };
}
#if CACT_REAL == 32
/* Beside its root f' is the body's, where c = 1 + x v, which is 2.8 times as far from 0, is small.  Below -4.71 both are
 * less than half the least number: 0 without the underflow, for which Intel's processors take a hundred cycles. */
FLOATS(golu, EVERYWHERE, 1)
{
    const vector y = vector_at_least(vector_at_most(x, vector_of(30)), vector_of(-4.9f));
    const two_words v = exp_two_words(-y);
    const scaled_exp e = exp_of_two_words((two_words){-v.hi, -v.lo});
    const lanes_mask gone = IS_LESS(x, vector_of(-4.71f));
    const vector f = times_power_of_2(select_where(gone, vector_of(-0.0f), vector_fma(y, e.p, y)), e.n);
    const vector m = y * v.hi, m_low = vector_fma(y, v.lo, vector_fma(y, v.hi, -m)), c = 1 + m, one = c - m;
    const vector c_low = ((1 - one) + (m - (c - one))) + m_low;
    const vector rest = vector_fma(c, e.p, vector_fma(c, e.rest, vector_fma(c_low, e.p, c_low)));
    return (floats){
        .f = where_less(x, 30, with_sign_of(f, x), x),
        .df = times_power_of_2(select_where(gone, vector_of(-0.0f), c + rest), e.n),
        .df_at = where(vector_size(x + 0.567143290f) < 0.0058f, vector_of(2), vector_of(0)),
    };
}
#else
DOUBLES(golu, 4.5, 6) /* v < 90, 400, to 2^-61; at v = 812 both are 0 */
{
    const vector y = vector_at_most(x, vector_of(44)), at = where_less(x, -6.7, vector_of(0), -x);
    const two v = exp_two(only(-y), TO_ITSELF), e = exp_two((two){-v.hi, -v.lo}, TO_ONE);
    const two c = two_add(two_of(1, 0), two_times(v, y));
    const vector f = with_sign_of(vector_fma(x, e.hi, x * e.lo), x); /* of -0 */
    const vector df = vector_fma(e.hi, c.hi, vector_fma(e.hi, c.lo, e.lo * c.hi));
    return (doubles){
        .f = where_less(x, 44, where_less(x, -6.7, with_sign_of(vector_of(0), x), f), x),
        .df = where_less(x, -6.7, vector_of(-0.0), df),
        .f_at = at,
        .df_at = at,
        .root = root_at(x, vector_of(0), GOLU_ROOT, GOLU_SERIES),
    };
}
#endif
#endif
ROW_VECTORS(golu, HEAVY)
