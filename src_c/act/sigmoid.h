/* sigmoid(x) = 1/(1 + e^-x)
 * With E = e^-|x|:  f = 1/(1+E) above 0, E/(1+E) below;  f' = E/(1+E)^2.
 * E = 0 from |x| = 103.98 (float32), 745.14 (float64).  Subnormal results: E alone is left. */
#ifdef BODIES
ACTIVATION(sigmoid)
{
    exponential e = exp_(exact(-min_(abs_(x), FAR)));
    num r = reciprocal(add_big(exact(1), e.value)), er = mul(e.value, r);
    return (dual){
        .f = x < 0 ? rounded(er) * e.tail : rounded(r),
        .df = rounded(mul(er, r)) * e.tail,
    };
}
#endif
ROW(sigmoid, 0)
