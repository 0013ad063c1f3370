/* relu(x) = max(x, 0);  f'(0) = 0 */
#ifdef BODIES
ACTIVATION(relu)
{
    return (dual){.f = x > 0 ? x : 0, .df = x > 0 ? 1 : 0};
}
#endif
ROW(relu, 0, LIGHT)
