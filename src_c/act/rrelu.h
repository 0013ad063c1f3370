/* rrelu(x) = x above 0, a x elsewhere, a = (lower + upper)/2;  f'(0) = a     Xu et al. 2015, arXiv:1505.00853
 * In training lower and upper are both the slope that was drawn, and so is a.  a is kept as a pair
 * (halved before or after the sum, so that neither overflows or loses its last bit).
 * Measured in ULP, all float32: f 0.8333 at -9.40395817e-38, f' 0.3333 at 0;
 *    12 M float64: f 0.5 at -1.18575755e-322, f' 0. */
#ifdef BODIES
ACTIVATION(rrelu)
{
    const double half = abs_(p[0]) > 1 ? 0.5 : 1;
    const num a = scale(sum(half * p[0], half * p[1]), 0.5 / half);
#if CACT_REAL == 32
    const real left = proportional(x, a);
#else
    const double most = smaller(DBL_MAX / abs_(a.hi), DBL_MAX), y = smaller(-x, most); /* no effect above 0 */
    const real left = x < -most && a.hi != 0 ? x * a.hi : -rounded_times(a, y);
#endif
    return (dual){.f = x >= 0 ? x : left, .df = x > 0 ? 1 : rounded(a)};
}
#endif
ROW(rrelu, 2, LIGHT)
