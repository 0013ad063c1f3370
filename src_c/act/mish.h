/* mish(x) = x tanh(log(1 + e^x))                          Misra 2019, arXiv:1908.08681
 * With u = e^x and w = u(u+2):  tanh(log(1+u)) = w/(w+2), f' = w/(w+2) + 4x u(1+u)/(w+2)^2.
 * Above 0 both fractions are divided by u^2, so that E = e^-|x| <= 1 stands for u or 1/u:
 *     n/d = E(E+2)/(E(E+2)+2), or (1+2E)/(1+2E+2E^2);   f' = n/d + 4x (1+E)/d^2 (E or E^2).
 * f' crosses zero at -1.1924312145154952121. */
#ifdef BODIES
ACTIVATION(mish)
{
    static const double c[] = {
        0x1.a34a251d8ad7bp-3, 0x1.574f121a868dbp-5, -0x1.4c222fe64d4fbp-6, -0x1.03369d4ac90fap-6,
        -0x1.b87ddfb51b745p-9, 0x1.1e5e184a0fe00p-10, 0x1.03799182b217fp-10, 0x1.0a7954e868670p-12,
        -0x1.5fffa067220abp-15, -0x1.d453aef9813d0p-15, -0x1.223bcd6871175p-16, 0x1.fa20aae0364c5p-21};
    int left = x < 0;
    double y = max_(min_(x, FAR), -FAR);
    exponential e = exp_(exact(-abs_(y)));
    num e2 = mul(e.value, e.value), two_e = times(e.value, 2);
    num n = pick(left, add(e2, two_e), add_big(exact(1), two_e));
    num d = pick(left, add_big(exact(2), n), add_big(n, times(e2, 2)));
    num r = reciprocal(d), t = mul(n, r);
    num g = times(mul(mul(pick(left, e.value, e2), add_big(exact(1), e.value)), mul(r, r)), 4 * y);
    double scale = left ? e.tail : 1;
    double df = rounded(add(t, g)) * scale;
    return (dual){
        .f = x > 100 ? (double)x : rounded(times(t, y)) * scale,
        .df = beside_root(x, df, -0x1.31432c0d12d84p+0, -0x1.bf319154da210p-55, 0x1.115acb42500bbp-2,
                          0x1.1ad72de557d4cp-56, c),
    };
}
#endif
ROW(mish, 0)
