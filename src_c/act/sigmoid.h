/* sigmoid(x) = 1/(1 + e^-x);  f' = s(x) s(-x)
 * With E = e^-|x|:  s = 1/(1+E) above 0, E/(1+E) below: see logistic_().
 * E leaves the subnormals at |x| = 103.98 (float32), 745.14 (float64). */
#ifdef BODIES
ACTIVATION(sigmoid)
{
    logistic l = logistic_(exact(clamped(x, FAR)));
    return (dual){
        .f = rounded(l.s) * l.s_tail,
        .df = rounded(mul(l.s, l.c)) * l.s_tail * l.c_tail,
    };
}
#endif
ROW(sigmoid, 0, HEAVY)
