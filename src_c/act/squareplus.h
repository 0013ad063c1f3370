/* squareplus(x) = (x + S)/2, S = sqrt(x^2 + b);  f' = (1 + x/S)/2          Barron 2021, arXiv:2112.11687
 * With t = |x| and D = t + S nothing cancels:
 *     f = D/2, below 0 b/(2D);   f' = D/(2S), below 0 b/(2SD)
 * Where b is not 4 or x is large, in float64 t and S are divided by a power of two near the greater of t and sqrt(b),
 * so that t^2 stays in range; b/(2D) and b/(2SD) are 1/UNSCALED times as large until the end.
 * Measured in ULP, all float32: f 0.9116 at 0.0218115449, f' 0.75 at 3.49879265e-05;
 *    12 M float64: f 0.873 at 0.114259518, f' 1.698 at -257.609604. */
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
/* For b = 4: z = f(-t) = 2/D and f(t) = t + z; z^2 + t z = 1, whose residual over 2 z + t = S is what z lacks, so that S
 * need not be near.  f'(-t) = 2/(D S) = 2/(S^2 + t S) = 2/e, with the low word of e; those of t^2 + 4 and of S by their
 * residuals, which float64's 2 ULP of f' do without.  t/(2 S) = 1/2 - f'(-t). */
IN_BOTH(squareplus, SQUAREPLUS_REACH, CACT_REAL == 32 ? 0x1p13 : SQUAREPLUS_REACH)
{
    const vector t = vector_size(x), one = vector_of(1), two_ = vector_of(2), four = vector_of(4);
    const vector u = vector_fma(t, t, four);
    const near_root root = near_root_of(u);
    const vector z = 2 / (t + root.of), r = vector_fma(-z, z, vector_fma(-t, z, one));
    const vector s = vector_sqrt(u), e = vector_fma(t, s, u), g = 2 / e, e_rest = vector_fma(t, s, u - e);
    const vector u_low = vector_fma(t, t, four - u), s_low = vector_fma(-s, s, u) + u_low; /* times 2 S */
    const vector e_low = CACT_REAL == 32 ? vector_fma(s_low, (real)0.5 - g, u_low) + e_rest : e_rest;
    const vector v = vector_fma(-g, e_low, vector_fma(-g, e, two_)), left = vector_fma(v, (real)0.5 * g, g);
    return (floats){
        .f = vector_fma(r, root.reciprocal, z) + positive(x),
        .df = where_negative(x, left, 1 - left),
        .f_at = t,
        .df_at = t,
    };
}
FROM_OUTPUT(squareplus) { return (real)(1 / (1 + 0.25 * p[0] / y / y)); } /* S = y + b/(4y), f' = y/S */
#endif
ROW_Y_VECTORS_USUAL(squareplus, 1, HEAVY, 4)
