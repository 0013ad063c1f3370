/* silu(x) = x s(x), s = sigmoid;  f' = s(x) + x s(x) s(-x)
 * f' crosses zero at -1.2784645427610737951.
 * Measured in ULP, all float32: f 0.9919 at -13.823802, f' 0.8833 at -0.637099683;
 *    12 M float64: f 0.7907 at 1.05656015, f' 1.58 at -3.82919466. */
#ifdef BODIES
ACTIVATION(silu)
{
    const double v = between(x, LOGISTIC_LEFT, LOGISTIC_RIGHT);
    dual d = times_sigmoid(x, v, exact(v), exact(v));
    d.df = beside_root(x, d.df, SILU_ROOT, SILU_SERIES);
    return d;
}
#if CACT_REAL == 32
#include "../tables/silu_grad.h"
/* x^2 s(x) s(-x) */
INLINE vector square_times_sigmoid_grad(vector x, row_places found)
{
    return on_pieces_times_square(&sigmoid_grad_pieces, 6, vector_size(x), x, found);
}

INLINE vector silu_grad_left(vector x, row_places found) /* f'(-|x|) */
{
    return on_pieces_with_root(&silu_grad_pieces, 6, vector_size(x), found);
}

FLOATS(silu, 17.7f, 17.4f)
{
    const vector g = silu_grad_left(x, of_df);
    return (floats){
        .f = with_sign_of(positive(x) - on_pieces_times(&sigmoid_pieces, 5, vector_magnitude(x, 17.7f), of_f), x), /* of 0 */
        .df = reflected(g, x),
        .f_at = -x,
        .df_at = vector_size(x),
    };
}
#else
DOUBLES(silu, 708, 36)
{
    const vector t = vector_size(x), g = times_sigmoid_slope(only(t), only(t)).hi;
    return (doubles){
        .f = times_sigmoid_of(x, only(t)),
        .df = where_negative(x, g, 1 - g),
        .f_at = t,
        .df_at = t,
        .root = root_at(x, vector_of(0), SILU_ROOT, SILU_SERIES),
    };
}
#endif
#endif
ROW_VECTORS(silu, HEAVY)
