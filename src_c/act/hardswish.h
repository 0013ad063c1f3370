/* hardswish(x) = x min(max(x/6 + 1/2, 0), 1) = x (x + 3)/6 from -3 to 3;  f' = (2x + 3)/6
 * Howard et al. 2019, arXiv:1905.02244
 * x + 3 and 2x + 3 are exact, also beside their roots.  f'(-3) = 0, f'(3) = 1. */
#ifdef BODIES
ACTIVATION(hardswish)
{
    const num sixth = pair(0x1.5555555555555p-3, 0x1.5555555555555p-57);
    const double y = x > -3 ? x < 3 ? x : 3 : -3;
    const double f = rounded(mul(times(sum(y, 3), y), sixth)), df = rounded(mul(sum(2 * y, 3), sixth));
    return (dual){
        .f = x < 3 ? __builtin_copysign(f, x) : (double)x,
        .df = x > -3 ? x < 3 ? df : 1 : 0,
    };
}
#endif
ROW(hardswish, 0, LIGHT)
