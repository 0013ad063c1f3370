/* softsign(x) = x/(1 + |x|);  f' = 1/(1 + |x|)^2
 * f rounds to 1 from 2^25 (float32), 2^54 (float64); f' leaves the subnormals at 2^75, 2^537.5, and is
 * computed 2^600 times as large.
 * Measured in ULP, all float32: f 0.5 at 0.0137627712, f' 0.75 at 1.30046475e+19;
 *    12 M float64: f 0.5 at -1, f' 1 at 0.999999953. */
#ifdef BODIES
ACTIVATION(softsign)
{
    const double t = smaller(abs_(x), 0x1p600);
    const num d = sum(1, t), r = scale(reciprocal(d), 0x1p300);
    return (dual){
        .f = __builtin_copysign(rounded(ratio(exact(t), d)), x),
        .df = rounded_product(r, r) * 0x1p-600,
    };
}
#if CACT_REAL == 32
/* d + low = 1 + t; r = 2^38/d with its residual e, so that r^2 is clear of the subnormals */
FLOATS(softsign, EVERYWHERE, EVERYWHERE)
{
    const vector t = vector_size(x), u = vector_at_most(t, vector_of(0x1p30f)), v = vector_at_most(t, vector_of(0x1p80f));
    const vector d = 1 + u, low = vector_low(u, vector_of(1), d), y = 1 / d, q = u * y;
    const vector rest = vector_fma(-q, low, vector_fma(-q, d, u));
    const vector c = 1 + v, c_low = vector_low(v, vector_of(1), c), r = 0x1p38f / c, p = r * r;
    const vector e = vector_fma(-r, c_low, vector_fma(-r, c, vector_of(0x1p38f)));
    return (floats){
        .f = with_sign_of(vector_size(vector_fma(rest, y, q)), x), /* of NaN, too, whose sign is the compiler's choice */
        .df = (p + vector_fma(p * 0x1p-37f, e, vector_fma(r, r, -p))) * 0x1p-76f,
    };
}
#else /* f' = y^2 (1 + 2 e), e the residual of y = 1/(1 + |x|) */
DOUBLES(softsign, EVERYWHERE, 0x1p500)
{
    const vector size = vector_size(x), t = vector_at_most(size, vector_of(0x1p600));
    const vector d = 1 + t, low = vector_at_most(t, vector_of(1)) - (d - vector_at_least(t, vector_of(1)));
    const vector y = 1 / d, q = t * y, p = y * y;
    const vector rest = vector_fnma(q, low, vector_fnma(q, d, t));
    const vector e = vector_fnma(y, low, vector_fnma(y, d, vector_of(1)));
    return (doubles){
        .f = with_sign_of(vector_size(vector_fma(rest, y, q)), x), /* of NaN, too, whose sign is the compiler's choice */
        .df = vector_fma(p, 2 * e, p),
        .f_at = size,
        .df_at = size,
    };
}
#endif
FROM_OUTPUT(softsign)
{
    const real t = 1 - magnitude(y, 1);
    return t * t;
}
#endif
ROW_Y_VECTORS(softsign, HEAVY)
