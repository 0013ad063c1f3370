/* hardswish(x) = x min(max(x/6 + 1/2, 0), 1) = x (x + 3)/6 from -3 to 3;  f' = (2x + 3)/6
 * Howard et al. 2019, arXiv:1905.02244
 * x + 3, 2x + 3 and 1/6 are pairs (in float32 of floats), and exact beside the roots of f and f'.
 * f'(-3) = 0, f'(3) = 1.  Beside 0 f is x/2, where the low words would be subnormal.
 * Measured in ULP, all float32: f 0.5 at 1.89238881e-06, f' 0.5 at 2.41398811e-06;
 *    12 M float64: f 0.5 at 4.94065646e-324, f' 0.5 at 0.330895099. */
#ifdef BODIES
ACTIVATION(hardswish)
{
    const real y = x > -3 ? x < 3 ? x : 3 : -3;
    const num sixth = pair(0x1.5555555555555p-3, 0x1.5555555555555p-57);
    const double f = rounded(mul(times(sum(y, 3), y), sixth)), df = rounded(mul(sum(2 * y, 3), sixth));
    const double g = sizeof(real) == 8 && abs_(x) < 0x1p-70 ? 0.5 * x : f;
    return (dual){.f = x < 3 ? __builtin_copysign(g, x) : x, .df = x > -3 ? x < 3 ? df : 1 : 0};
}
IN_BOTH(hardswish, EVERYWHERE, EVERYWHERE)
{
    const vector sixth = vector_of(SIXTH), sixth_low = vector_of(SIXTH_LOW);
    const vector z = vector_at_least(x, vector_of(-3)), y = vector_at_most(z, vector_of(3));
    const vector s = 3 + y, s_low = y - (s - 3); /* v = s/6, exactly 1 from 3 on */
    const vector v = s * sixth, v_low = (vector_fma(v, vector_of(-6), s) + s_low) * sixth;
    const vector d = 3 + 2 * x, d_low = 2 * x - (d - 3);
    const vector df = vector_fma(d, sixth, vector_fma(d, sixth_low, d_low * sixth));
    return (floats){
        .f = vector_fma(z, v, y * v_low),
        .df = select_where(IS_BELOW(x, vector_of(3)), kept(IS_ABOVE(x, vector_of(-3)), df), vector_of(1)),
    };
}
#endif
ROW_VECTORS(hardswish, LIGHT)
