/* lanes.c - float32 results over all floats, against those of the same activation's body in double before
 * it is rounded (src_c/kernels.c: what serves where float lanes do not).  Those are off by some 2^-8 ULP of a
 * float at most, and were held against the reference for every float when they were all that there was. */
#define CACT_RESULT double
#define CACT_ISA body
#define CACT_REAL 32
#include "../src_c/kernels.c"

#undef ROW
#undef ROW_Y
#undef ROW_PLAIN
#undef ROW_Y_PLAIN
#undef ROW_FLOATS
#undef ROW_Y_FLOATS
#undef ROW_FLOATS_USUAL
#undef ROW_Y_FLOATS_USUAL
#undef ROW_DOUBLES
#undef ROW_VECTORS
#undef ROW_Y_VECTORS_USUAL
#undef ROW_Y_VECTORS
#undef ROW_VECTORS_USUAL
#undef ROW_VECTORS_LEARNT
#undef ROW_FLOATS_LEARNT
#undef ROW_FUNCTION
#undef PIECES_FUNCTION

typedef void body(size_t n, const float *x, const double *p, double *f, double *df);
#define ROW(name, params, cost)                                                                          \
    static void name##_all(size_t n, const float *x, const double *p, double *f, double *df)             \
    {                                                                                                    \
        IVDEP for (size_t i = 0; i < n; i++)                                                             \
        {                                                                                                \
            const dual d = name##_body(x[i], p);                                                         \
            f[i] = x[i] != x[i] ? x[i] : d.f;                                                            \
            df[i] = x[i] != x[i] ? x[i] : d.df;                                                          \
        }                                                                                                \
    }
#define ROW_Y ROW
#define ROW_PLAIN(name, params) /* have no body */
#define ROW_Y_PLAIN(name, params)
#define ROW_FLOATS(name, cost) ROW(name, 0, cost)
#define ROW_Y_FLOATS ROW_FLOATS
#define ROW_FLOATS_USUAL(name, params, cost, ...) ROW(name, params, cost)
#define ROW_Y_FLOATS_USUAL ROW_FLOATS_USUAL
#define ROW_DOUBLES ROW_FLOATS
#define ROW_VECTORS ROW_FLOATS
#define ROW_Y_VECTORS ROW_FLOATS
#define ROW_VECTORS_USUAL ROW_FLOATS_USUAL
#define ROW_Y_VECTORS_USUAL ROW_FLOATS_USUAL
#define ROW_VECTORS_LEARNT ROW_FLOATS_USUAL
#define ROW_FLOATS_LEARNT ROW_FLOATS_USUAL
#define ROW_FUNCTION(name)
#define PIECES_FUNCTION(name, params, side)
#include "activations.h"
#undef ROW
#define ROW(name, params, cost) {#name, name##_all},
static const struct {
    const char *name;
    body *all;
} bodies[] = {
#include "activations.h"
    {0, 0},
};

/* As in sweep.c. */
typedef struct {
    uint64_t n, wrong, above, not_nan;
    double max, worst;
} found;

#define AT_ONCE 4096

static void compare(found *s, const float *x, const float *r, const double *v)
{
    int64_t most = 0, wrong = 0, above = 0, not_nan = 0;
    int64_t errors[AT_ONCE]; /* as bits, which compare as they do */
    IVDEP for (int i = 0; i < AT_ONCE; i++)
    {
        const double a = __builtin_fabs(v[i]), normal = a < 0x1p-126 ? 0x1p-126 : a;
        const uint64_t twice = (uint64_t)(1023 + 23 + 1023) << 52;
        const double per_ulp = from_bits(twice - (to_bits(normal) & 0x7ff0000000000000));
        const int ordinary = a < 0x1p128 && __builtin_fabsf(r[i]) <= FLT_MAX;
        const double error = ordinary ? __builtin_fabs(r[i] - v[i]) * per_ulp : 0;
        errors[i] = (int64_t)to_bits(error);
        wrong += error > 0.5;
        above += error > 1;
        not_nan += ((r[i] != r[i]) != (v[i] != v[i])) | (!ordinary && r[i] != (float)v[i] && v[i] == v[i]);
        most = errors[i] > most ? errors[i] : most;
    }
    s->n += AT_ONCE;
    s->wrong += (uint64_t)wrong;
    s->above += (uint64_t)above;
    s->not_nan += (uint64_t)not_nan;
    for (int i = 0; i < AT_ONCE && from_bits((uint64_t)most) > s->max; i++)
        if (errors[i] == most) {
            s->max = from_bits((uint64_t)most);
            s->worst = x[i];
        }
}

/* f and f' of `count` floats from the one whose bits are `first`; 0, or -1: no such activation */
int by_lanes(const char *name, const cact_kernels *table, uint32_t first, uint64_t count, const double *p,
             found *s)
{
    int k = 0;
    while (bodies[k].name && strcmp(bodies[k].name, name))
        k++;
    while (table->name && strcmp(table->name, name))
        table++;
    if (!bodies[k].name || !table->name)
        return -1;
    const double *const each[CACT_MAX_PARAMS] = {p, p + 1, p + 2, p + 3};
    for (uint64_t done = 0; done < count; done += AT_ONCE) {
        float x[AT_ONCE], y[AT_ONCE], dy[AT_ONCE];
        double f[AT_ONCE], df[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            const uint32_t bits = first + (uint32_t)(done + (uint64_t)i);
            memcpy(x + i, &bits, 4);
        }
        table->loop[CACT_VALUE_AND_GRAD](AT_ONCE, (const void *[]){x}, each, 0, (void *[]){y, dy});
        bodies[k].all(AT_ONCE, x, p, f, df);
        compare(&s[0], x, y, f);
        compare(&s[1], x, dy, df);
    }
    return 0;
}
