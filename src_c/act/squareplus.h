/* squareplus(x) = (x + S)/2, S = sqrt(x^2 + b);  f' = (1 + x/S)/2          Barron 2021, arXiv:2112.11687
 * With t = |x| and D = t + S nothing cancels:
 *     f = D/2, below 0 b/(2D);   f' = D/(2S), below 0 b/(2SD)
 * In float64 t and S are divided by a power of two near the greater of t and sqrt(b), so that t^2
 * stays in range; b/(2D) and b/(2SD) are 1/UNSCALED times as large until the end.
 * Measured in ULP, all float32: f 0.5 at -68.1468735, f' 0.75 at 3.06963921e-05;
 *    12 M float64: f 0.7497 at -6.8163764e+307, f' 0.747 at -9.21932929e+153. */
#ifdef BODIES
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
#if CACT_REAL == 32
/* For b = 4: with z = f(-t), S = t + 2z and z (t + z) = 1, so that z + r/S is better than z where r is the residual
 * of that.  1/S to 2^-20 from a guess by its bits, Newton's step with other constants and another as usual. */
FLOATS(squareplus, 0x1p60f, 0x1p60f)
{
    const vector size = vector_size(x), t = vector_magnitude(x, 0x1p60f), u = vector_fma(t, t, vector_of(4));
    vector y = (vector)(0x5f1ffff9 - ((integers)u >> 1));
    y = y * vector_fma(u * y, y * -0.703952253f, vector_of(1.68191397f));
    y = y * vector_fma(u * y, y * -0.5f, vector_of(1.5f));
    const vector z = 2 / vector_fma(u, y, t), w = t + z, low = vector_low(t, z, w);
    const vector r = vector_fma(-z, low, vector_fma(-z, w, vector_of(1))), c = r * y;
    const vector s = t + 2 * z, s_low = vector_fma(vector_of(2), c, vector_low(t, 2 * z, s));
    const vector q = z * y, rest = vector_fma(-q, s_low, vector_fma(-q, s, z) + c);
    const vector g = vector_fma(rest, y, q);
    return (floats){
        .f = where(x < 0, z + c, w + (low + c)),
        .df = reflected(g, x),
        .f_at = size,
        .df_at = size,
    };
}
#endif
FROM_OUTPUT(squareplus) { return (real)(1 / (1 + 0.25 * p[0] / y / y)); } /* S = y + b/(4y), f' = y/S */
#endif
ROW_Y_FLOATS_USUAL(squareplus, 1, HEAVY, 4)
