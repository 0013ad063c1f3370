/* tanh(x) = -m/(2 + m) sign(x), m = e^{-2|x|} - 1;  f' = 4 s(2x) s(-2x), s = sigmoid
 * m = (2^k - 1) + 2^k p with p exact to the last bits near 0, so nothing cancels.
 * |f| rounds to 1 from 9.02 (float32), 19.07 (float64); f' is 0 from 52.7, 373.3.
 * Measured in ULP, all float32: f 0.9996 at 0.0622501634, f' 0.7723 at 2.43507719;
 *    12 M float64: f 0.8309 at -0.176050628, f' 1.488 at 2.77044203. */
#ifdef BODIES
ACTIVATION(tanh)
{
    const reduced e = reduce(exact(-2 * (double)magnitude(x, FAR / 2)));
    const double s = pow2(at_least(e.k, -900));
    const num m = add_big(big_sum(-1, s), scale(e.p, s)); /* the first sum is 0 or the larger */
    const logistic l = logistic_(exact(-2 * (double)magnitude(x, FAR / 2)));
    return (dual){
        .f = __builtin_copysign(rounded(ratio(m, add_big(exact(2), m))), x),
        .df = rounded_product(l.s, l.one_minus_s) * (4 * UNSCALED),
    };
}
FROM_OUTPUT(tanh) { return (1 - y) * (1 + y); }
#if CACT_REAL == 32
/* t = |x| in 16 intervals, four an octave of 1.6 t + 1: tanh(center) + d P(d), d = t - center, where
 * tanh(center) is nearly a float (tools/tanh_table.py: 2^-26 beside 1, else 2^-29).  1 from 9.375 on. */
#include "../tables/tanh.h"
#include "../tables/tanh_grad.h"
FLOATS(tanh, INFINITY, 8.07f)
{
    const vector t = vector_magnitude(x, 0x1.2bfffep3f);
    piece at = {.i = (integers)vector_fma(vector_of(1.6f), t, vector_of(1)) >> 21};
    find_rows(&at, tanh_rows, sizeof tanh_rows[0], 15, of_f);
    const vector d = t - column_of_16(tanh_rows, at, 0);
    vector p = column_of_16(tanh_rows, at, 7);
    for (int k = 6; k >= 2; k--)
        p = vector_fma(p, d, column_of_16(tanh_rows, at, k));
    return (floats){
        .f = with_sign_of(vector_fma(p, d, column_of_16(tanh_rows, at, 1)), x),
        .df = on_pieces(&tanh_grad_pieces, 6, vector_size(x), of_df),
        .f_at = vector_size(x),
        .df_at = vector_size(x),
    };
}
#else
DOUBLES(tanh, INFINITY, 354)
{
    const vector t = vector_size(x), s = sigmoid_of_minus(2 * t);
    const tanh_parts f = tanh_of(tanh_argument(t));
    return (doubles){
        .f = with_sign_of(vector_fma(f.r, f.y, f.q), x),
        .df = 4 * vector_fma(-s, s, s),
        .f_at = t,
        .df_at = t,
    };
}
#endif
#endif
ROW_Y_VECTORS(tanh, HEAVY)
