/* plain.h - cheap functions: nothing but vectors of f, f' and df/dparameters, of any x, and no body.
 *
 * Of the parameters they take hi + lo, the nearest real numbers and what is left (in float64 nothing).  Where these
 * are the same for all elements, what is made of them leaves the loop. */
typedef double parameter __attribute__((vector_size(VECTOR * sizeof(double))));
/* By parts as large as a register: gcc would copy a whole one by smaller stores, which the loads then wait for. */
typedef double parameter_part __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef struct {
    parameter p[2];
    vector hi[2], lo[2];
} parameters;

#if CACT_REAL == 32
INLINE precise parameter_half(const parameter *p, int upper) /* the lower or upper */
{
    return ((const parameter_part *)p)[upper];
}
#endif

INLINE void split(const parameter *p, vector *hi, vector *lo)
{
#if CACT_REAL == 32
    *hi = __builtin_convertvector(*p, vector);
    *lo = __builtin_convertvector(*p - __builtin_convertvector(*hi, parameter), vector);
#else
    *hi = *p;
    *lo = vector_of(0);
#endif
}

INLINE void take_parameters(parameters *k, int params, const double *const *p, int each, size_t i)
{
    for (int m = 0; m < params; m++) {
        if (each)
            for (size_t j = 0; j < sizeof(parameter) / sizeof(parameter_part); j++)
                ((parameter_part *)&k->p[m])[j] = ((const parameter_part *)(p[m] + i))[j];
        else
            k->p[m] = p[m][0] - (parameter){0};
        split(&k->p[m], &k->hi[m], &k->lo[m]);
    }
}

/* As reals, which would make zeros of the smallest doubles.  By pointer: registers hold no such vector. */
INLINE vector with_sign_and_zeros_of(const parameter *p) { return __builtin_convertvector(*p * 0x1p1000, vector); }

/* As not_above() and not_below() in real.h. */
INLINE vector greatest_not_above(const parameter *p, vector hi)
{
#if CACT_REAL == 32
    const parameter rest = *p - __builtin_convertvector(hi, parameter);
    const integers above = with_sign_and_zeros_of(&rest) < 0;
    return (vector)((integers)hi - (above & (1 | (integers)hi >> 31)));
#else
    return (void)p, hi;
#endif
}

INLINE vector least_not_below(const parameter *p, vector hi)
{
    const parameter negated = -*p;
    return -greatest_not_above(&negated, -hi);
}

/* A function is one PLAIN(name), of x and the parameters k.  Where these repeat, what is made of a vector of them serves
 * all rows; the last of a row may overlap the one before. */
#define PLAIN(name) INLINE floats name##_plain(const vector x, const parameters *const k)

#define PLAIN_LOOP(by_four, load, name, operation, params, at, ...)                                    \
    INLINE void name##_##operation##_lanes(size_t n, const void *const *in, const double *const *p,    \
                                           const int each, size_t period, void *const *out)            \
    {                                                                                                  \
        const real *a = in[0], *b = in[1], *c = in[2];                                                 \
        real *o = out[0], *o1 = out[1];                                                                \
        (void)a, (void)b, (void)c, (void)o, (void)o1;                                                  \
        const size_t columns = each ? period : VECTOR;                                                 \
        for (size_t first = 0; first < columns; first += VECTOR) {                                     \
            const size_t place = first + VECTOR <= columns ? first : columns - VECTOR;                 \
            parameters k;                                                                              \
            take_parameters(&k, params, p, each, place);                                               \
            by_four for (size_t i = place; i < n; i += columns)                                        \
            {                                                                                          \
                const vector x = load(at + i);                                                         \
                const floats d = name##_plain(x, &k);                                                  \
                __VA_ARGS__                                                                            \
            }                                                                                          \
        }                                                                                              \
    }                                                                                                  \
    static void name##_##operation(size_t n, const void *const *in, const double *const *p, int each,  \
                                   void *const *out)                                                   \
    {                                                                                                  \
        if (params && each)                                                                            \
            name##_##operation##_lanes(n, in, p, 1, each > 1 ? (size_t)each : n, out);                 \
        else                                                                                           \
            name##_##operation##_lanes(n, in, p, 0, 0, out);                                           \
    }
/* One result, and several: these are stored between the loads, and want neither (a quarter slower, Sapphire Rapids). */
#define ONE_LOOP(...) PLAIN_LOOP(BY_FOUR, loaded, __VA_ARGS__)
#define MANY_LOOP(...) PLAIN_LOOP(, vector_at, __VA_ARGS__)
#define PLAIN_LOOPS(name, params)                                                                      \
    ONE_LOOP(name, forward, params, a, put(o + i, d.f);)                                               \
    ONE_LOOP(name, grad, params, a, put(o + i, d.df);)                                                 \
    ONE_LOOP(name, backward, params, b, put(o + i, vector_at(a + i) * d.df);)                          \
    MANY_LOOP(name, value_and_grad, params, a, put(o + i, d.f); put(o1 + i, d.df);)                    \
    MANY_LOOP(name, param_grad, params, a, for (int m = 0; m < params; m++)                            \
              put((real *)out[m] + i, or_nan(d.dp[m], x));)                                            \
    MANY_LOOP(name, learn, params, b, const vector dy = vector_at(a + i);                              \
              for (int m = 0; m < params; m++) put((real *)out[1 + m] + i, dy * or_nan(d.dp[m], x));   \
              put(o + i, dy * d.df);)                                                                  \
    ONE_LOOP(name, gate, params, b, put(o + i, vector_at(a + i) * d.f);)                               \
    MANY_LOOP(name, gate_backward, params, c, const vector dy = vector_at(a + i);                      \
              const vector value = vector_at(b + i); put(o1 + i, dy * (value * d.df));                 \
              put(o + i, dy * d.f);)
#define ROW_PLAIN(name, params) PLAIN_LOOPS(name, params)
#define ROW_Y_PLAIN(name, params) PLAIN_LOOPS(name, params) FROM_Y(name, params)

/* ------------------------------------------------------------------ leaky_relu and its like
 * x, and a x where the sign of x is set. */
/* For slopes that are 0, or in float32 so large or small that hi or lo are not normal */
static __attribute__((noinline)) vector sloped_rarely(const vector x, const double *a)
{
    vector f;
    for (int j = 0; j < VECTOR; j++)
        f[j] = x[j] < 0 ? proportional(x[j], a[j]) : __builtin_signbit(x[j]) ? (real)(x[j] * a[j]) : x[j];
    return f;
}

/* x (hi + lo).  With lo of hi's sign and not 0 no infinite x makes inf - inf, and the zero of -0 has the sign it should. */
INLINE vector times_pair(vector x, vector hi, vector lo) { return vector_fma(x, hi, x * lo); }

#if CACT_REAL == 32
/* a = hi + lo as times_pair() wants them: hi of a slightly reduced, its last bits cut off */
INLINE void split_inwards(const parameter *a, vector *hi, vector *lo)
{
    typedef int64_t bits __attribute__((vector_size(sizeof *a)));
    const parameter inner = (parameter)((bits)(*a * (1 - 0x1p-24)) & -((int64_t)1 << 29));
    *hi = __builtin_convertvector(inner, vector);
    *lo = __builtin_convertvector(*a - inner, vector);
}

INLINE vector times_pair_of(vector x, const parameter *a)
{
    vector hi, lo;
    split_inwards(a, &hi, &lo);
    return times_pair(x, hi, lo);
}
#endif

INLINE int usual_slope(vector slope) /* see proportional() */
{
    const vector size = vector_size(slope);
    const real least = CACT_REAL == 32 ? (real)0x1p-60 : 0, most = CACT_REAL == 32 ? (real)0x1p60 : (real)INFINITY;
    return all_below(-size, -least) && all_below(size, most);
}

INLINE vector sloped_usually(vector x, const parameter *a)
{
#if CACT_REAL == 32
    return where_negative(x, times_pair_of(x, a), x);
#else
    return where_negative(x, x * *a, x);
#endif
}

INLINE vector sloped(vector x, const parameter *a, vector slope)
{
    return usual_slope(slope) ? sloped_usually(x, a) : sloped_rarely(x, (const double *)a); /* which it may alias */
}

INLINE vector slope_at(vector x, vector a)
{
    return or_nan(select_where(IS_ABOVE(x, vector_of(0)), vector_of(1), a), x);
}
