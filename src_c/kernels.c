/* kernels.c - the loops of every activation, built once per instruction set and real type:
 *     cc -DCACT_ISA=v4 -DCACT_REAL=32 -march=x86-64-v4 ...
 * exports one table, cact_v4_32.  Loops see whole blocks of CACT_LANES elements, so the
 * compiler needs no scalar tail; cact_run (dispatch.c) pads the last block. */
#if CACT_REAL == 64 && !defined(__clang__)
#pragma GCC optimize("schedule-insns", "sched-pressure") /* see ABREAST */
#endif
#include "cact.h"
#include "real.h"
#include "fine.h"
#if CACT_REAL == 32
#include "vector.h"
#else
#include "vector_double.h"
#endif
#include "beyond.h"

enum { LIGHT = CACT_LIGHT, HEAVY = CACT_HEAVY };

#ifndef CACT_RESULT /* double, to see what a body has before it is rounded */
#define CACT_RESULT real
#endif
typedef struct {
    CACT_RESULT f, df, dp[CACT_MAX_PARAMS]; /* f, df/dx, df/dparameter */
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
#define BY_FOUR _Pragma("clang loop unroll_count(4)")
#else
#define IVDEP _Pragma("GCC ivdep")
#define BY_FOUR _Pragma("GCC unroll 4")
#endif

#define LOOP(n, parameters, ...)                                                                       \
    IVDEP for (size_t i = 0; i < n; i++)                                                               \
    {                                                                                                  \
        parameters                                                                                     \
        __VA_ARGS__                                                                                    \
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

/* b = a b */
static inline void multiply(size_t n, const real *a, real *b)
{
    IVDEP for (size_t i = 0; i < n; i++)
        b[i] = a[i] * b[i];
}

#define AT(name, x) const real v = x; const dual d = name##_body(v, q);
#define AT_OUTPUT(name, y) const real v = y; const real d = name##_from_output(v, q);

#define BODIES
#define ACTIVATION(name) INLINE dual name##_body(const real x, const double *const p)
#define FROM_OUTPUT(name) INLINE real name##_from_output(const real y, const double *const p)
#define PARAM_GRAD(name, params, suffix)                                                               \
    OPERATION(name, param_grad##suffix, params,                                                        \
              AT(name, a[i]) for (int k = 0; k < params; k++) ((real *)out[k])[i] = NAN_OR(d.dp[k]);)
#define LEARN(name, params, suffix)                                                                    \
    OPERATION(name, learn##suffix, params,                                                             \
              const real dy = a[i]; AT(name, b[i]) o[i] = dy * NAN_OR(d.df);                           \
              for (int k = 0; k < params; k++) ((real *)out[1 + k])[i] = dy * NAN_OR(d.dp[k]);)
/* The same where f' has a loop of its own */
#define LEARN_IN_TURN(name, params)                                                                    \
    static void name##_learn(size_t n, const void *const *in, const double *const *p, int each,        \
                             void *const *out)                                                         \
    {                                                                                                  \
        const void *const x[CACT_MAX_INPUTS] = {in[1]};                                                \
        name##_param_grad(n, x, p, each, out + 1);                                                     \
        for (int k = 1; k <= params; k++) /* before dx, which may be where dy is */                    \
            multiply(n, in[0], out[k]);                                                                \
        name##_backward(n, in, p, each, out);                                                          \
    }
#define OPERATIONS(name, params, suffix)                                                               \
    OPERATION(name, forward##suffix, params, AT(name, a[i]) o[i] = NAN_OR(d.f);)                       \
    OPERATION(name, grad##suffix, params, AT(name, a[i]) o[i] = NAN_OR(d.df);)                         \
    OPERATION(name, backward##suffix, params, AT(name, b[i]) o[i] = a[i] * NAN_OR(d.df);)              \
    OPERATION(name, value_and_grad##suffix, params,                                                    \
              AT(name, a[i]) o[i] = NAN_OR(d.f); o1[i] = NAN_OR(d.df);)                                \
    OPERATION(name, gate##suffix, params, AT(name, b[i]) o[i] = a[i] * NAN_OR(d.f);)                   \
    OPERATION(name, gate_backward##suffix, params, AT(name, c[i]) const real dy = a[i];                \
              o1[i] = dy * (b[i] * NAN_OR(d.df)); o[i] = dy * NAN_OR(d.f);)
#define ROW(name, params, cost) OPERATIONS(name, params, ) PARAM_GRAD(name, params, ) LEARN(name, params, )
#define FROM_Y(name, params)                                                                           \
    OPERATION(name, grad_from_output, params, AT_OUTPUT(name, a[i]) o[i] = NAN_OR(d);)                 \
    OPERATION(name, backward_from_output, params, AT_OUTPUT(name, b[i]) o[i] = a[i] * NAN_OR(d);)
#define ROW_Y(name, params, cost) ROW(name, params, cost) FROM_Y(name, params)
#define ROW_FUNCTION(name)
#define PIECES_FUNCTION(name, params, side)

/* Many have f and f' a vector at a time, too, of floats or doubles, wherever f_at or df_at (|x|, say) is below a
 * reach.  What lies beyond, and NaN, is the body's, and so is all where a parameter is not the usual one: which
 * of the two it is depends on x and the parameters alone.  With the reach EVERYWHERE the lanes serve all, NaN too. */
typedef struct {
    vector f, df, f_at, df_at, dp[3]; /* dp, if any, wherever df is */
#if CACT_REAL == 64
    root_of_slope root;
#endif
} floats, doubles;
#define EVERYWHERE FLT_MAX
#define REACHES(name, f, df) static const real name##_f_reach = (real)(f), name##_df_reach = (real)(df);
#define OF_X const vector x, const row_places of_f, const row_places of_df, const row_places of_dp
#define FLOATS(name, f, df) REACHES(name, f, df) INLINE floats name##_floats(OF_X)
#define DOUBLES(name, f, df) REACHES(name, f, df) INLINE doubles name##_doubles(OF_X)
#if CACT_REAL == 32
#define IN_VECTORS(name) name##_floats
#define IN_BOTH FLOATS
#define SIXTH 0x1.555p-3f /* 1/6 = SIXTH (1 + SIXTH_LACKS) */
#define SIXTH_LACKS 0x1.0004p-14f
#else
#define IN_VECTORS(name) name##_doubles
#define IN_BOTH DOUBLES
#define SIXTH 0x1.55555555p-3
#define SIXTH_LACKS 0x1.000000004p-34
#endif

/* (a x + 3)/6, a = 1 or 2: two roundings of it, also beside its root; of an x of few digits one */
INLINE vector plus_3_by_6(vector x, real a)
{
    const vector v = vector_fma(x, vector_of(a * SIXTH), vector_of(3 * SIXTH));
    return vector_fma(v, vector_of(SIXTH_LACKS), v);
}

/* f, f' or df/dparameters (`part`, `results` of them) of what lies beyond a reach, from the body: found ahead of all
 * stores of the loop, so that out may be x, and taken vector by vector. */
#define BEYOND(name, params, part, results, ...)                                                       \
    static __attribute__((noinline)) void name##_beyond_##part(                                        \
        size_t n, const real *x, const double *const *p, size_t i, beyond *to)                         \
    {                                                                                                  \
        const double q[CACT_MAX_PARAMS] = P##params(0);                                                \
        const size_t end = n - i < LOOKED_THROUGH ? n : i + LOOKED_THROUGH;                            \
        real *last = to->found;                                                                        \
        (void)p;                                                                                       \
        for (; i < end; i += VECTOR) {                                                                 \
            const vector v = vector_at(x + i);                                                         \
            last = appended(last, bits_of(BEYOND_##part(name, IN_VECTORS(name)(v, NOWHERE))), x + i);   \
        }                                                                                              \
        put(last, vector_of(0));                                                                       \
        const size_t count = ((size_t)(last - to->found) + VECTOR - 1) & ~(size_t)(VECTOR - 1);        \
        LOOP(count, AT(name, to->found[i]), __VA_ARGS__)                                               \
        for (int k = 0; k < results; k++)                                                              \
            to[k].next = to[k].found;                                                                  \
        to->end = end;                                                                                 \
    }
#define NOWHERE (row_places){0, NULL}, (row_places){0, NULL}, (row_places){0, NULL} /* nothing is looked up */
#define BEYOND_f(name, d) IS_NOT_LESS((d).f_at, vector_of(name##_f_reach))
#define BEYOND_df(name, d) IS_NOT_LESS((d).df_at, vector_of(name##_df_reach))
#define BEYOND_dp BEYOND_df

/* The same of one vector with parameters of its own. */
#define MENDED(name, params, part)                                                                     \
    static __attribute__((noinline)) vector name##_mended_##part(const vector x, const floats from,    \
                                                                 const double *const *p, size_t i)     \
    {                                                                                                  \
        real r[VECTOR];                                                                                \
        IVDEP for (size_t j = 0; j < VECTOR; j++)                                                      \
        {                                                                                              \
            const double q[CACT_MAX_PARAMS] = P##params(i + j);                                        \
            AT(name, x[j])                                                                             \
            r[j] = NAN_OR(d.part);                                                                     \
        }                                                                                              \
        return select_where(BEYOND_##part(name, from), vector_at(r), from.part);                       \
    }

/* f, f' and df/dparameters (`parts`: 1, 2, 4) of the vector at i; what is needed of the next one's is found before. */
#if defined(ROWS_AHEAD)
#define ROWS uint32_t rows[3][2][VECTOR] __attribute__((aligned(VECTOR_BYTES)));
#define PLACES(ahead, parts, i)                                                                        \
    (row_places){ahead, (parts)&1 ? rows[0][(i) / VECTOR & 1] : NULL},                                 \
    (row_places){ahead, (parts)&2 ? rows[1][(i) / VECTOR & 1] : NULL},                                 \
    (row_places){ahead, (parts)&4 ? rows[2][(i) / VECTOR & 1] : NULL}
#define FIND(name, parts, at, i) (void)IN_VECTORS(name)(vector_at((at) + (i)), PLACES(1, parts, i));
#else
#define ROWS
#define PLACES(ahead, parts, i) NOWHERE
#define FIND(name, parts, at, i)
#endif

/* Two vectors of doubles at once, before any branch on what they are: their steps, each of which waits for the one
 * before, are interleaved (by gcc with -fschedule-insns). */
#define TAKE(name, at, parts, j)                                                                       \
    const vector x##j = loaded(at + first + j * VECTOR);                                               \
    const floats d##j = IN_VECTORS(name)(x##j, PLACES(0, parts, first + j * VECTOR));
#define GIVE(name, params, j, ...)                                                                     \
    {                                                                                                  \
        const size_t i = first + j * VECTOR;                                                           \
        const vector x = x##j;                                                                         \
        floats d = d##j;                                                                               \
        (void)i, (void)x;                                                                              \
        USUAL##params(name)                                                                            \
        __VA_ARGS__                                                                                    \
    }
#if CACT_REAL == 64
#define ABREAST 2
#define TAKE_ALL(name, at, parts) TAKE(name, at, parts, 0) TAKE(name, at, parts, 1)
#define GIVE_ALL(name, params, ...) GIVE(name, params, 0, __VA_ARGS__) GIVE(name, params, 1, __VA_ARGS__)
#else
#define ABREAST 1
#define TAKE_ALL(name, at, parts) TAKE(name, at, parts, 0)
#define GIVE_ALL(name, params, ...) GIVE(name, params, 0, __VA_ARGS__)
#endif

/* One operation as a loop over vectors, x from `at`, its statements over those parts of d, which they ASK for. */
#define FLOAT_LOOP(name, operation, params, at, parts, ...)                                            \
    INLINE void name##_##operation##_lanes(size_t n, const void *const *in, const double *const *p,    \
                                           const int each, void *const *out)                           \
    {                                                                                                  \
        const real *a = in[0], *b = in[1], *c = in[2];                                                 \
        real *o = out[0], *o1 = out[1];                                                                \
        const real *const xs = at;                                                                     \
        beyond f_beyond, df_beyond, dp_beyond[1 + params];                                             \
        f_beyond.end = df_beyond.end = dp_beyond[0].end = 0;                                           \
        (void)a, (void)b, (void)c, (void)o1, (void)xs, (void)f_beyond, (void)df_beyond, (void)dp_beyond; \
        ROWS                                                                                           \
        FIND(name, parts, at, 0)                                                                       \
        for (size_t first = 0; first < n; first += ABREAST * VECTOR) {                                 \
            if (first + VECTOR < n) {                                                                  \
                FIND(name, parts, at, first + VECTOR)                                                  \
            }                                                                                          \
            TAKE_ALL(name, at, parts)                                                                  \
            GIVE_ALL(name, params, __VA_ARGS__)                                                        \
        }                                                                                              \
    }                                                                                                  \
    static void name##_##operation(size_t n, const void *const *in, const double *const *p, int each,  \
                                   void *const *out)                                                   \
    {                                                                                                  \
        UNUSUAL##params(name, operation)                                                               \
        if (params && each)                                                                            \
            name##_##operation##_lanes(n, in, p, 1, out);                                              \
        else                                                                                           \
            name##_##operation##_lanes(n, in, p, 0, out);                                              \
    }
#define UNUSUAL0(name, operation)
#define UNUSUAL1(name, operation)                                                                      \
    if (!each && !name##_has_usual(p, 0)) {                                                            \
        name##_##operation##_body(n, in, p, each, out);                                                \
        return;                                                                                        \
    }
#define UNUSUAL2 UNUSUAL1
#define UNUSUAL3 UNUSUAL1
#define USUAL0(name)
#define USUAL1(name)                                                                                   \
    for (int j = 0; each && j < VECTOR; j++)                                                           \
        if (!name##_has_usual(p, i + (size_t)j))                                                       \
            d.f_at[j] = d.df_at[j] = NAN;
#define USUAL2 USUAL1
#define USUAL3 USUAL1
#if CACT_REAL == 64
#define BESIDE_ROOT d.df = beside(d.root, d.df);
#else
#define BESIDE_ROOT
#endif
#define ASK_SLOPE(name) BESIDE_ROOT ASK(name, df)
#define RARELY(condition) __builtin_expect(condition, 0)
#define ASK(name, part)                                                                                \
    if ((each || name##_##part##_reach != EVERYWHERE) &&                                               \
        RARELY(!all_below(d.part##_at, name##_##part##_reach))) {                                      \
        if (each)                                                                                      \
            d.part = name##_mended_##part(x, d, p, i);                                                 \
        else {                                                                                         \
            if (i >= part##_beyond.end)                                                                \
                name##_beyond_##part(n, xs, p, i, &part##_beyond);                                     \
            d.part = taken(&part##_beyond, BEYOND_##part(name, d), d.part);                            \
        }                                                                                              \
    }
#define FLOAT_LOOPS(name, params)                                                                      \
    BEYOND(name, params, f, 1, to->found[i] = NAN_OR(d.f);)                                            \
    BEYOND(name, params, df, 1, to->found[i] = NAN_OR(d.df);)                                          \
    MENDED(name, params, f)                                                                            \
    MENDED(name, params, df)                                                                           \
    FLOAT_LOOP(name, forward, params, a, 1, ASK(name, f) put(o + i, d.f);)                             \
    FLOAT_LOOP(name, grad, params, a, 2, ASK_SLOPE(name) put(o + i, d.df);)                            \
    FLOAT_LOOP(name, backward, params, b, 2, ASK_SLOPE(name) put(o + i, vector_at(a + i) * d.df);)     \
    FLOAT_LOOP(name, value_and_grad, params, a, 3, ASK(name, f) ASK_SLOPE(name)                        \
            put(o + i, d.f); put(o1 + i, d.df);)                                                       \
    FLOAT_LOOP(name, gate, params, b, 1, ASK(name, f) put(o + i, vector_at(a + i) * d.f);)             \
    FLOAT_LOOP(name, gate_backward, params, c, 3, ASK(name, f) ASK_SLOPE(name)                         \
            const vector dy = vector_at(a + i), value = vector_at(b + i);                              \
            put(o1 + i, dy * (value * d.df)); put(o + i, dy * d.f);)
#define ROW_VECTORS(name, cost) FLOAT_LOOPS(name, 0)
#define HAS_USUAL(name, params, ...)                                                                   \
    static int name##_has_usual(const double *const *p, size_t i)                                      \
    {                                                                                                  \
        static const double usual[] = {__VA_ARGS__};                                                   \
        int all = 1;                                                                                   \
        for (int k = 0; k < params; k++)                                                               \
            all &= p[k][i] == usual[k];                                                                \
        return all;                                                                                    \
    }
#define ROW_VECTORS_USUAL(name, params, cost, ...)                                                     \
    HAS_USUAL(name, params, __VA_ARGS__)                                                               \
    OPERATIONS(name, params, _body)                                                                    \
    PARAM_GRAD(name, params, )                                                                         \
    FLOAT_LOOPS(name, params)                                                                          \
    LEARN_IN_TURN(name, params)

/* The same with df/dparameters in the lanes. */
#define PUT_DP(name, params, out, times)                                                               \
    if (all_below(d.df_at, name##_df_reach)) {                                                         \
        for (int k = 0; k < params; k++)                                                               \
            put((real *)(out)[k] + i, times d.dp[k]);                                                  \
    } else if (each) {                                                                                 \
        name##_mended_dp(x, d.df_at, ALL_OF(d.dp), p, i, out);                                         \
        for (int k = 0; k < params; k++)                                                               \
            put((real *)(out)[k] + i, times vector_at((real *)(out)[k] + i));                          \
    } else {                                                                                           \
        if (i >= dp_beyond[0].end)                                                                     \
            name##_beyond_dp(n, xs, p, i, dp_beyond);                                                  \
        for (int k = 0; k < params; k++)                                                               \
            put((real *)(out)[k] + i, times taken(dp_beyond + k, BEYOND_dp(name, d), d.dp[k]));        \
    }
#define ALL_OF(dp) (const vector[]){dp[0], dp[1], dp[2]} /* by its address: d itself, then, would all be computed */
#define LEARNT(name, params, cost, ...)                                                                \
    HAS_USUAL(name, params, __VA_ARGS__)                                                               \
    OPERATIONS(name, params, _body)                                                                    \
    PARAM_GRAD(name, params, _body)                                                                    \
    LEARN(name, params, _body)                                                                         \
    FLOAT_LOOPS(name, params)                                                                          \
    BEYOND(name, params, dp, params,                                                                   \
           for (int k = params - 1; k >= 0; k--) to[k].found[i] = NAN_OR(d.dp[k]);)                    \
    static __attribute__((noinline)) void name##_mended_dp(                                            \
        const vector x, const vector at, const vector *dp, const double *const *p, size_t i, void *const *out) \
    {                                                                                                  \
        real r[params][VECTOR];                                                                        \
        IVDEP for (size_t j = 0; j < VECTOR; j++)                                                      \
        {                                                                                              \
            const double q[CACT_MAX_PARAMS] = P##params(i + j);                                        \
            AT(name, x[j])                                                                             \
            for (int k = 0; k < params; k++)                                                           \
                r[k][j] = NAN_OR(d.dp[k]);                                                             \
        }                                                                                              \
        for (int k = 0; k < params; k++)                                                               \
            put((real *)out[k] + i, where(at < name##_df_reach, dp[k], vector_at(r[k])));              \
    }                                                                                                  \
    FLOAT_LOOP(name, param_grad, params, a, 6, (void)o; (void)o1;                                      \
               PUT_DP(name, params, out, ))                                                            \
    FLOAT_LOOP(name, learn, params, b, 6, const vector dy = vector_at(a + i); (void)o1;                \
               PUT_DP(name, params, out + 1, dy *) ASK_SLOPE(name) put(o + i, dy * d.df);)
#if CACT_REAL == 32
#define ROW_DOUBLES(name, cost) OPERATIONS(name, 0, )
#define ROW_FLOATS ROW_VECTORS
#define ROW_FLOATS_USUAL ROW_VECTORS_USUAL
#define ROW_FLOATS_LEARNT LEARNT
#else
#define ROW_DOUBLES ROW_VECTORS
#define ROW_FLOATS(name, cost) OPERATIONS(name, 0, )
#define ROW_FLOATS_USUAL(name, params, cost, ...) ROW(name, params, cost)
#define ROW_FLOATS_LEARNT ROW_FLOATS_USUAL
#endif
#define ROW_VECTORS_LEARNT LEARNT
#define ROW_Y_FLOATS(name, cost) ROW_FLOATS(name, cost) FROM_Y(name, 0)
#define ROW_Y_FLOATS_USUAL(name, params, cost, ...)                                                    \
    ROW_FLOATS_USUAL(name, params, cost, __VA_ARGS__) FROM_Y(name, params)
#define ROW_Y_VECTORS(name, cost) ROW_VECTORS(name, cost) FROM_Y(name, 0)
#define ROW_Y_VECTORS_USUAL(name, params, cost, ...)                                                   \
    ROW_VECTORS_USUAL(name, params, cost, __VA_ARGS__) FROM_Y(name, params)

#include "plain.h"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-function" /* param_grad without parameters */
#include "activations.h"
#pragma GCC diagnostic pop
#undef BODIES
#undef ROW
#undef ROW_Y
#undef ROW_PLAIN
#undef ROW_Y_PLAIN
#undef ROW_VECTORS
#undef ROW_Y_VECTORS
#undef ROW_VECTORS_USUAL
#undef ROW_Y_VECTORS_USUAL
#undef ROW_DOUBLES
#undef ROW_FLOATS
#undef ROW_Y_FLOATS
#undef ROW_FLOATS_USUAL
#undef ROW_VECTORS_LEARNT
#undef ROW_FLOATS_LEARNT
#undef ROW_Y_FLOATS_USUAL
#undef ROW_FUNCTION
#undef PIECES_FUNCTION

#include "rows.h"
#include "vector_sum.h"
#include "training.h"
#if CACT_REAL == 32
#include "vector_half.h"
#endif

/* ------------------------------------------------------------------ another pass: the table */
#define ENTRY(name, params, cost, param_grad, learn, ...)                                              \
    {#name, params, 0, cost,                                                                           \
     {name##_forward, name##_grad, name##_backward, name##_value_and_grad, param_grad, __VA_ARGS__,    \
      name##_gate, name##_gate_backward, learn}, {0, 0}, 0, {0, 0}},
#define IF_ANY(params, loop) params ? loop : 0
#define FROM_OUTPUT_OF(name) name##_grad_from_output, name##_backward_from_output
#define ROW(name, params, cost)                                                                        \
    ENTRY(name, params, cost, IF_ANY(params, name##_param_grad), IF_ANY(params, name##_learn), 0, 0)
#define ROW_Y(name, params, cost)                                                                      \
    ENTRY(name, params, cost, IF_ANY(params, name##_param_grad), IF_ANY(params, name##_learn),         \
          FROM_OUTPUT_OF(name))
#define ROW_PLAIN(name, params) ROW(name, params, CACT_PLAIN)
#define ROW_Y_PLAIN(name, params) ROW_Y(name, params, CACT_PLAIN)
#define ROW_VECTORS(name, cost) ENTRY(name, 0, cost, 0, 0, 0, 0)
#define ROW_Y_VECTORS(name, cost) ENTRY(name, 0, cost, 0, 0, FROM_OUTPUT_OF(name))
#define ROW_VECTORS_USUAL(name, params, cost, ...) ROW(name, params, cost)
#define ROW_Y_VECTORS_USUAL(name, params, cost, ...) ROW_Y(name, params, cost)
#define ROW_DOUBLES ROW_VECTORS
#define ROW_FLOATS ROW_VECTORS
#define ROW_Y_FLOATS ROW_Y_VECTORS
#define ROW_FLOATS_USUAL ROW_VECTORS_USUAL
#define ROW_Y_FLOATS_USUAL ROW_Y_VECTORS_USUAL
#define ROW_VECTORS_LEARNT ROW_VECTORS_USUAL
#define ROW_FLOATS_LEARNT ROW_VECTORS_USUAL
#define ROW_FUNCTION(name) {#name, 0, 1, HEAVY, {0}, {name##_rows, name##_rows_backward}, 0, {0, 0}},
#define PIECES_FUNCTION(name, params, side)                                                            \
    {#name, params, 0, LIGHT, {0}, {0, 0}, side, {name##_pieces, name##_pieces_backward}},

#define PASTE(a, b, c) a##_##b##_##c
#define TABLE(isa, bits) PASTE(cact, isa, bits)

extern const cact_kernels TABLE(CACT_ISA, CACT_REAL)[];
const cact_kernels TABLE(CACT_ISA, CACT_REAL)[] = {
#include "activations.h"
    {0, 0, 0, 0, {0}, {0, 0}, 0, {0, 0}},
};

#define PASTE_SUM(isa, bits) cact_##isa##_##bits##_sum
#define SUM(isa, bits) PASTE_SUM(isa, bits)
extern cact_sum SUM(CACT_ISA, CACT_REAL);
double SUM(CACT_ISA, CACT_REAL)(size_t n, const void *a) { return sum_of(n, a); }

#define PASTE_TRAINING(isa, bits) cact_##isa##_##bits##_training
#define TRAINING(isa, bits) PASTE_TRAINING(isa, bits)
extern const cact_training TRAINING(CACT_ISA, CACT_REAL);
const cact_training TRAINING(CACT_ISA, CACT_REAL) = {
    update, square_sum, all_finite, add_row, sum_rows, double_sums, drop, apply_mask, cross_entropy_slope, product_of_chosen,
};

#if CACT_REAL == 32
extern const cact_half_loops TABLE(CACT_ISA, half)[];
const cact_half_loops TABLE(CACT_ISA, half)[] = { /* CACT_HALF, CACT_BFLOAT */
    {half_widen, half_narrow, half_times},
    {bfloat_widen, bfloat_narrow, bfloat_times},
};
#endif
