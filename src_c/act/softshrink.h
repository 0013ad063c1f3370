/* softshrink(x) = sign(x) max(|x| - lambd, 0);  f'(+-lambd) = 0
 * In float32 the difference is a float's where lambd is a float, else a double's.
 * Measured in ULP, all float32: f 0.5 at 8388609, f' 0;
 *    12 M float64: f 0.5 at 7.13922233e+15, f' 0. */
#ifdef BODIES
ACTIVATION(softshrink)
{
    const real lambd = not_above(p[0]), t = magnitude(x, (real)INFINITY);
    const real d = lambd == p[0] ? t - lambd : (real)(t - p[0]);
    const real f = t > lambd ? d : 0;
    return (dual){
        .f = sizeof(real) == 4 ? (real)__builtin_copysignf((float)f, (float)x) : (real)__builtin_copysign(f, x),
        .df = t > lambd ? 1 : 0,
    };
}
FROM_OUTPUT(softshrink) { return y != 0 ? 1 : 0; }
#endif
ROW_Y(softshrink, 1, LIGHT)
