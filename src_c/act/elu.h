/* elu(x) = x above 0, alpha (e^x - 1) elsewhere;  f' = 1, alpha e^x;  f'(0) = alpha
 * e^x - 1 = (2^k - 1) + 2^k p, p exact to the last bits near 0: nothing cancels.
 * f rounds to -alpha from x = -17.33 (float32), -37.43 (float64). */
#ifdef BODIES
ACTIVATION(elu)
{
    reduced e = reduce(exact(-(double)magnitude(x, FAR))); /* of no effect above 0 */
    double k = at_least(e.k, -900), s = pow2(k);
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
ROW(elu, 1, HEAVY)
