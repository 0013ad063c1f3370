/* quick_gelu(x) = x s(1.702 x), s = sigmoid                Hendrycks & Gimpel 2016, arXiv:1606.08415
 * v = 1.702 x with the decimal as hi + lo.  f' = silu'(v) crosses zero at -0.75115425544128895130.
 * Measured in ULP, all float32: f 0.9677 at -6.47587347, f' 0.8897 at -0.374928921;
 *    12 M float64: f 0.8005 at 0.616806718, f' 1.619 at -0.677039926. */
#ifdef BODIES
ACTIVATION(quick_gelu)
{
    const double hi = 0x1.b3b645a1cac08p+0, lo = 0x1.89374bc6a7efap-55;
    const double y = between(x, (real)(LOGISTIC_LEFT / 1.702), (real)(LOGISTIC_RIGHT / 1.702));
    const fine v = fine_times((fine){hi, lo}, y);
    dual d = times_sigmoid(x, y, num_of(v), num_of(v));
    d.df = beside_silu_root(v, d.df);
    return d;
}
#if CACT_REAL == 32
#include "../tables/quick_gelu.h"
#include "../tables/quick_gelu_grad.h"
FLOATS(quick_gelu, 10.4f, 10.2f)
{
    const vector g = on_pieces_with_root(&quick_gelu_grad_pieces, 6, vector_size(x), of_df);
    return (floats){
        .f = with_sign_of(positive(x) - on_pieces_times(&quick_gelu_pieces, 5, vector_magnitude(x, 10.4f), of_f), x), /* of 0 */
        .df = reflected(g, x),
        .f_at = -x,
        .df_at = vector_size(x),
    };
}
#else
DOUBLES(quick_gelu, 415, 21)
{
    const vector t = vector_size(x);
    const two v = two_times(two_of(0x1.b3b645a1cac08p+0, 0x1.89374bc6a7efap-55), t);
    const vector g = times_sigmoid_slope(v, v).hi;
    return (doubles){
        .f = times_sigmoid_of(x, v),
        .df = where_negative(x, g, 1 - g),
        .f_at = t,
        .df_at = t,
        .root = root_at(with_sign_of(v.hi, x), where_negative(x, -v.lo, v.lo), SILU_ROOT, SILU_SERIES),
    };
}
#endif
#endif
ROW_VECTORS(quick_gelu, HEAVY)
