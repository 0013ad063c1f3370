/* sweep.c - how far the results of a kernel are from the exact ones.
 *
 * The textbook reference is evaluated in a type with 29 bits (float results: double) or 11 bits
 * (double results: the x87's long double) more than the result, which settles most inputs; where
 * its own error could decide whether a result is correctly rounded or sets a new maximum, it is
 * evaluated again in __float128 (libquadmath), so that no maximum above 0.45 ULP rests on the
 * faster type (constant results are judged once: a maximum may be short by 2^-11 ULP). */
#include <float.h>
#include <math.h>
#include <quadmath.h>
#include <stdint.h>
#include <string.h>

enum {
#define NAME(name) F_##name,
#include "names.inc"
#undef NAME
    FUNCTIONS
};

typedef __float128 QUAD;
typedef long double LONG;
#define PI_33 0x1.921fb544p+1        /* pi in three parts, of 33 and 33 bits and the rest */
#define PI_66 0x1.0b4611a6p-33
#define PI_REST 0x1.3198a2e03707344a4093822299f3p-68Q

/* double */
#define R double
#define REF(name) name##_double
#define REF_TYPE double_ref
#define C(v) v
#define PI 3.14159265358979323846
#define IS_QUAD 0
#define EXP exp
#define EXPM1 expm1
#define LOG1P log1p
#define TANH tanh
#define ERF erf
#define ERFC erfc
#define SIN sin
#define SQRT sqrt
#define RINT rint
#define FABS fabs
#define PI_1 PI_33
#define PI_2 PI_66
#define PI_3 (R)PI_REST
typedef struct { R f, fs, d, ds; } double_ref;
#include "reference.h"
#include "undef.h"

/* long double */
#define R long double
#define REF(name) name##_long
#define REF_TYPE long_ref
#define C(v) v##L
#define PI 3.14159265358979323846264338327950288L
#define IS_QUAD 0
#define EXP expl
#define EXPM1 expm1l
#define LOG1P log1pl
#define TANH tanhl
#define ERF erfl
#define ERFC erfcl
#define SIN sinl
#define SQRT sqrtl
#define RINT rintl
#define FABS fabsl
#define PI_1 PI_33
#define PI_2 PI_66
#define PI_3 (R)PI_REST
typedef struct { R f, fs, d, ds; } long_ref;
#include "reference.h"
#include "undef.h"

/* __float128 */
#define R __float128
#define REF(name) name##_quad
#define REF_TYPE quad_ref
#define C(v) v##Q
#define PI 3.14159265358979323846264338327950288419716939937510582Q
#define IS_QUAD 1
#define EXP expq
#define EXPM1 expm1q
#define LOG1P log1pq
#define TANH tanhq
#define ERF erfq
#define ERFC erfcq
#define SIN sinq
#define SQRT sqrtq
#define RINT rintq
#define FABS fabsq
#define PI_1 PI_33
#define PI_2 PI_66
#define PI_3 PI_REST
typedef struct { R f, fs, d, ds; } quad_ref;
#include "reference.h"
#include "undef.h"

/* What was found of f (0) or f' (1). */
typedef struct {
    uint64_t n, wrong, above; /* judged, not correctly rounded, more than 1 ULP off */
    uint64_t not_nan;         /* NaN where a number was due, or the reverse */
    double max, worst;        /* largest error in ULP, the input that has it */
} found;

#define ENOUGH 0.45 /* errors below are told from the faster type */

typedef struct { int least, most, bits; } format; /* exponents of the normal numbers, bits after the first */
static const format FLOAT = {-126, 127, 23}, DOUBLE = {-1022, 1023, 52};

/* |r - exact| in ULP, by __float128; what overflows is measured from 2^(most + 1). */
static double exactly(format t, QUAD r, int which, int part, double x, const double *p)
{
    QUAD q[4];
    for (int k = 0; k < 4; k++)
        q[k] = p[k];
    const quad_ref exact = value_quad(which, x, q);
    const QUAD end = ldexpq(1, t.most + 1);
    QUAD v = part ? exact.d : exact.f;
    int e = v == 0 ? t.least : ilogbq(v);
    e = e < t.least ? t.least : e > t.most ? t.most : e;
    r = r > end ? end : r < -end ? -end : r;
    v = v > end ? end : v < -end ? -end : v;
    return (double)(fabsq(r - v) / ldexpq(1, e - t.bits));
}

/* The result r, where the faster type says that it is `error` ULP off, give or take `slack`. */
static inline void judge(found *s, format t, double r, int number, double error, double slack, int which, int part,
                         double x, const double *p)
{
    s->n++;
    if (__builtin_expect((r != r) == number, 0)) {
        s->not_nan++;
        s->worst = x;
        return;
    }
    if (!number)
        return;
    const int clear = slack < 0x1p-12 && fabs(error - 0.5) > slack;
    if (!(clear && error <= s->max + slack)) {
        if (!(slack < 0.02 && error + slack < ENOUGH))
            error = exactly(t, r, which, part, x, p);
        if (error > s->max) {
            s->max = error;
            s->worst = x;
        }
    }
    s->wrong += error > 0.5;
    s->above += error > 1;
}

/* float: all in double.  The exponent of the exact result, kept among the normal ones, is 1/ULP's. */
static inline void judge_float(found *s, float r, double v, double scale, int which, int part, double x, const double *p)
{
    const double end = 0x1p128, a = fabs(v);
    const double normal = a < 0x1p-126 ? 0x1p-126 : a < 0x1.fp127 ? a : 0x1.fp127;
    uint64_t bits;
    memcpy(&bits, &normal, 8);
    bits = ((uint64_t)(1023 + 23 + 1023) << 52) - (bits & 0x7ff0000000000000u);
    double per_ulp, w = r;
    memcpy(&per_ulp, &bits, 8);
    w = w > end ? end : w < -end ? -end : w;
    v = v > end ? end : v < -end ? -end : v;
    judge(s, FLOAT, r, v == v, fabs(w - v) * per_ulp, a > 0x1p129 ? 0 : 0x1p-49 * scale * per_ulp, which, part, x, p);
}

static inline void judge_double(found *s, double r, long double v, long double scale, int which, int part, double x,
                                const double *p)
{
    const long double end = 0x1p1024L;
    int e = v == 0 ? -1022 : ilogbl(v);
    e = e < -1022 ? -1022 : e > 1023 ? 1023 : e;
    const long double ulp = ldexpl(1, e - 52);
    long double w = r;
    const double slack = fabsl(v) > 2 * end ? 0 : (double)(0x1p-60L * scale / ulp);
    w = w > end ? end : w < -end ? -end : w;
    v = v > end ? end : v < -end ? -end : v;
    judge(s, DOUBLE, r, v == v, (double)(fabsl(w - v) / ulp), slack, which, part, x, p);
}

void sweep_float(int which, size_t n, const float *x, const float *f, const float *d, const double *p, found *s)
{
    for (size_t i = 0; i < n; i++) {
        if (x[i] != x[i]) {
            s[0].not_nan += f[i] == f[i];
            s[1].not_nan += d[i] == d[i];
        } else if (!isinf(x[i])) { /* the limits are tests/accuracy's */
            const double_ref v = value_double(which, x[i], p);
            judge_float(&s[0], f[i], v.f, v.fs, which, 0, x[i], p);
            judge_float(&s[1], d[i], v.d, v.ds, which, 1, x[i], p);
        }
    }
}

void sweep_double(int which, size_t n, const double *x, const double *f, const double *d, const double *p, found *s)
{
    long double q[4];
    for (int k = 0; k < 4; k++)
        q[k] = p[k];
    for (size_t i = 0; i < n; i++) {
        if (x[i] != x[i]) {
            s[0].not_nan += f[i] == f[i];
            s[1].not_nan += d[i] == d[i];
        } else if (!isinf(x[i])) {
            const long_ref v = value_long(which, x[i], q);
            judge_double(&s[0], f[i], v.f, v.fs, which, 0, x[i], p);
            judge_double(&s[1], d[i], v.d, v.ds, which, 1, x[i], p);
        }
    }
}

/* For the test of the reference itself: f and f', each as an exponent of 2 and three doubles to add. */
void reference(int which, size_t n, const double *x, const double *p, double *parts)
{
    QUAD q[4];
    for (int k = 0; k < 4; k++)
        q[k] = p[k];
    for (size_t i = 0; i < n; i++) {
        const quad_ref v = value_quad(which, x[i], q);
        for (int part = 0; part < 2; part++) {
            int e = 0;
            QUAD rest = frexpq(part ? v.d : v.f, &e);
            *parts++ = e;
            for (int k = 0; k < 3; k++) {
                *parts = (double)rest;
                rest -= *parts++;
            }
        }
    }
}
