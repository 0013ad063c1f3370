/* softplus(x) = log(1 + e^{bx})/b = max(x, 0) + log(1 + E)/b, E = e^-|bx|;  f' = sigmoid(bx)
 * b > 0; b x is kept to its last bit, or E would lose as many bits as bx has. */
#ifdef BODIES
ACTIVATION(softplus)
{
    mask left = is_negative(x);
    num z = product(clamped(x, (real)(FAR / p[0])), p[0]);
    exponential e = exp_(pick(left, z, negative(z)));
    logistic l = logistic_(z);
    num f = add(exact(choose(left, 0, magnitude(x, sizeof(real) == 4 ? FLT_MAX : (real)DBL_MAX))), mul(log1p_(e.value), reciprocal(exact(p[0]))));
    return (dual){
        .f = x > DBL_MAX ? (double)x : rounded(f) * choose(left, e.tail, 1),
        .df = rounded(l.s) * l.s_tail,
    };
}
#endif
ROW(softplus, 1, HEAVY)
