/* sigmoid(x) = 1/(1 + e^-x);  f' = s(x) s(-x)
 * Both from s(-|x|), which is 1 - s(|x|) without cancellation.
 * s(-|x|) leaves the subnormals at |x| = 103.98 (float32), 745.14 (float64). */
#ifdef BODIES
ACTIVATION(sigmoid)
{
    const logistic l = logistic_(exact(-magnitude(x, FAR)));
    return (dual){
        .f = x < 0 ? rounded(l.s) * UNSCALED : rounded(l.one_minus_s),
        .df = rounded_product(l.s, l.one_minus_s) * UNSCALED,
    };
}
FROM_OUTPUT(sigmoid) { return y * (1 - y); }
#endif
ROW_Y(sigmoid, 0, HEAVY)
