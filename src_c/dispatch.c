/* dispatch.c - picks the kernels for this machine, and brings any operand to their shape:
 * whole contiguous blocks of float or double.  Built for the baseline instruction set. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cact.h"
#include "threads.h"

/* ------------------------------------------------------------------ instruction sets */
typedef struct {
    const char *name;
    int (*supported)(void);
    const cact_kernels *table[CACT_DTYPES];
} isa;

#if defined(__x86_64__)
#include <cpuid.h>

/* What x86-64-v3 and v4 (the System V psABI's levels) add that gcc and clang may use;
 * __builtin_cpu_supports also asks whether the operating system saves the registers. */
static int supports_v3(void)
{
    unsigned a, b, c, d;
    const unsigned movbe = 1u << 22, f16c = 1u << 29, lzcnt = 1u << 5;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & movbe) && (c & f16c) &&
           __get_cpuid(0x80000001u, &a, &b, &c, &d) && (c & lzcnt);
}

static int supports_v4(void)
{
    return supports_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

extern const cact_kernels cact_v3_32[], cact_v3_64[], cact_v4_32[], cact_v4_64[];
static const isa isas[] = {
    {"x86-64-v4", supports_v4, {cact_v4_32, cact_v4_64}},
    {"x86-64-v3", supports_v3, {cact_v3_32, cact_v3_64}},
};
#define ISAS ((int)(sizeof isas / sizeof isas[0]))

#elif defined(__aarch64__)

static int supports_neon(void) { return 1; } /* part of the architecture */

extern const cact_kernels cact_neon_32[], cact_neon_64[];
static const isa isas[] = {{"aarch64", supports_neon, {cact_neon_32, cact_neon_64}}};
#define ISAS 1

#else
#error "no kernels for this architecture: the NumPy backend serves it"
#endif

static const isa *_Atomic selected;

static const isa *best(void)
{
    for (int i = 0; i < ISAS; i++)
        if (isas[i].supported())
            return &isas[i];
    return NULL;
}

static const isa *active(void)
{
    if (!selected) /* racing threads find the same one */
        selected = best();
    return selected;
}

int cact_isa_count(void)
{
    int n = 0;
    for (int i = 0; i < ISAS; i++)
        n += isas[i].supported();
    return n;
}

const char *cact_isa_name(int i)
{
    for (int j = 0; j < ISAS; j++)
        if (isas[j].supported() && i-- == 0)
            return isas[j].name;
    return NULL;
}

const char *cact_isa_active(void) { return active() ? active()->name : NULL; }

int cact_isa_select(const char *name)
{
    for (int j = 0; j < ISAS; j++)
        if (!strcmp(isas[j].name, name) && isas[j].supported()) {
            selected = &isas[j];
            return 0;
        }
    return -1;
}

/* ------------------------------------------------------------------ the inventory */
/* The tables of all instruction sets list the same functions in the same order. */
#define INVENTORY (isas[0].table[CACT_F64])

int cact_count(void)
{
    int n = 0;
    while (INVENTORY[n].name)
        n++;
    return n;
}

const char *cact_name(int i) { return INVENTORY[i].name; }
int cact_params(int i) { return INVENTORY[i].params; }
int cact_rows(int i) { return INVENTORY[i].rows; }

/* ------------------------------------------------------------------ floating-point flags */
/* The kernels raise inexact, underflow and, on clamped lanes, others; none of it is the
 * caller's.  Only the status bits are put back, the control bits are as they were. */
#if defined(__x86_64__)
#define FLAGS_SAVE unsigned flags = __builtin_ia32_stmxcsr()
#define FLAGS_RESTORE __builtin_ia32_ldmxcsr(flags)
#elif defined(__aarch64__)
#define FLAGS_SAVE     \
    uint64_t flags;    \
    __asm__ volatile("mrs %0, fpsr" : "=r"(flags))
#define FLAGS_RESTORE __asm__ volatile("msr fpsr, %0" : : "r"(flags))
#endif

/* ------------------------------------------------------------------ operands in memory */
static const size_t sizes[CACT_TYPES] = {4, 8, 2, 1, 1, 1, 2, 2, 4, 4, 8, 8};

static float half_to_float(uint16_t h)
{
    uint32_t bits = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float f;
    if ((h & 0x7c00) == 0x7c00)
        bits |= 0x7f800000; /* inf, NaN */
    memcpy(&f, &bits, 4);
    if ((h & 0x7c00) != 0x7c00)
        f *= 0x1p112f; /* exact; subnormals become normal */
    memcpy(&bits, &f, 4);
    bits |= sign;
    memcpy(&f, &bits, 4);
    return f;
}

static uint16_t float_to_half(float f) /* to nearest, ties to even */
{
    uint32_t bits, sign;
    memcpy(&bits, &f, 4);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* below 2^-14: the spacing is 2^-24; let an addition round */
        float magnitude;
        memcpy(&magnitude, &bits, 4);
        magnitude += 0.5f; /* the last bit of 0.5 + m is 2^-24 */
        memcpy(&bits, &magnitude, 4);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    bits += 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((bits - 0x38000000) >> 13));
}

#define GATHER(type, to, value)                                       \
    for (size_t i = 0; i < n; i++) {                                  \
        type v;                                                       \
        memcpy(&v, from + (ptrdiff_t)i * step, sizeof v);             \
        ((to *)into)[i] = (to)(value);                                \
    }                                                                 \
    break

/* n elements of a type, `step` bytes apart, as contiguous floats (float, half) or doubles. */
static void load(cact_type type, int dtype, size_t n, const char *from, ptrdiff_t step, void *into)
{
    if (dtype == CACT_F32)
        switch (type) {
        case CACT_FLOAT: GATHER(float, float, v);
        case CACT_HALF: GATHER(uint16_t, float, half_to_float(v));
        default: break;
        }
    else
        switch (type) {
        case CACT_DOUBLE: GATHER(double, double, v);
        case CACT_BOOL: GATHER(uint8_t, double, v != 0);
        case CACT_INT8: GATHER(int8_t, double, v);
        case CACT_UINT8: GATHER(uint8_t, double, v);
        case CACT_INT16: GATHER(int16_t, double, v);
        case CACT_UINT16: GATHER(uint16_t, double, v);
        case CACT_INT32: GATHER(int32_t, double, v);
        case CACT_UINT32: GATHER(uint32_t, double, v);
        case CACT_INT64: GATHER(int64_t, double, v);
        case CACT_UINT64: GATHER(uint64_t, double, v);
        default: break;
        }
}

#define SCATTER(from_type, type, value)                               \
    for (size_t i = 0; i < n; i++) {                                  \
        type v = (value(((const from_type *)from)[i]));               \
        memcpy(to + (ptrdiff_t)i * step, &v, sizeof v);               \
    }                                                                 \
    break

static void store(cact_type type, size_t n, const void *from, char *to, ptrdiff_t step)
{
    switch (type) {
    case CACT_FLOAT: SCATTER(float, float, );
    case CACT_DOUBLE: SCATTER(double, double, );
    case CACT_HALF: SCATTER(float, uint16_t, float_to_half);
    default: break;
    }
}

/* ------------------------------------------------------------------ elementwise */
#define CHUNK 256 /* elements per staged block: all of it stays in the first-level cache */

/* From where a second thread pays, and the pieces (measured on 2 cores: benchmarks/threads.py). */
#define HEAVY_FROM 32768     /* elements: 20 us of work and more */
#define HEAVY_GRAIN 8192     /* elements */
#define ROWS_FROM {32768, 65536} /* elements, forward and backward */
#define LIGHT_FROM (8 << 20) /* bytes: memory sets the pace, so only where no cache holds them */
#define LIGHT_GRAIN (1 << 18)

typedef struct {
    cact_loop *loop;
    const char *dy, *x;
    const double *const *p;
    char *const *out;
    int outs;
    size_t size;
} direct_work;

static void direct_piece(void *context, size_t begin, size_t end)
{
    const direct_work *w = context;
    const size_t at = begin * w->size;
    void *out[CACT_MAX_PARAMS] = {0};
    for (int k = 0; k < w->outs; k++)
        out[k] = w->out[k] + at;
    w->loop(end - begin, w->dy + at, w->x + at, w->p, 0, out);
}

static int outputs(cact_op op, int params)
{
    return op == CACT_VALUE_AND_GRAD ? 2 : op == CACT_PARAM_GRAD ? params : 1;
}

void cact_run(int index, cact_op op, size_t n, char *const *args, const ptrdiff_t *steps,
              const cact_type *type)
{
    const int params = INVENTORY[index].params, first_param = op == CACT_BACKWARD ? 2 : 1;
    const int first_out = first_param + params, outs = outputs(op, params);
    const int dtype = type[first_out] == CACT_DOUBLE ? CACT_F64 : CACT_F32;
    const cact_type own = dtype == CACT_F64 ? CACT_DOUBLE : CACT_FLOAT;
    const ptrdiff_t size = (ptrdiff_t)sizes[own];
    /* Half precision: dy f'(x) with f' rounded to half first, the same bits as dy * f.grad(x). */
    const int half_product = op == CACT_BACKWARD && type[first_out] == CACT_HALF;
    cact_loop *const loop = active()->table[dtype][index].loop[half_product ? CACT_GRAD : op];
    const double *p[CACT_MAX_PARAMS] = {0};
    void *out[CACT_MAX_PARAMS] = {0};
    int each = 0, direct = 1;
    size_t done = 0;

    if (n == 0)
        return;
    for (int k = 0; k < first_out + outs; k++)
        if (k < first_param || k >= first_out)
            direct &= type[k] == own && steps[k] == size;
        else
            each |= steps[k] != 0 && n > 1;
    FLAGS_SAVE;
    if (direct && !each) {
        done = n - n % CACT_LANES;
        for (int k = 0; k < params; k++)
            p[k] = (const double *)args[first_param + k];
        direct_work w = {loop, args[0], args[first_param - 1], p, args + first_out, outs, (size_t)size};
        if (INVENTORY[index].cost == CACT_HEAVY ? done >= HEAVY_FROM : done * (size_t)size >= LIGHT_FROM)
            cact_parallel(done, INVENTORY[index].cost == CACT_HEAVY ? HEAVY_GRAIN : LIGHT_GRAIN, direct_piece, &w);
        else if (done)
            direct_piece(&w, 0, done);
    }
    double input[2][CHUNK], output[CACT_MAX_PARAMS][CHUNK], parameter[CACT_MAX_PARAMS][CHUNK];
    for (; done < n; done += CHUNK) {
        const size_t m = n - done < CHUNK ? n - done : CHUNK;
        const size_t padded = (m + CACT_LANES - 1) & ~(size_t)(CACT_LANES - 1);
        for (int k = 0; k < first_param; k++) {
            load(type[k], dtype, m, args[k] + (ptrdiff_t)done * steps[k], steps[k], input[k]);
            memset((char *)input[k] + m * (size_t)size, 0, (padded - m) * (size_t)size);
        }
        for (int k = 0; k < params; k++) {
            const ptrdiff_t step = steps[first_param + k];
            load(CACT_DOUBLE, CACT_F64, each ? m : 1, args[first_param + k] + (ptrdiff_t)done * step, step,
                 parameter[k]);
            for (size_t i = m; each && i < padded; i++)
                parameter[k][i] = parameter[k][m - 1];
            p[k] = parameter[k];
        }
        for (int k = 0; k < outs; k++)
            out[k] = output[k];
        loop(padded, input[0], input[first_param - 1], p, each, out);
        for (size_t i = 0; half_product && i < m; i++)
            ((float *)output)[i] = ((float *)input)[i] * half_to_float(float_to_half(((float *)output)[i]));
        for (int k = 0; k < outs; k++) {
            const ptrdiff_t step = steps[first_out + k];
            store(type[first_out + k], m, output[k], args[first_out + k] + (ptrdiff_t)done * step, step);
        }
    }
    FLAGS_RESTORE;
}

/* ------------------------------------------------------------------ rows */
typedef struct {
    cact_row *row;
    char *const *args;
    const ptrdiff_t *steps;
    size_t n;
    int ins;
} rows_work;

static void rows_piece(void *context, size_t begin, size_t end)
{
    const rows_work *w = context;
    for (size_t r = begin; r < end; r++) {
        char *at[3];
        for (int k = 0; k <= w->ins; k++)
            at[k] = w->args[k] + (ptrdiff_t)r * w->steps[k];
        w->row(w->n, at[0], at[w->ins - 1], at[w->ins]);
    }
}

int cact_run_rows(int index, cact_op op, size_t rows, size_t n, char *const *args, const ptrdiff_t *steps,
                  const ptrdiff_t *inner, const cact_type *type)
{
    const int ins = op == CACT_BACKWARD ? 2 : 1;
    const int dtype = type[ins] == CACT_DOUBLE ? CACT_F64 : CACT_F32;
    const cact_type own = dtype == CACT_F64 ? CACT_DOUBLE : CACT_FLOAT;
    const size_t size = sizes[own];
    cact_row *const row = active()->table[dtype][index].row[op == CACT_BACKWARD];
    int direct = 1;

    if (n == 0 || rows == 0)
        return 0;
    for (int k = 0; k <= ins; k++)
        direct &= type[k] == own && (inner[k] == (ptrdiff_t)size || n == 1);
    if (direct) {
        rows_work w = {row, args, steps, n, ins};
        FLAGS_SAVE;
        static const size_t from[2] = ROWS_FROM;
        if (rows > 1 && rows * n >= from[op == CACT_BACKWARD])
            cact_parallel(rows, (HEAVY_GRAIN + n - 1) / n, rows_piece, &w);
        else
            rows_piece(&w, 0, rows);
        FLAGS_RESTORE;
        return 0;
    }
    char *staged = malloc((size_t)(ins + 1) * n * size);
    if (!staged)
        return -1;
    FLAGS_SAVE;
    for (size_t r = 0; r < rows; r++) {
        char *block[3];
        for (int k = 0; k <= ins; k++)
            block[k] = staged + (size_t)k * n * size;
        for (int k = 0; k < ins; k++)
            load(type[k], dtype, n, args[k] + (ptrdiff_t)r * steps[k], inner[k], block[k]);
        row(n, block[0], block[ins - 1], block[ins]);
        store(type[ins], n, block[ins], args[ins] + (ptrdiff_t)r * steps[ins], inner[ins]);
    }
    FLAGS_RESTORE;
    free(staged);
    return 0;
}
