/* silu(x) = x s(x), s = sigmoid;  f' = s(x) + x s(x) s(-x)
 * f' crosses zero at -1.2784645427610737951. */
#ifdef BODIES
ACTIVATION(silu)
{
    static const double c[] = {
        0x1.2c563458cc0adp-3, 0x1.353eb573ca457p-6, -0x1.f2d0e32bc2994p-7, -0x1.b0f82c498fd2fp-8,
        0x1.098e92b8f076dp-13, 0x1.a2a7caf0ee747p-11, 0x1.8574d136d4cb4p-13, -0x1.57238dca12615p-15,
        -0x1.f2d8976600f6fp-16, -0x1.8af40fd30a2bcp-19, 0x1.3ae0f751df483p-19, 0x1.cdb14ef8f6491p-21};
    const double v = between(x, LOGISTIC_LEFT, LOGISTIC_RIGHT);
    dual d = times_sigmoid(x, v, exact(v), exact(v));
    d.df = beside_root(x, d.df, -0x1.474973c84120bp+0, -0x1.f8d74bc9ac154p-54, 0x1.be1410460527fp-3,
                       -0x1.2541062177473p-58, c);
    return d;
}
#endif
ROW(silu, 0, HEAVY)
