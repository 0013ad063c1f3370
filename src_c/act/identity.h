/* identity(x) = x */
#ifdef BODIES
ACTIVATION(identity)
{
    return (dual){.f = x, .df = 1};
}
#endif
ROW(identity, 0, LIGHT)
