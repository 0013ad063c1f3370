/* softplus(x) = log(1 + e^{bx})/b = max(x, 0) + log(1 + E)/b, E = e^-|bx|;  f' = sigmoid(bx)
 * b > 0; b x is kept to its last bit, or E would lose as many bits as bx has. */
#ifdef BODIES
ACTIVATION(softplus)
{
    num z = product(x, p[0]);
    int left = x < 0;
    int far = abs_(rounded(z)) > FAR;
    exponential e = exp_(pick(far, exact(-FAR), pick(left, z, negative(z))));
    num l = mul(log1p_(e.value), reciprocal(exact(p[0])));
    num r = reciprocal(add_big(exact(1), e.value));
    num right = add(exact(min_(max_(x, 0), DBL_MAX)), l);
    return (dual){
        .f = x > DBL_MAX ? (double)x : left ? rounded(l) * e.tail : rounded(right),
        .df = left ? rounded(mul(e.value, r)) * e.tail : rounded(r),
    };
}
#endif
ROW(softplus, 1)
