/* snake(x) = x + sin^2(ax)/a;  f' = 1 + sin(2ax) = 2 sin^2(ax + pi/4), so that nothing cancels at
 * its double roots;  df/da = q (2x cos(ax) - q), q = sin(ax)/a     Ziyin et al. 2020, arXiv:2006.08195
 * From |ax| = 1/2 on, ax is reduced modulo pi, exactly; below, a cancels in q = x sin(ax)/(ax), so
 * that a may be 0.  f is x + q sin(ax) >= 0.28 x.  At infinity f' has no limit, and is NaN.
 * df/da has its roots at tan(ax) = 2ax; beside them its error is 2^-32 or 2^-59
 * of its terms (which lose digits to the subnormals from |a| = 1e290 on, in float64).
 * Measured in ULP, all float32: f 0.9996 at -0.789661288, f' 0.9941 at -0.00340300426;
 *    12 M float64: f 0.6828 at -0.780100932, f' 0.7432 at -23.8155927. */
#ifdef BODIES
ACTIVATION(snake)
{
    const real most = sizeof(real) == 4 ? (real)FLT_MAX : (real)DBL_MAX;
    const double a = p[0], t = clamped(x, most);
    /* 1/a = inverse * unit, neither of them subnormal */
    const double unit = abs_(a) < 1 ? 0x1p500 : 0x1p-500;
    const num inverse = reciprocal(exact(a * unit));
    const num w = product(a, t);
    const mask near = is_less(abs_(rounded(exact(a * t))), 0.5);
    const factors m = factors_(a, t);
    const turn big = half_turns(m.hi, m.e), little = half_turns(m.lo, m.e);

    const num z = pick(near, w, reduced_angle(big, little, 0));
    const num s = sinc(z), u = mul(z, s);
    /* beside the largest numbers all is 2^8 smaller */
    const mask large = is_less(1, abs_(t));
    const double down = choose(large, 0x1p-8, 1), up = choose(large, 0x1p8, 1);
    const num q = mul(s, scale(pick(near, exact(t), scale(mul(z, inverse), unit)), down));
    const double f = rounded(add(exact(t * down), mul(q, u))) * up;

    const num v = reduced_angle(big, little, 0.25);
    const num y = mul(v, sinc(v));

    const num half_pi = pair(0x1.921fb54442d18p0, 0x1.1a62633145c07p-54);
    const num h = sub(half_pi, pick(is_negative(rounded(z)), negative(z), z));
    const num c = mul(h, sinc(h)); /* cos(z) = sin(pi/2 - |z|) */
    const num d = sub(times(c, 2 * down * t), q);
    const double rough = rounded(q) * rounded(d); /* where infinite, parts of the product are, too */
    const double da = abs_(rough) > DBL_MAX ? rough : rounded_product(q, d) * up * up;
    return (dual){
        .f = abs_(x) > most ? (double)x : __builtin_copysign(f, x),
        .df = abs_(x) > most ? __builtin_nan("") : 2 * rounded_product(y, y),
        .dp = {abs_(x) > most ? __builtin_nan("") : da},
    };
}
#if CACT_REAL == 32
/* sin(z)^2 = u + c, u = z^2, z = hi + low, |z| <= pi/4 (tools/pieces.py sin: relative error 2^-32.2) */
INLINE vector rest_of_sin_squared(vector hi, vector low, vector u)
{
    vector q = vector_fma(u, vector_of(-0x1.51bbb8p-18f), vector_of(0x1.2a9c1ap-13f));
    q = vector_fma(q, u, vector_of(-0x1.a031b8p-9f));
    q = vector_fma(q, u, vector_of(0x1.6c1712p-5f));
    q = vector_fma(q, u, vector_of(-0x1.555556p-2f));
    const vector square_low = vector_fma(2 * hi, low, vector_fma(hi, hi, -u));
    return vector_fma(u, u * q, square_low * vector_fma(u, vector_of(-0.62f), vector_of(1))); /* sin(2z)/2z */
}

/* sin(z)/z, as sinc(double) */
INLINE precise precise_sinc(precise z)
{
    const precise s = z * z, s2 = s * s;
    const precise a = -0x1.5555554445645p-3 * s + 0x1.ffffffffdaa68p-1;
    const precise b = -0x1.a017d0ece763p-13 * s + 0x1.11110c038a378p-7;
    const precise c = -0x1.9a6c28a0a7c9bp-26 * s + 0x1.71703799f148ep-19;
    return (c * s2 + b) * s2 + a;
}

/* df/da where a = 1, x = z + n pi, |x| < 60 */
INLINE precise snake_by_a(precise x)
{
    const precise n = (x * 0x1.45f306dc9c883p-2 + ROUNDER) - ROUNDER;
    const precise z = (x - n * 0x1.921fb544p1) - n * 0x1.0b4611a626331p-33, h = 0x1.921fb54442d18p0 - precise_size(z);
    const precise q = z * precise_sinc(z);
    return q * (2 * x * (h * precise_sinc(h)) - q);
}

FLOATS(snake, 60, 60) /* a = 1 */
{
    /* z = x - n pi/2, sin(x)^2 = v + rest: sin(z)^2, or 1 - sin(z)^2 where n is odd */
    const vector m = vector_fma(x, vector_of(0x1.45f306p-1f), vector_of(0x1.8p23f)), n = m - 0x1.8p23f;
    const vector z = vector_fma(n, vector_of(-0x1.921fb6p0f), x), u = z * z;
    const vector c = rest_of_sin_squared(z, n * 0x1.777a5cp-25f, u), w = 1 - u;
    const integers odd = -((integers)m & 1);
    const vector v = where(odd, w, u), rest = where(odd, ((1 - w) - u) - c, c), s = x + v;

    /* f' = 1 - cos(2y) or, k odd, 1 + cos(2y), y = x - (k - 1/2) pi/2, small beside a root: pi/4 in three parts */
    const vector r = vector_fma(x, vector_of(0x1.45f306p-1f), vector_of(0.5f)) + 0x1.8p23f, k = r - 0x1.8p23f;
    const vector t = vector_fma(k, vector_of(2), vector_of(-1));
    const vector y = vector_fma(t, vector_of(-0x1.921fb6p-1f), x);
    const vector lost = x - vector_fma(t, vector_of(0x1.921fb6p-1f), y);
    const vector b = vector_fma(t, vector_of(0x1.777ap-26f), lost), hi = y + b;
    const vector low = vector_fma(t, vector_of(0x1.73dcb4p-44f), b - (hi - y)), square = hi * hi;
    const vector half = square + rest_of_sin_squared(hi, low, square), g = 2 * half;
    return (floats){
        .f = with_sign_of(s + ((v - (s - x)) + rest), x), /* of -0 */
        .df = where(-((integers)r & 1), 2 - g, g),
        .f_at = vector_size(x),
        .df_at = vector_size(x),
        .dp = {rounded_to_floats(snake_by_a(precise_of(x, 0)), snake_by_a(precise_of(x, 1)))},
    };
}
#else
/* sin(z)^2 = u + this, u = z.hi^2, |z| <= pi/4: -u^2/3 + u^2 P(u) (tools/remez.py: 2^-65) */
INLINE vector rest_of_sin_squared(two z, vector u)
{
    const vector v = u * u, v_low = vector_fma(u, u, -v), third = vector_of(-0x1.5555555555555p-2);
    const vector u_low = vector_fma(2 * z.hi, z.lo, vector_fma(z.hi, z.hi, -u));
    const vector low = u_low * vector_fma(u, vector_of(-0.6), vector_of(1)); /* sin(2z)/2z */
    vector odd = vector_fma(vector_of(0x1.5ddb712fe7a03p-36), v, vector_of(0x1.9396d72edff67p-24));
    vector even = vector_fma(vector_of(-0x1.ae504ac4632c0p-30), v, vector_of(-0x1.1eed8e5afbecbp-18));
    odd = vector_fma(odd, v, vector_of(0x1.27e4fb76783e5p-13));
    even = vector_fma(even, v, vector_of(-0x1.a01a01a01809dp-9));
    odd = vector_fma(odd, v, vector_of(0x1.6c16c16c16bfbp-5));
    const vector rest = vector_fma(vector_fma(even, u, odd), u, vector_of(-0x1.5555555555555p-56));
    return vector_fma(v, third, vector_fma(v, rest, vector_fma(v_low, third, low)));
}

/* q (2 x c - q), q = sin(x), c = cos(x), or sin(z), cos(z), x = z + n pi/2, exchanged where n is odd: to 2^-56 of the
 * terms (tools/remez.py) */
INLINE vector snake_by_a(vector x, two z, vector u, integers odd)
{
    const vector v = u * u, half = 0.5 * u, top = 1 - half;
    vector s = vector_fma(vector_of(0x1.5d932fa167ed2p-33), u, vector_of(-0x1.ae5e66d654f61p-26));
    vector c = vector_fma(vector_of(-0x1.8faecea970abfp-37), u, vector_of(0x1.1ee9ec470087cp-29));
    s = vector_fma(s, u, vector_of(0x1.71de357876ac1p-19));
    c = vector_fma(c, u, vector_of(-0x1.27e4f80a75eb3p-22));
    s = vector_fma(s, u, vector_of(-0x1.a01a019c126e9p-13));
    c = vector_fma(c, u, vector_of(0x1.a01a019cb26f7p-16));
    s = vector_fma(s, u, vector_of(0x1.111111110f881p-7));
    c = vector_fma(c, u, vector_of(-0x1.6c16c16c15184p-10));
    s = vector_fma(s, u, vector_of(-0x1.5555555555549p-3));
    c = vector_fma(c, u, vector_of(0x1.555555555554cp-5));
    const vector square_low = vector_fma(2 * z.hi, z.lo, vector_fma(z.hi, z.hi, -u));
    const two sine = normalized_two((two){z.hi, vector_fma(z.hi * u, s, z.lo)});
    const vector cosine_low = vector_fma(v, c, vector_fma(vector_of(-0.5), square_low, (1 - top) - half));
    const two cosine = normalized_two((two){top, cosine_low});
    const two q = {where(odd, cosine.hi, sine.hi), where(odd, cosine.lo, sine.lo)};
    const two r = {where(odd, -sine.hi, cosine.hi), where(odd, -sine.lo, cosine.lo)};
    const two d = two_add(two_times(r, 2 * x), (two){-q.hi, -q.lo});
    return vector_fma(q.hi, d.hi, vector_fma(q.hi, d.lo, q.lo * d.hi));
}

DOUBLES(snake, 1e5, 1e5) /* a = 1 */
{
    /* z = x - n pi/2, sin(x)^2 = v + rest: sin(z)^2, or 1 - sin(z)^2 where n is odd */
    const vector m = vector_fma(x, vector_of(0x1.45f306dc9c883p-1), vector_of(ROUNDER)), n = m - ROUNDER;
    const vector first = vector_fma(n, vector_of(-0x1.921fb54442d18p0), x); /* exact */
    const two z = two_add_less(first, n * -0x1.1a62633145c07p-54);
    const vector u = z.hi * z.hi, c = rest_of_sin_squared(z, u), w = 1 - u;
    const integers odd = -((integers)m & 1);
    const vector v = where(odd, w, u), rest = where(odd, ((1 - w) - u) - c, c), s = x + v;

    /* f' = 1 - cos(2y) or, k odd, 1 + cos(2y), y = x - (k - 1/2) pi/2, small beside a root: pi/4 in three parts */
    const vector r = vector_fma(x, vector_of(0x1.45f306dc9c883p-1), vector_of(0.5)) + ROUNDER, k = r - ROUNDER;
    const vector t = vector_fma(k, vector_of(2), vector_of(-1));
    const vector near = vector_fma(t, vector_of(-0x1.921fb54442d18p-1), x);
    const vector lost = x - vector_fma(t, vector_of(0x1.921fb54442d18p-1), near);
    two y = two_add_less(near, t * -0x1.1a626331p-55); /* exact */
    y = two_add_less(y.hi, vector_fma(t, vector_of(-0x1.1701b839a2520p-89), y.lo + lost));
    const vector square = y.hi * y.hi, g = 2 * (square + rest_of_sin_squared(y, square));
    return (doubles){
        .f = with_sign_of(s + ((v - (s - x)) + rest), x), /* of -0 */
        .df = where(-((integers)r & 1), 2 - g, g),
        .f_at = vector_size(x),
        .df_at = vector_size(x),
        .dp = {snake_by_a(x, z, u, odd)},
    };
}
#endif
#endif
ROW_VECTORS_LEARNT(snake, 1, HEAVY, 1)
