/* silu(x) = x s(x), s = sigmoid;  f' = s(x) + x s(x) s(-x)
 * In float32 f from tables of e^x (vector.h).  f' crosses zero at -1.2784645427610737951.
 * Measured in ULP, all float32: f 0.5264 at -13.7192955, f' 0.5058 at -1.03985953;
 *    12 M float64: f 0.7762 at -715.064446, f' 0.7858 at -1.04690883. */
#ifdef BODIES
ACTIVATION(silu)
{
    const double v = between(x, LOGISTIC_LEFT, LOGISTIC_RIGHT);
    dual d = times_sigmoid(x, v, exact(v), exact(v));
    d.df = beside_root(x, d.df, SILU_ROOT, SILU_SERIES);
    return d;
}
#if CACT_REAL == 32
TABLED(silu)
{
    const vector v = vector_at_least(x, vector_of(-112)), z = vector_at_most(v, vector_of(20));
    const vector y = times_sigmoid_tabled(v * 0x1p-64f, z), near = vector_size(x);
    return where(near < 0x1p-40f, x * 0.5f, where(v == z, y, x));
}
#endif
#endif
ROW_TABLED(silu, HEAVY)
