/* hardshrink(x) = x where |x| > lambd, 0 (of x's sign) elsewhere;  f'(+-lambd) = 0
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
PLAIN(hardshrink)
{
    const vector t = vector_size(x), lambd = greatest_not_above(&k->p[0], k->hi[0]);
    return (floats){.f = with_sign_of(kept(IS_ABOVE(t, lambd), x), x), .df = step(t, lambd)};
}
FROM_OUTPUT(hardshrink) { return y != 0 ? 1 : 0; }
#endif
ROW_Y_PLAIN(hardshrink, 1)
