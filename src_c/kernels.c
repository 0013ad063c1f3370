/* kernels.c - the loops of every activation, built once per instruction set and real type:
 *     cc -DCACT_ISA=v4 -DCACT_REAL=32 -march=x86-64-v4 ...
 * exports one table, cact_v4_32.  Loops see whole blocks of CACT_LANES elements, so the
 * compiler needs no scalar tail; cact_run (dispatch.c) pads the last block. */
#include "cact.h"
#include "real.h"
#include "fine.h"
#if CACT_REAL == 32
#include "vector.h"
#endif

enum { LIGHT = CACT_LIGHT, HEAVY = CACT_HEAVY };

typedef struct {
    real f, df, dp[CACT_MAX_PARAMS]; /* f, df/dx, df/dparameter */
} dual;

/* x s(v) and its derivative s(v) + w s(v) s(-v), w = x v'; y is x clamped to where v may go. */
INLINE dual times_sigmoid(real x, double y, num v, num w)
{
    const logistic l = logistic_(v);
    return (dual){
        .f = x > y ? (double)x : __builtin_copysign(rounded_times(l.s, y) * UNSCALED, x),
        .df = rounded_product(l.s, add(exact(1), mul(w, l.one_minus_s))) * UNSCALED,
    };
}

/* ------------------------------------------------------------------ one pass: bodies and loops */
#define P0(i) {0}
#define P1(i) {p[0][i]}
#define P2(i) {p[0][i], p[1][i]}
#define P3(i) {p[0][i], p[1][i], p[2][i]}
#define P4(i) {p[0][i], p[1][i], p[2][i], p[3][i]}

#define NAN_OR(r) (v != v ? v : (r)) /* also what makes the bits of a NaN the same everywhere */

/* Loads come before stores in every iteration, so that out may be x: hence ivdep, not restrict. */
#if defined(__clang__)
#define IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define IVDEP _Pragma("GCC ivdep")
#endif

#define LOOP(n, parameters, ...)             \
    IVDEP for (size_t i = 0; i < n; i++)     \
    {                                        \
        parameters                           \
        __VA_ARGS__                          \
    }

/* One operation as a loop, its statements over inputs a, b, c, parameters q and outputs o, o1. */
#define OPERATION(name, operation, params, ...)                                                        \
    static void name##_##operation(size_t n, const void *const *in, const double *const *p, int each,  \
                                   void *const *out)                                                   \
    {                                                                                                  \
        const real *a = in[0], *b = in[1], *c = in[2];                                                 \
        real *o = out[0], *o1 = out[1];                                                                \
        (void)b, (void)c, (void)p, (void)o, (void)o1;                                                  \
        n &= ~(size_t)(CACT_LANES - 1);                                                                \
        if (params && each) {                                                                          \
            LOOP(n, const double q[] = P##params(i);, __VA_ARGS__)                                     \
        } else {                                                                                       \
            const double q[CACT_MAX_PARAMS] = P##params(0); /* what depends on them leaves the loop */ \
            LOOP(n, , __VA_ARGS__)                                                                     \
        }                                                                                              \
    }

#define AT(name, x) const real v = x; const dual d = name##_body(v, q);
#define AT_OUTPUT(name, y) const real v = y; const real d = name##_from_output(v, q);

#define BODIES
#define ACTIVATION(name) INLINE dual name##_body(const real x, const double *const p)
#define FROM_OUTPUT(name) INLINE real name##_from_output(const real y, const double *const p)
#define SLOPES(name, params)                                                                           \
    OPERATION(name, grad, params, AT(name, a[i]) o[i] = NAN_OR(d.df);)                                 \
    OPERATION(name, backward, params, AT(name, b[i]) o[i] = a[i] * NAN_OR(d.df);)                      \
    OPERATION(name, param_grad, params,                                                                \
              AT(name, a[i]) for (int k = 0; k < params; k++) ((real *)out[k])[i] = NAN_OR(d.dp[k]);)
#define ROW(name, params, cost)                                                                        \
    SLOPES(name, params)                                                                               \
    OPERATION(name, forward, params, AT(name, a[i]) o[i] = NAN_OR(d.f);)                               \
    OPERATION(name, value_and_grad, params, AT(name, a[i]) o[i] = NAN_OR(d.f); o1[i] = NAN_OR(d.df);)  \
    OPERATION(name, gate, params, AT(name, b[i]) o[i] = a[i] * NAN_OR(d.f);)                           \
    OPERATION(name, gate_backward, params, AT(name, c[i]) const real dy = a[i];                        \
              o1[i] = dy * (b[i] * NAN_OR(d.df)); o[i] = dy * NAN_OR(d.f);)
#define FROM_Y(name, params)                                                                           \
    OPERATION(name, grad_from_output, params, AT_OUTPUT(name, a[i]) o[i] = NAN_OR(d);)                 \
    OPERATION(name, backward_from_output, params, AT_OUTPUT(name, b[i]) o[i] = a[i] * NAN_OR(d);)
#define ROW_Y(name, params, cost) ROW(name, params, cost) FROM_Y(name, params)
#define ROW_FUNCTION(name)

#define CHUNK 256 /* elements worked on at a time, in a buffer on the stack */

/* In float32, values y from tables, a vector at a time, and what else there is from the body. */
#if CACT_REAL == 32
#define TABLED(name) INLINE vector name##_tabled(const vector x)
#define CHUNKS(name, operation, x, ...)                                                                \
    static void name##_##operation(size_t n, const void *const *in, const double *const *p, int each,  \
                                   void *const *out)                                                   \
    {                                                                                                  \
        const double q[CACT_MAX_PARAMS] = {0};                                                         \
        (void)p, (void)each;                                                                           \
        for (size_t start = 0; start < n; start += CHUNK) {                                            \
            const size_t m = n - start < CHUNK ? n - start : CHUNK;                                    \
            const real *a = in[0], *b = in[1], *c = in[2];                                             \
            real *o = out[0], *o1 = out[1], y[CHUNK];                                                  \
            (void)a, (void)b, (void)c, (void)o1;                                                       \
            name##_values(m, x + start, y);                                                            \
            IVDEP for (size_t i = start; i < start + m; i++)                                           \
            {                                                                                          \
                AT(name, x[i])                                                                         \
                const real f = y[i - start];                                                           \
                __VA_ARGS__                                                                            \
            }                                                                                          \
        }                                                                                              \
    }
#define ROW_TABLED(name, cost)                                                                         \
    static void name##_values(size_t n, const real *x, real *y)                                        \
    {                                                                                                  \
        for (size_t i = 0; i < n; i += VECTOR) {                                                       \
            const vector v = vector_at(x + i), r = where(v == v, name##_tabled(v), v);                 \
            memcpy(y + i, &r, sizeof r);                                                               \
        }                                                                                              \
    }                                                                                                  \
    static void name##_forward(size_t n, const void *const *in, const double *const *p, int each,      \
                               void *const *out)                                                       \
    {                                                                                                  \
        (void)p, (void)each;                                                                           \
        name##_values(n, in[0], out[0]);                                                               \
    }                                                                                                  \
    SLOPES(name, 0)                                                                                    \
    CHUNKS(name, value_and_grad, a, o[i] = f; o1[i] = NAN_OR(d.df);)                                   \
    CHUNKS(name, gate, b, (void)d; o[i] = a[i] * f;)                                                   \
    CHUNKS(name, gate_backward, c, const real dy = a[i];                                               \
           o1[i] = dy * (b[i] * NAN_OR(d.df)); o[i] = dy * f;)
#else
#define ROW_TABLED(name, cost) ROW(name, 0, cost)
#endif
#define ROW_Y_TABLED(name, cost) ROW_TABLED(name, cost) FROM_Y(name, 0)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "activations.h"
#pragma GCC diagnostic pop
#undef BODIES
#undef ROW
#undef ROW_Y
#undef ROW_TABLED
#undef ROW_Y_TABLED
#undef ROW_FUNCTION

#include "rows.h"

/* ------------------------------------------------------------------ another pass: the table */
#define ENTRY(name, params, cost, ...)                                                                 \
    {#name, params, 0, cost,                                                                           \
     {name##_forward, name##_grad, name##_backward, name##_value_and_grad, params ? name##_param_grad : 0, \
      __VA_ARGS__, name##_gate, name##_gate_backward}, {0, 0}},
#define ROW(name, params, cost) ENTRY(name, params, cost, 0, 0)
#define ROW_Y(name, params, cost) ENTRY(name, params, cost, name##_grad_from_output, name##_backward_from_output)
#define ROW_TABLED(name, cost) ROW(name, 0, cost)
#define ROW_Y_TABLED(name, cost) ROW_Y(name, 0, cost)
#define ROW_FUNCTION(name) {#name, 0, 1, HEAVY, {0}, {name##_row, name##_row_backward}},

#define PASTE(a, b, c) a##_##b##_##c
#define TABLE(isa, bits) PASTE(cact, isa, bits)

extern const cact_kernels TABLE(CACT_ISA, CACT_REAL)[];
const cact_kernels TABLE(CACT_ISA, CACT_REAL)[] = {
#include "activations.h"
    {0, 0, 0, 0, {0}, {0, 0}},
};
