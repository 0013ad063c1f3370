/* silu(x) = x s(x), s = sigmoid;  f' = s(x) + x s(x) s(-x)
 * f' crosses zero at -1.2784645427610737951. */
#ifdef BODIES
ACTIVATION(silu)
{
    const double v = between(x, LOGISTIC_LEFT, LOGISTIC_RIGHT);
    dual d = times_sigmoid(x, v, exact(v), exact(v));
    d.df = beside_root(x, d.df, SILU_ROOT, SILU_SERIES);
    return d;
}
#endif
ROW(silu, 0, HEAVY)
