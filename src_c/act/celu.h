/* celu(x) = max(x, 0) + min(0, a (e^{x/a} - 1)) = x above 0, a (e^z - 1) elsewhere, z = x/a
 *                                                          Barron 2017, arXiv:1704.07483
 * f' = 1, e^z;  f'(0) = 1.  z is hi + lo, the quotient and its residual, or e^z would lose as
 * many bits as z has; for |z| < 2^-64 f rounds to x.  The rest as elu, but that
 * e^z - 1 has two more bits in float64, for the product with a.
 * Measured in ULP, all float32: f 0.9142 at -14.7019539, f' 0.8934 at -5.84864187;
 *    12 M float64: f 0.9106 at -0.346600674, f' 0.9025 at -1.02339415. */
#ifdef BODIES
ACTIVATION(celu)
{
    const double a = p[0], t = smaller(abs_(x), FARTHEST * a), q = -(t / a);
    const num z = pair(q, fma_(-q, a, -t) / a);
    const reduced e = reduce_close(z);
    const double s = pow2(at_least(e.k, -900));
    const num m = add_big(big_sum(-1, s), scale(e.p, s)); /* 2^k - 1 is 0 or the larger */
    const exponential ex = exp_of(e);
    return (dual){
        .f = x >= 0 || q > -0x1p-64 ? (double)x : rounded_times(m, a),
        .df = x > 0 ? 1 : rounded(ex.value) * ex.tail * ex.far_tail,
    };
}
FROM_OUTPUT(celu) { return y > 0 ? 1 : (real)((y + p[0]) / p[0]); }
#if CACT_REAL == 32
FLOATS(celu, INFINITY, INFINITY) /* a = 1 */
{
    return elu_floats(x, of_f, of_df, of_dp);
}
#else
DOUBLES(celu, INFINITY, 708) /* a = 1 */
{
    return elu_doubles(x, of_f, of_df, of_dp);
}
#endif
#endif
ROW_Y_VECTORS_USUAL(celu, 1, HEAVY, 1)
