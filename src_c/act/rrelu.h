/* rrelu(x) = x above 0, a x elsewhere, a = (lower + upper)/2;  f'(0) = a     Xu et al. 2015, arXiv:1505.00853
 * In training lower and upper are both the slope that was drawn, and so is a.  a is kept as a pair
 * (halved before or after the sum, so that neither overflows or loses its last bit).
 * Measured in ULP, all float32: f 0.9583 at -2.9387412e-38, f' 0.3333 at 0;
 *    12 M float64: f 0.9805 at -4.37682872e-308, f' 0. */
#ifdef BODIES
#if CACT_REAL == 32
static __attribute__((noinline)) vector rrelu_rarely(const vector x, const parameters *k)
{ /* makes a again: its address, given from the loop, would keep it in memory there, at 0.6 of the speed */
    const parameter a = 0.5 * k->p[0] + 0.5 * k->p[1];
    return sloped_rarely(x, (const double *)&a);
}
PLAIN(rrelu)
{
    const parameter a = 0.5 * k->p[0] + 0.5 * k->p[1];
    const vector slope = __builtin_convertvector(a, vector);
    return (floats){.f = usual_slope(slope) ? sloped_usually(x, &a) : rrelu_rarely(x, k), .df = slope_at(x, slope)};
}
#else
static __attribute__((noinline)) vector rrelu_rarely(const vector x, const vector hi, const vector lo)
{
    vector f;
    for (int j = 0; j < VECTOR; j++) {
        const double most = smaller(DBL_MAX / abs_(hi[j]), DBL_MAX), y = smaller(-x[j], most);
        const double left = x[j] < -most && hi[j] != 0 ? x[j] * hi[j] : -fma_(hi[j], y, lo[j] * y);
        f[j] = x[j] < 0 ? left : __builtin_signbit(x[j]) ? x[j] * hi[j] : x[j];
    }
    return f;
}
PLAIN(rrelu)
{
    const vector one = vector_of(1), half = vector_of(0.5);
    const lanes_mask large = IS_LESS(one, vector_size(k->p[0])); /* halved before the sum, or after it */
    const vector before = select_where(large, half, one), after = select_where(large, one, half);
    const two a = two_add(only(before * k->p[0]), only(before * k->p[1]));
    const vector hi = a.hi * after, lo = a.lo * after, inner = hi - hi * 0x1p-52, size = vector_size(hi);
    const int usual = all_below(-size, -0x1p-900) && all_below(size, 0x1p900);
    return (floats){
        .f = usual ? where_negative(x, times_pair(x, inner, (hi - inner) + lo), x) : rrelu_rarely(x, hi, lo),
        .df = slope_at(x, hi),
    };
}
#endif
#endif
ROW_PLAIN(rrelu, 2)
