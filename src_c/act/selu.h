/* selu(x) = l x above 0, l a (e^x - 1) elsewhere;  f' = l, l a e^x;  f'(0) = l a
 * l = 1.0507009873554804934..., a = 1.6732632423543772848...  (Klambauer et al. 2017), as
 * pairs of doubles; the rest as elu. */
#ifdef BODIES
ACTIVATION(selu)
{
    const num la = pair(0x1.c212cc640f031p+0, 0x1.05161b045a1fep-56);
    const double l = 0x1.0cfabd6a91132p+0, l_low = 0x1.6fc7d272f2695p-55;
    reduced e = reduce(exact(-(double)magnitude(x, FAR)));
    double k = at_least(e.k, -900), s = pow2(k);
    num sp = scale(e.p, s);
    /* 2^k - 1 is 0 or the larger */
    num f = mul(add_big(big_sum(-1, s), sp), la);
    num df = mul(scale(one_plus(e.p), s), la);
    real l_real = (real)l, l_rest = (real)(sizeof(real) == 4 ? l - l_real : l_low);
    return (dual){
        .f = x > 0 ? scaled(x, l_real, l_rest) : rounded(f),
        .df = x > 0 ? l : rounded(df) * pow2_of_difference(e.k, k),
    };
}
#endif
ROW(selu, 0, HEAVY)
