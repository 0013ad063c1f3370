/* hardswish(x) = x min(max(x/6 + 1/2, 0), 1) = x (x + 3)/6 from -3 to 3;  f' = (2x + 3)/6
 * Howard et al. 2019, arXiv:1905.02244
 * v = (x + 3)/6 is rounded to a multiple of an ulp of 1, so that 3 - 6 v is exact, and x + (3 - 6 v), six times what v
 * lacks, nearly so.  f'(-3) = 0, f'(3) = 1.
 * Measured in ULP, all float32: f 0.6667 at -2.99999809, f' 1 at 0.00146484375;
 *    12 M float64: f 0.6667 at -3, f' 1 at 1.461133. */
#ifdef BODIES
PLAIN(hardswish)
{
    const vector z = vector_at_least(x, vector_of(-3)), y = vector_at_most(z, vector_of(3));
    const vector sixth = y * (real)(1.0 / 6), v = (sixth + (real)1.5) - 1;
    const vector rest = y + vector_fma(v, vector_of(-6), vector_of(3));
    const vector df = plus_3_by_6(x, 2);
    return (floats){
        .f = vector_fma(z, v, sixth * rest), /* x from 3 on */
        .df = select_where(IS_BELOW(x, vector_of(3)), kept(IS_ABOVE(x, vector_of(-3)), df), vector_of(1)),
    };
}
#endif
ROW_PLAIN(hardswish, 0)
