/* softshrink(x) = sign(x) max(|x| - lambd, 0);  f'(+-lambd) = 0
 * In float32 the difference is a float's where lambd is a float, else a double's.
 * Measured in ULP, all float32: f 0.5 at 8388609, f' 0;
 *    12 M float64: f 0.5 at 7.13922233e+15, f' 0. */
#ifdef BODIES
static __attribute__((noinline)) vector size_beyond(const vector x, const double *lambd)
{
    vector d;
    for (int j = 0; j < VECTOR; j++)
        d[j] = (real)(abs_(x[j]) - lambd[j]);
    return d;
}
PLAIN(softshrink)
{
    const vector t = vector_size(x);
    vector d = t - k->hi[0];
    if (CACT_REAL == 32 && !all_below(vector_size(k->lo[0]), FLT_TRUE_MIN)) {
        double lambd[VECTOR];
        memcpy(lambd, &k->p[0], sizeof lambd);
        d = size_beyond(x, lambd);
    }
    return (floats){.f = with_sign_of(positive(d), x), .df = step(t, greatest_not_above(&k->p[0], k->hi[0]))};
}
FROM_OUTPUT(softshrink) { return y != 0 ? 1 : 0; }
#endif
ROW_Y_PLAIN(softshrink, 1)
