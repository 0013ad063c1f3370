/* xielu(x) = ap x^2 + beta x above 0, (expm1(min(x, -1e-6)) - x) an + beta x elsewhere
 *                                                  Huang & Schlag 2024, arXiv:2411.13010
 * f' = 2 ap x + beta; an e^x + beta - an; and beta - an for -1e-6 < x <= 0 (no double is -1e-6: its
 * nearest one belongs to the flat piece), where f jumps from -an 1e-6 to 0.
 * df/dap = x^2; df/dan = expm1(min(x, -1e-6)) - x; df/dbeta = x.
 * Left of 0 f and f' cross zero, by default at -2.4324842769314479351 and -0.98082925301172614434;
 * right of 0 where beta < 0.  What cancels is fine, so that float32 keeps its accuracy beside all
 * of them; float64 does beside the default ones, by their series, and right of 0 to 2^-105 of the
 * terms; elsewhere the error beside a root is an absolute one, 2^-58 of the terms.
 * Measured in ULP, all float32: f 0.8987 at -7.94729146e-07, f' 0.9443 at -14.4913807;
 *    12 M float64: f 0.7499 at -9.84960969e-07, f' 1.224 at -0.634169546. */
#ifdef BODIES
#define XIELU_ROOT -0x1.375ba510ba362p+1, 0x1.5c4c2dc7078cfp-53, -0x1.d684b1e9e4372p-3, -0x1.098dcb812b434p-57
#define XIELU_GRAD_ROOT -0x1.f62f40794a7b8p-1, 0x1.8ef88c8e9bd1fp-55, 0x1.3333333333334p-2, 0
static const double XIELU_SERIES[] = {
    0x1.1fc368f9045ebp-5, 0x1.7faf36a15b28fp-7, 0x1.7faf36a15b28fp-9, 0x1.32f2921aaf53fp-11,
    0x1.99436d78e9c55p-14, 0x1.d3bac6410b2aap-17, 0x1.d3bac6410b2aap-20, 0x1.9fc2775642d09p-23,
    0x1.4c9b92ab68a6dp-26, 0x1.e3cb03e20c959p-30, 0x1.428757ec0863cp-33, 0x1.8cf55884f6a22p-37};
static const double XIELU_GRAD_SERIES[] = { /* 0.3/n! */
    0x1.3333333333334p-3, 0x1.999999999999bp-5, 0x1.999999999999bp-7, 0x1.47ae147ae147cp-9,
    0x1.b4e81b4e81b50p-12, 0x1.f3526859b8cedp-15, 0x1.f3526859b8cedp-18, 0x1.bbd779334ef0cp-21,
    0x1.6312c75c3f270p-24, 0x1.023c33e5ff623p-27, 0x1.58504532a9d84p-31, 0x1.a7c541796e940p-35};
ACTIVATION(xielu)
{
    const double ap = p[0], an = p[1], beta = p[2], t = x, y = clamped(x, MOST);
    const mask infinite = is_above(abs_(t), MOST), right = is_above(t, 0);
    /* No sum of two parameters overflows, and great products are scaled: no inf - inf. */
    const double unit = choose(is_above(greater(abs_(an), abs_(beta)), 0x1p1000), 0.5, 1);
    const fine slope = fine_sum(beta * unit, -an * unit);
    const mask great = is_above(abs_(choose(right, ap, slope.hi) * y), 0x1p1000);
    const double down = choose(great, 0x1p-540, 1), s = down * unit, back = choose(great, 0x1p540, 1) / unit;

    const fine ax = fine_product(ap * unit, y * down); /* infinite for great ap only */
    const mask over = is_above(abs_(ax.hi), 0x1p1022);
    const fine g = fine_pick(over, (fine){ax.hi, 0}, fine_add(ax, (fine){beta * s, 0}));
    const fine g1 = fine_pick(over, (fine){ax.hi, 0}, fine_add(fine_scale(ax, 2), (fine){beta * s, 0}));

    const mask flat = ~is_negative(t + 0x1.0c6f7a0b5ed8dp-20);
    const fine_reduced e = fine_reduce((fine){-smaller(abs_(t), FARTHEST), 0});
    const double k = at_least(e.k, -900), j = at_least(e.k, -1800), first = pow2(k);
    const double tail = pow2_of_difference(j, k), far_tail = pow2_of_difference(e.k, j);
    const fine m = fine_pick(flat, (fine){-0x1.0c6f713f92497p-20, 0x1.482d6d2274becp-75},
                             fine_add(fine_sum(-1, first), fine_scale(e.p, first)));
    const fine sx = fine_times(slope, y * down);
    const double left = rounded(num_of(fine_pick(is_above(abs_(sx.hi), DBL_MAX), (fine){sx.hi, 0},
                                                 fine_add(fine_times(m, an * s), sx)))) * back;

    /* an e^x + slope: without a slope the tails come last */
    const mask alone = is_zero(slope.hi), late = alone & ~flat;
    const double h = an * unit * first * choose(alone, 1, tail * far_tail);
    const fine curved = fine_add(fine_add(slope, (fine){h, 0}), fine_times(e.p, h));
    const double left1 = rounded(num_of(fine_pick(flat, slope, curved))) * choose(late, tail, 1) *
                         choose(late, far_tail, 1) / unit;

    const mask usual = sizeof(real) == 4 ? 0 : is_zero(an - 0.8) & is_zero(beta - 0.5);
    const double near = beside_root(t, left, XIELU_ROOT, XIELU_SERIES);
    const double near1 = beside_root(t, left1, XIELU_GRAD_ROOT, XIELU_GRAD_SERIES);

    const double line = choose(right, beta, slope.hi / unit), square = choose(right, ap, 0);
    const double end = choose(is_zero(square), line, square);
    const double limit = choose(is_zero(end), choose(right, 0, -an), end * t);
    const double limit1 = choose(is_zero(square), line, square * t);
    const double by_an =
        choose(is_zero(e.k - ROUNDER) & ~flat, finite_times(num_of(fine_product(t, t)), exp_rest(t, 0.5)),
               rounded(num_of(fine_add(m, (fine){-y, 0}))));
    const double f = choose(right, finite_times(num_of(g), y) * back, choose(usual, near, left));
    const double f1 = choose(right, rounded(num_of(g1)) * back, choose(usual, near1, left1));
    return (dual){
        .f = choose(infinite, limit, f),
        .df = choose(infinite, limit1, f1),
        .dp = {choose(right, t * t, 0), choose(right, 0, choose(infinite, -t, by_an)), t},
    };
}
#if CACT_REAL == 32
#include "../tables/xielu.h"
#include "../tables/xielu_grad.h"
#include "../tables/xielu_rest.h"
FLOATS(xielu, 16.8f, 17.4f) /* ap = an = 0.8, beta = 1/2 */
{
    const float a = 0x1.99999ap-1f, a_low = -0x1.99999ap-26f, line = -0x1.333334p-2f;
    const float end = -0x1.ad7f1cp-21f, end_low = 0x1.9c57c4p-47f; /* 0.8 expm1(-1e-6) */
    const float least = -0x1.0c6f72p-20f, least_low = 0x1.80db6ep-45f; /* expm1(-1e-6) */
    const integers right = x > 0, flat = x > -0x1.0c6f7cp-20f;
    /* ap x + beta, in two words */
    const vector half = vector_of(0.5f), h = vector_fma(x, vector_of(a), half);
    const vector h_low = vector_fma(x, vector_of(a), half - h) + x * vector_of(a_low);
    const vector left = where(flat, vector_fma(x, vector_of(line), vector_of(end_low)) + end,
                              on_pieces_with_root(&xielu_pieces, 6, -x, of_f));
    const vector slope = on_pieces_with_root(&xielu_grad_pieces, 6, -x, of_df);
    const vector d = 2 * x, left1 = where(flat, vector_of(line), slope);
    /* expm1(-1e-6) - x, expm1(x) - x */
    const vector s = vector_of(least) - x, level = s + (((least - s) - x) + least_low);
    const vector by_an = where(flat, level, on_pieces_times_square(&xielu_rest_pieces, 5, -x, x, of_dp));
    return (floats){
        .f = where(right, vector_fma(x, h, x * h_low), left),
        .df = where(right, vector_fma(d, vector_of(a_low), vector_fma(d, vector_of(a), half)), left1),
        .f_at = vector_size(x),
        .df_at = vector_size(x),
        .dp = {where(right, x * x, vector_of(0)), where(right, vector_of(0), by_an), x},
    };
}
#else
/* About its root each is a series of one term: f(root + d) = 0.8 e^root (e^d - 1) - 0.3 d, f' = 0.3 (e^d - 1). */
INLINE two from_root(vector x, double root, double root_low)
{
    return two_add(only(x), two_of(-root, -root_low));
}

DOUBLES(xielu, 1e9, 1e9) /* ap = an = 0.8, beta = 1/2 */
{
    const double end = -0x1.ad7f1b98ea0f2p-21, end_low = 0x1.e54a776bb3796p-76; /* 0.8 expm1(-1e-6) */
    const double least = -0x1.0c6f713f92497p-20, least_low = 0x1.482d6d2274becp-75; /* expm1(-1e-6) */
    const vector a = vector_of(0.8), half = vector_of(0.5), line = vector_of(0.5 - 0.8), zero = vector_of(0);
    const vector y = -positive(-x), edge = x + 0x1.0c6f7a0b5ed8dp-20; /* flat where it is not negative */
    /* ap x + beta, in two words */
    const vector h = vector_fma(x, a, half), h_low = vector_fma(x, a, half - h);

    const integers far = y < -1;
    const two d = from_root(y, -0x1.375ba510ba362p+1, 0x1.5c4c2dc7078cfp-53);
    const two z = {where(far, d.hi, y), where(far, d.lo, zero)};
    const two k = {where(far, vector_of(0x1.1fc368f9045ebp-4), a), where(far, vector_of(0x1.ece468fda9797p-58), zero)};
    const two n = one_minus_exp_finely((two){vector_at_least(z.hi, vector_of(-44)), z.lo});
    const vector ramp = line * z.hi, bend = -k.hi * n.hi;
    const vector ramp_low = vector_fma(line, z.lo, vector_fma(line, z.hi, -ramp));
    const vector bend_low = vector_fma(-k.hi, n.lo, vector_fma(-k.lo, n.hi, vector_fma(-k.hi, n.hi, -bend)));
    const two left = two_add((two){bend, bend_low}, (two){ramp, ramp_low});
    const vector level = vector_fma(x, line, vector_of(end_low)) + end;

    const two d1 = from_root(y, -0x1.f62f40794a7b8p-1, 0x1.8ef88c8e9bd1fp-55);
    const two n1 = one_minus_exp(exp_terms_of((two){vector_at_least(d1.hi, vector_of(-44)), d1.lo}, TO_ITSELF));
    const vector left1 = vector_fma(line, n1.hi, line * n1.lo);

    /* expm1(-1e-6) - x, expm1(x) - x: near 0 m.hi is -x */
    const vector s = least - x, flat = s + (((least - s) - x) + least_low);
    const two m = one_minus_exp(exp_terms_of(only(vector_at_least(y, vector_of(-44))), TO_ITSELF));
    const vector curved = (-x - m.hi) - m.lo;
    const integers right = x > 0;
    return (doubles){
        .f = where(right, vector_fma(x, h, x * h_low), where_negative(edge, left.hi + left.lo, level)),
        .df = where(right, vector_fma(2 * x, a, half), where_negative(edge, left1, line)),
        .f_at = vector_size(x),
        .df_at = vector_size(x),
        .dp = {where(right, x * x, zero), where(right, zero, where_negative(edge, curved, flat)), x},
    };
}
#endif
#endif
ROW_VECTORS_LEARNT(xielu, 3, HEAVY, 0.8, 0.8, 0.5)
