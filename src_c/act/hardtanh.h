/* hardtanh(x) = min(max(x, min_val), max_val);  f' = 0 at both ends
 * Measured in ULP, all float32: f 0, f' 0;
 *    12 M float64: f 0, f' 0. */
#ifdef BODIES
PLAIN(hardtanh)
{
    const integers zero = (with_sign_and_zeros_of(&k->p[0]) == 0) | (with_sign_and_zeros_of(&k->p[1]) == 0);
    const vector at_zero = (vector)(~zero & SIGN_BIT); /* f(-0) is -0, but 0 where a bound is 0 */
    return (floats){
        .f = vector_at_most(vector_at_least(x, k->hi[0]), k->hi[1]) + at_zero,
        .df = within(x, greatest_not_above(&k->p[0], k->hi[0]), least_not_below(&k->p[1], k->hi[1]), vector_of(1)),
    };
}
FROM_OUTPUT(hardtanh) { return (y > not_above(p[0])) & (y < not_below(p[1])); }
#endif
ROW_Y_PLAIN(hardtanh, 2)
