/* prelu(x) = x above 0, weight x elsewhere;  f'(0) = weight;  df/dweight = min(x, 0) */
#ifdef BODIES
ACTIVATION(prelu)
{
    real w = (real)p[0];
    return (dual){
        .f = x > 0 ? x : scaled(x, w, (real)(p[0] - w)),
        .df = x > 0 ? 1 : w,
        .dp = {x < 0 ? x : 0},
    };
}
#endif
ROW(prelu, 1, LIGHT)
