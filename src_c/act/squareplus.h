/* squareplus(x) = (x + S)/2, S = sqrt(x^2 + b);  f' = (1 + x/S)/2          Barron 2021, arXiv:2112.11687
 * With t = |x| and D = t + S nothing cancels:
 *     f = D/2, below 0 b/(2D);   f' = D/(2S), below 0 b/(2SD)
 * Where b is not 4 or x is large, in float64 t and S are divided by a power of two near the greater of t and sqrt(b), so that t^2
 * stays in range; b/(2D) and b/(2SD) are 1/UNSCALED times as large until the end.
 * Measured in ULP, all float32: f 0.6191 at -0.0008453271, f' 0.75 at 3.49879265e-05;
 *    12 M float64: f 0.7497 at -6.8163764e+307, f' 0.75 at 0.609641497. */
#ifdef BODIES
#define SQUAREPLUS_REACH (CACT_REAL == 32 ? 0x1p30 : 0x1p400)
ACTIVATION(squareplus)
{
    const mask left = is_negative(x);
    const real most = sizeof(real) == 4 ? FLT_MAX : (real)DBL_MAX;
    const double b = p[0];
#if CACT_REAL == 32
    const double t = smaller(abs_(x), FLT_MAX), m = 1, half = 0.5;
#else
    const double t = smaller(abs_(x), DBL_MAX);
    const uint64_t exponent = to_bits(greater(t, __builtin_sqrt(b))) & to_bits(INFINITY);
    const double m = from_bits(to_bits(0x1p1023) + to_bits(8) - to_bits(1) - exponent); /* m t < 16 */
    const double half = from_bits(exponent - to_bits(16) + to_bits(1)); /* 1/(2m) */
#endif
    const double y = t * m, bm = b * (m / UNSCALED);
    const num s = sqrt_(add(product(y, y), exact(b * m * m))), d = add(exact(y), s);
    const num tail = ratio(exact(bm), scale(d, 2));
    const num df = ratio(pick(left, exact(bm * m * 0.125), scale(d, 0.25)),
                         pick(left, mul(scale(s, 0.5), scale(d, 0.5)), scale(s, 0.5)));
    const double f = choose(left, rounded(tail) * UNSCALED, rounded(d) * half);
    return (dual){
        .f = x > most ? x : x < -most ? 0 : f,
        .df = x > most ? 1 : x < -most ? 0 : rounded(df) * choose(left, UNSCALED, 1),
    };
}
/* For b = 4, with the low words of t^2 + 4 and of its root by their residuals: f(-t) = 2/D and f'(-t) = 2/(D S), which
 * is 2/(S^2 + t S).  1/S = z/(1 + z^2), z = f(-t), of which some percent will do. */
IN_BOTH(squareplus, SQUAREPLUS_REACH, SQUAREPLUS_REACH)
{
    const vector size = vector_size(x), t = vector_at_most(size, vector_of((real)SQUAREPLUS_REACH));
    const vector u = vector_fma(t, t, vector_of(4)), s = vector_sqrt(u);
    const vector c = 4 - u, u_low = vector_fma(t, t, c) + (4 - (c + u)); /* c is rounded where t is large */
    const vector rest = vector_fma(-s, s, u) + u_low; /* 2 S times the low word of S */
    const vector d = s + t, y = 1 / d, z = 2 * y;
    const vector by_s = z * vector_fma(z * z, vector_of((real)-0.25), vector_of((real)0.48)); /* 1/(2 S) */
    const vector d_low = vector_fma(rest, by_s, t - (d - s));
    const vector r = vector_fma(-y, d_low, vector_fma(-y, d, vector_of(1)));
    const vector q = t * s, e = u + q, g = 2 / e;
    const vector e_low = (q - (e - u)) + vector_fma(t, s, -q) + vector_fma(rest, (real)0.5 - g, u_low);
    const vector v = vector_fma(-g, e_low, vector_fma(-g, e, vector_of(2))), left = vector_fma(v, (real)0.5 * g, g);
    return (floats){
        .f = where_negative(x, vector_fma(z, r, z), vector_fma(d_low, vector_of((real)0.5), (real)0.5 * d)),
        .df = where_negative(x, left, 1 - left),
        .f_at = size,
        .df_at = size,
    };
}
FROM_OUTPUT(squareplus) { return (real)(1 / (1 + 0.25 * p[0] / y / y)); } /* S = y + b/(4y), f' = y/S */
#endif
ROW_Y_VECTORS_USUAL(squareplus, 1, HEAVY, 4)
