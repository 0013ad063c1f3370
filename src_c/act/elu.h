/* elu(x) = x above 0, alpha (e^x - 1) elsewhere;  f' = 1, alpha e^x;  f'(0) = alpha
 * e^x - 1 = (2^k - 1) + 2^k p, p exact to the last bits near 0: nothing cancels.
 * f rounds to -alpha from x = -17.33 (float32), -37.43 (float64). */
#ifdef BODIES
ACTIVATION(elu)
{
    double z = x < 0 ? x : 0;
    reduced e = reduce(exact(max_(z, -1200)));
    double k = max_(e.k, ROUNDER - 900), s = pow2(k);
    num sp = scale(e.p, s);
    /* 2^k - 1 is 0 or the larger */
    num f = times(add_big(big_sum(-1, s), sp), p[0]);
    num df = times(scale(one_plus(e.p), s), p[0]);
    return (dual){
        .f = x > 0 ? x : rounded(f),
        .df = x > 0 ? 1 : rounded(df) * pow2_of_difference(e.k, k),
    };
}
#endif
ROW(elu, 1)
