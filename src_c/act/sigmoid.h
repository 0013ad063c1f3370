/* sigmoid(x) = 1/(1 + e^-x);  f' = s(x) s(-x)
 * Both from s(-|x|), which is 1 - s(|x|) without cancellation.
 * s(-|x|) leaves the subnormals at |x| = 103.98 (float32), 745.14 (float64).
 * Measured in ULP, all float32: f 0.8886 at -7.03948593, f' 0.7448 at 7.73058891;
 *    12 M float64: f 0.9147 at -276.232338, f' 1.48 at 4.83745726. */
#ifdef BODIES
ACTIVATION(sigmoid)
{
    const logistic l = logistic_(exact(-magnitude(x, FAR)));
    return (dual){
        .f = x < 0 ? rounded(l.s) * UNSCALED : rounded(l.one_minus_s),
        .df = rounded_product(l.s, l.one_minus_s) * UNSCALED,
    };
}
FROM_OUTPUT(sigmoid) { return y * (1 - y); }
#if CACT_REAL == 32
#include "../tables/sigmoid.h"
#include "../tables/sigmoid_grad.h"
INLINE vector sigmoid_on_pieces(vector x, row_places found)
{
    const vector s = on_pieces(&sigmoid_pieces, 5, vector_magnitude(x, 17.7f), found);
    return vector_size(where(x < 0, vector_of(0), vector_of(1)) - s);
}

FLOATS(sigmoid, 17.7f, 15.7f)
{
    return (floats){
        .f = sigmoid_on_pieces(x, of_f),
        .df = on_pieces(&sigmoid_grad_pieces, 6, vector_size(x), of_df),
        .f_at = -x,
        .df_at = vector_size(x),
    };
}
#else
DOUBLES(sigmoid, 708, 708)
{
    const vector t = vector_size(x), s = sigmoid_of_minus(t);
    return (doubles){.f = where_negative(x, s, 1 - s), .df = vector_fma(-s, s, s), .f_at = t, .df_at = t};
}
#endif
#endif
ROW_Y_VECTORS(sigmoid, HEAVY)
