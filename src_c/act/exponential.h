/* exponential(x) = e^x = f'
 * 2^k is applied in steps, the last of which rounds: k from -1154 to 1039 at the clamps.
 * f overflows above x = 88.72 (float32), 709.78 (float64); it leaves the subnormals at
 * -103.97, -745.13.
 * Measured in ULP, all float32: f 0.8934 at 5.19910097, f' 0.8934 at 5.19910097;
 *    12 M float64: f 0.9302 at 0.3465736, f' 0.9302 at 0.3465736. */
#ifdef BODIES
ACTIVATION(exponential)
{
    const double y = between(x, -(real)FAR, 720);
    const reduced e = reduce(exact(y));
    const double k = at_least(e.k, -900), m = rounded(one_plus(e.p));
    const double f = m * pow2(k - 100) * 0x1p100 * pow2_of_difference(e.k, k);
    return (dual){.f = f, .df = f};
}
FROM_OUTPUT(exponential) { return y; }
#if CACT_REAL == 32
FLOATS(exponential, INFINITY, INFINITY)
{
    const vector y = exp_rounded(x);
    return (floats){.f = y, .df = y, .f_at = vector_size(x), .df_at = vector_size(x)};
}
#else
DOUBLES(exponential, 708, 708)
{
    const vector y = exp_rounded(only(x)), t = vector_size(x);
    return (doubles){.f = y, .df = y, .f_at = t, .df_at = t};
}
#endif
#endif
ROW_Y_VECTORS(exponential, HEAVY)
