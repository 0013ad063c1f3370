/* tanh(x) = -m/(2 + m) sign(x), m = e^{-2|x|} - 1;  f' = 4 (1+m)/(2+m)^2
 * m = (2^k - 1) + 2^k p with p exact to the last bits near 0, so nothing cancels.
 * |f| rounds to 1 from 9.02 (float32), 19.07 (float64); f' is 0 from 52.7, 373.3. */
#ifdef BODIES
ACTIVATION(tanh)
{
    double t = magnitude(x, FAR / 2);
    reduced e = reduce(exact(-2 * t));
    double k = at_least(e.k, -900), s = pow2(k);
    num m = add_big(big_sum(-1, s), scale(e.p, s)); /* the first sum is 0 or the larger */
    num d = add_big(exact(2), m);
    num r = reciprocal(d);
    return (dual){
        .f = __builtin_copysign(rounded(ratio(m, d)), x),
        .df = rounded(mul(mul(scale(one_plus(e.p), 4 * s), r), r)) * pow2_of_difference(e.k, k),
    };
}
#endif
ROW(tanh, 0, HEAVY)
