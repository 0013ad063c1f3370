/* dispatch.c - picks the kernels for this machine, and brings any operand to their shape:
 * whole contiguous blocks of float or double.  Built for the baseline instruction set. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cact.h"
#include "direct.h"
#include "flags.h"
#include "half.h"
#include "operands.h"
#include "strided.h"
#include "threads.h"

/* ------------------------------------------------------------------ instruction sets */
typedef struct {
    const char *name;
    int (*supported)(void);
    int fast; /* memory, not arithmetic, sets the pace of large heavy float functions too */
    const cact_kernels *table[CACT_DTYPES];
    const cact_half_loops *half;
    cact_sum *sum[CACT_DTYPES];
    const cact_training *training[CACT_DTYPES];
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
extern const cact_half_loops cact_v3_half[], cact_v4_half[];
extern cact_sum cact_v3_32_sum, cact_v3_64_sum, cact_v4_32_sum, cact_v4_64_sum;
extern const cact_training cact_v3_32_training, cact_v3_64_training, cact_v4_32_training, cact_v4_64_training;
static const isa isas[] = {
    {"x86-64-v4", supports_v4, 1, {cact_v4_32, cact_v4_64}, cact_v4_half, {cact_v4_32_sum, cact_v4_64_sum},
     {&cact_v4_32_training, &cact_v4_64_training}},
    {"x86-64-v3", supports_v3, 0, {cact_v3_32, cact_v3_64}, cact_v3_half, {cact_v3_32_sum, cact_v3_64_sum},
     {&cact_v3_32_training, &cact_v3_64_training}},
};
#define ISAS ((int)(sizeof isas / sizeof isas[0]))

#elif defined(__aarch64__)

static int supports_neon(void) { return 1; } /* part of the architecture */

extern const cact_kernels cact_neon_32[], cact_neon_64[];
extern const cact_half_loops cact_neon_half[];
extern cact_sum cact_neon_32_sum, cact_neon_64_sum;
extern const cact_training cact_neon_32_training, cact_neon_64_training;
static const isa isas[] = {{"aarch64", supports_neon, 0, {cact_neon_32, cact_neon_64}, cact_neon_half,
                            {cact_neon_32_sum, cact_neon_64_sum},
                            {&cact_neon_32_training, &cact_neon_64_training}}};
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
int cact_side(int i) { return INVENTORY[i].side; }
int cact_heavy(int i) { return INVENTORY[i].cost == CACT_HEAVY; }
int cact_plain(int i) { return INVENTORY[i].cost == CACT_PLAIN; }

int cact_has(int i, cact_op op)
{
    return INVENTORY[i].rows ? op == CACT_FORWARD || op == CACT_BACKWARD : INVENTORY[i].loop[op] != NULL;
}

int cact_inputs(int i, cact_op op)
{
    (void)i;
    return op == CACT_GATE_BACKWARD ? 3
           : op == CACT_BACKWARD || op == CACT_BACKWARD_FROM_OUTPUT || op == CACT_GATE || op == CACT_LEARN ? 2
                                                                                                          : 1;
}

int cact_outputs(int i, cact_op op)
{
    return op == CACT_VALUE_AND_GRAD || op == CACT_GATE_BACKWARD ? 2
           : op == CACT_PARAM_GRAD                               ? INVENTORY[i].params
           : op == CACT_LEARN                                    ? 1 + INVENTORY[i].params
                                                                 : 1;
}

/* ------------------------------------------------------------------ elementwise */
#define CHUNK 256 /* elements per staged block: all of it stays in the first-level cache */

/* A block of at most CHUNK elements, staged: contiguous, converted, padded. */
typedef struct {
    double input[CACT_MAX_INPUTS][CHUNK], parameter[CACT_MAX_PARAMS][CHUNK], output[CACT_MAX_OUTPUTS][CHUNK];
    const void *in[CACT_MAX_INPUTS];
    const double *p[CACT_MAX_PARAMS];
    void *out[CACT_MAX_OUTPUTS];
    size_t n, padded;
} block;

static void prepare(block *b, int outs)
{
    memset(b->in, 0, sizeof b->in);
    memset(b->out, 0, sizeof b->out);
    memset(b->p, 0, sizeof b->p);
    for (int k = 0; k < outs; k++)
        b->out[k] = b->output[k];
}

static void stage_parameters(block *b, int params, int each, char *const *args, const ptrdiff_t *steps, size_t done)
{
    for (int k = 0; k < params; k++) {
        load(CACT_DOUBLE, CACT_F64, each ? b->n : 1, args[k] + (ptrdiff_t)done * steps[k], steps[k], b->parameter[k]);
        for (size_t i = b->n; each && i < b->padded; i++)
            b->parameter[k][i] = b->parameter[k][b->n - 1];
        b->p[k] = b->parameter[k];
    }
}

static void stage_input(block *b, int k, cact_type type, int dtype, const char *from, ptrdiff_t step)
{
    const size_t size = dtype == CACT_F64 ? 8 : 4;
    load(type, dtype, b->n, from, step, b->input[k]);
    memset((char *)b->input[k] + b->n * size, 0, (b->padded - b->n) * size);
    b->in[k] = b->input[k];
}

typedef struct {
    cact_loop *loop;
    char *const *args;
    const ptrdiff_t *steps;
    const cact_type *type;
    int ins, params, outs, each, dtype;
} staged_work;

static void run_staged(const staged_work *w, size_t done, size_t n)
{
    const int first_out = w->ins + w->params;
    const cact_type own = w->dtype == CACT_F64 ? CACT_DOUBLE : CACT_FLOAT;
    const ptrdiff_t size = (ptrdiff_t)sizes[own];
    block b;
    prepare(&b, w->outs);
    for (; done < n; done += CHUNK) {
        b.n = n - done < CHUNK ? n - done : CHUNK;
        b.padded = (b.n + CACT_LANES - 1) & ~(size_t)(CACT_LANES - 1);
        stage_parameters(&b, w->params, w->each, w->args + w->ins, w->steps + w->ins, done);
        const int whole = b.n == b.padded; /* then an operand that is as the kernel wants it stays where it is */
        for (int k = 0; k < w->ins; k++) {
            const char *const from = w->args[k] + (ptrdiff_t)done * w->steps[k];
            if (whole && w->type[k] == own && w->steps[k] == size)
                b.in[k] = from;
            else
                stage_input(&b, k, w->type[k], w->dtype, from, w->steps[k]);
        }
        for (int k = 0; k < w->outs; k++)
            b.out[k] = whole && w->steps[first_out + k] == size ? w->args[first_out + k] + (ptrdiff_t)done * size
                                                                : (char *)b.output[k];
        w->loop(b.padded, b.in, b.p, w->each, b.out);
        for (int k = 0; k < w->outs; k++)
            if (b.out[k] == b.output[k]) {
                const ptrdiff_t step = w->steps[first_out + k];
                store(own, b.n, b.output[k], w->args[first_out + k] + (ptrdiff_t)done * step, step);
            }
    }
}

/* All elements of contiguous operands: whole blocks where they lie, from the first output's next cache line on
 * if they are many.  What is left at the ends is a block that overlaps them, or is staged where it must not. */
static void run_direct(const staged_work *s, direct_work *w, int heavy, int streams, size_t n)
{
    const size_t first = n * w->size < ALIGN_FROM ? 0 : -(uintptr_t)w->out[0] % LINE / w->size;
    const size_t last = n - (n - first) % CACT_LANES;
    const int overlap = n >= CACT_LANES && !in_place(w);
    if (first && overlap)
        direct_piece(w, 0, CACT_LANES);
    else if (first)
        run_staged(s, 0, first);
    w->first = first;
    cact_in_pieces(heavy, last - first, w->size, 1, piece_for(w, n, streams), w);
    w->first = 0;
    if (last < n && overlap)
        direct_piece(w, n - CACT_LANES, n);
    else if (last < n)
        run_staged(s, last, n);
}

void cact_run(int index, cact_op op, size_t n, char *const *args, const ptrdiff_t *steps,
              const cact_type *type)
{
    const int ins = cact_inputs(index, op), params = INVENTORY[index].params, first_out = ins + params;
    const int outs = cact_outputs(index, op);
    const int dtype = type[first_out] == CACT_DOUBLE ? CACT_F64 : CACT_F32;
    const cact_type own = dtype == CACT_F64 ? CACT_DOUBLE : CACT_FLOAT;
    const ptrdiff_t size = (ptrdiff_t)sizes[own];
    cact_loop *const loop = active()->table[dtype][index].loop[op];
    int each = 0, direct = 1;

    if (n == 0)
        return;
    for (int k = 0; k < first_out + outs; k++)
        if (k < ins || k >= first_out)
            direct &= type[k] == own && steps[k] == size;
        else
            each |= steps[k] != 0 && n > 1;
    const staged_work s = {loop, args, steps, type, ins, params, outs, each, dtype};
    FLAGS_SAVE;
    if (is_half(type[first_out])) {
        const isa *const here = active();
        const half_work h = {&here->table[CACT_F32][index], &here->table[CACT_F64][index],
                             &here->half[type[first_out] - CACT_HALF], op, ins, params, outs, each, args, steps,
                             type[first_out]};
        cact_run_half(&h, n);
    } else if (direct && !each) {
        const double *p[CACT_MAX_PARAMS] = {0};
        for (int k = 0; k < params; k++)
            p[k] = (const double *)args[ins + k];
        direct_work w = {loop, args, args + first_out, p, ins, outs, (size_t)size, 0};
        run_direct(&s, &w, cact_heavy(index), !cact_heavy(index) || (own == CACT_FLOAT && active()->fast), n);
    } else
        run_staged(&s, 0, n);
    FLAGS_RESTORE;
}

void cact_run_in_order(int index, cact_op op, size_t n, char *const *args, const ptrdiff_t *steps, const cact_type *type)
{
    enum { COPIED = CACT_MAX_INPUTS + CACT_MAX_PARAMS };
    const int first_out = cact_inputs(index, op) + INVENTORY[index].params, operands = first_out + cact_outputs(index, op);
    int copied[COPIED] = {0}, any = 0;
    for (int k = 0; n && k < first_out; k++)
        for (int j = first_out; j < operands; j++)
            any |= copied[k] |= !cact_apart(n, args[k], steps[k], sizes[type[k]], args[j], steps[j], sizes[type[j]]);
    if (!any) {
        cact_run(index, op, n, args, steps, type);
        return;
    }
    double copies[COPIED][CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) { /* what is overwritten has been copied */
        char *at[COPIED + CACT_MAX_OUTPUTS];
        ptrdiff_t step[COPIED + CACT_MAX_OUTPUTS];
        const size_t some = n - done < CHUNK ? n - done : CHUNK;
        for (int k = 0; k < operands; k++) {
            at[k] = args[k] + (ptrdiff_t)done * steps[k];
            step[k] = steps[k];
        }
        for (int k = 0; k < first_out; k++)
            if (copied[k]) {
                const size_t size = sizes[type[k]];
                for (size_t i = 0; i < some; i++)
                    memcpy((char *)copies[k] + i * size, at[k] + (ptrdiff_t)i * steps[k], size);
                at[k] = (char *)copies[k];
                step[k] = (ptrdiff_t)size;
            }
        cact_run(index, op, some, at, step, type);
    }
}

void cact_run_strided(int index, cact_op op, int dims, const size_t *shape, char *const *args,
                      const ptrdiff_t (*steps)[CACT_MAX_DIMS], const cact_type *type)
{
    const int ins = cact_inputs(index, op), params = INVENTORY[index].params, outs = cact_outputs(index, op);
    const cact_type own = type[ins + params];
    const int dtype = own == CACT_DOUBLE ? CACT_F64 : CACT_F32;
    const strided_call call = {active()->table[dtype][index].loop[op], ins, params, outs, cact_heavy(index),
                               cact_plain(index), dims, own, type, steps};
    cact_strided(&call, shape, args);
}

double cact_sum_of(cact_type type, size_t n, const void *a)
{
    const isa *const here = active();
    float wide[CACT_NODE];
    if (is_half(type)) {
        cact_half_load(&here->half[type - CACT_HALF], n, a, 2, wide);
        a = wide;
    }
    return here->sum[type == CACT_DOUBLE ? CACT_F64 : CACT_F32](n, a);
}

const cact_training *cact_training_loops(cact_type type)
{
    return active()->training[type == CACT_DOUBLE ? CACT_F64 : CACT_F32];
}

/* ------------------------------------------------------------------ elementwise, on many short stretches */
typedef struct {
    const direct_work *first;
    const ptrdiff_t *steps; /* from one stretch to the next */
    size_t n;
} stretches_work;

static void stretches_piece(void *context, size_t begin, size_t end)
{
    const stretches_work *s = context;
    const int ins = s->first->ins, outs = s->first->outs;
    const size_t n = s->n, whole = n - n % CACT_LANES;
    for (size_t r = begin; r < end; r++) {
        char *args[CACT_MAX_INPUTS + CACT_MAX_OUTPUTS];
        for (int k = 0; k < ins + outs; k++)
            args[k] = s->first->in[k] + (ptrdiff_t)r * s->steps[k];
        direct_work w = *s->first;
        w.in = args, w.out = args + ins;
        direct_piece(&w, 0, whole);
        if (whole < n)
            direct_piece(&w, n - CACT_LANES, n);
    }
}

/* Stretches that are each an array of their own */
typedef struct {
    int index;
    cact_op op;
    size_t n;
    int operands;
    char *const *args;
    const ptrdiff_t *steps, *inner;
    const cact_type *type;
} apart_work;

static void apart_piece(void *context, size_t begin, size_t end)
{
    const apart_work *s = context;
    for (size_t r = begin; r < end; r++) {
        char *at[CACT_MAX_INPUTS + CACT_MAX_OUTPUTS];
        for (int k = 0; k < s->operands; k++)
            at[k] = s->args[k] + (ptrdiff_t)r * s->steps[k];
        cact_run(s->index, s->op, s->n, at, s->inner, s->type);
    }
}

void cact_run_stretches(int index, cact_op op, size_t count, size_t n, char *const *args, const ptrdiff_t *steps,
                        const ptrdiff_t *inner, const cact_type *type)
{
    const int ins = cact_inputs(index, op), outs = cact_outputs(index, op);
    const int dtype = type[ins] == CACT_DOUBLE ? CACT_F64 : CACT_F32;
    const cact_type own = dtype == CACT_F64 ? CACT_DOUBLE : CACT_FLOAT;
    const size_t size = sizes[own];
    const direct_work w = {active()->table[dtype][index].loop[op], args, args + ins, NULL, ins, outs, size, 0};
    int direct = count > 1 && n >= CACT_LANES && n * size < HEAVY_FROM && !in_place(&w);
    for (int k = 0; k < ins + outs; k++)
        direct &= type[k] == own && inner[k] == (ptrdiff_t)size;
    if (direct) {
        stretches_work s = {&w, steps, n};
        FLAGS_SAVE;
        cact_in_pieces(cact_heavy(index), count, size, n, stretches_piece, &s);
        FLAGS_RESTORE;
        return;
    }
    apart_work s = {index, op, n, ins + outs, args, steps, inner, type};
    if (n * size < HEAVY_FROM)
        cact_in_pieces(ARITHMETIC, count, size, n, apart_piece, &s);
    else
        apart_piece(&s, 0, count); /* each of which has pieces of its own */
}

/* ------------------------------------------------------------------ rows */
typedef struct {
    cact_rows_loop *loop;
    char *const *args;
    const ptrdiff_t *steps, *inner;
    const cact_type *type;
    size_t n;
    int ins, dtype;
    const cact_half_loops *half; /* of the type, if it is one */
    atomic_int failed;           /* no memory */
} rows_work;

/* Elements of short rows that go together, as the steps of one alone wait for each other; x and y, 16 KB of doubles, stay
 * in the first-level cache. */
#define AT_ONCE 1024

static void rows_piece(void *context, size_t begin, size_t end)
{
    const rows_work *w = context;
    const size_t together = w->n < AT_ONCE ? AT_ONCE / w->n : 1, most = together < CACT_ROWS ? together : CACT_ROWS;
    for (size_t r = begin, rows; r < end; r += rows) {
        void *at[3][CACT_ROWS];
        rows = end - r < most ? end - r : most;
        for (int k = 0; k <= w->ins; k++)
            for (size_t i = 0; i < rows; i++)
                at[k][i] = w->args[k] + (ptrdiff_t)(r + i) * w->steps[k];
        w->loop(rows, w->n, (const void **)at[0], (const void **)at[w->ins - 1], at[w->ins]);
    }
}

static void staged_rows_piece(void *context, size_t begin, size_t end)
{
    rows_work *w = context;
    const size_t size = w->dtype == CACT_F64 ? 8 : 4, padded = (w->n + CACT_LANES - 1) & ~(size_t)(CACT_LANES - 1);
    char *const staged = malloc((size_t)(w->ins + 1) * padded * size), *block[3];
    if (!staged) {
        atomic_store(&w->failed, 1);
        return;
    }
    for (int k = 0; k <= w->ins; k++)
        block[k] = staged + (size_t)k * padded * size;
    for (size_t r = begin; r < end; r++) {
        for (int k = 0; k < w->ins; k++) {
            const char *const from = w->args[k] + (ptrdiff_t)r * w->steps[k];
            if (w->half)
                cact_half_load(w->half, w->n, from, w->inner[k], (float *)block[k]);
            else
                load(w->type[k], w->dtype, w->n, from, w->inner[k], block[k]);
        }
        const void *const dy = block[0], *const x = block[w->ins - 1];
        void *const y = block[w->ins];
        w->loop(1, w->n, &dy, &x, &y);
        char *const to = w->args[w->ins] + (ptrdiff_t)r * w->steps[w->ins];
        if (w->half)
            cact_half_store(w->half, w->n, (const float *)block[w->ins], to, w->inner[w->ins]);
        else
            store(w->type[w->ins], w->n, block[w->ins], to, w->inner[w->ins]);
    }
    free(staged);
}

int cact_run_rows(int index, cact_op op, size_t rows, size_t n, char *const *args, const ptrdiff_t *steps,
                  const ptrdiff_t *inner, const cact_type *type)
{
    const isa *const here = active();
    const int ins = op == CACT_BACKWARD ? 2 : 1;
    const int dtype = type[ins] == CACT_DOUBLE ? CACT_F64 : CACT_F32;
    const cact_type own = dtype == CACT_F64 ? CACT_DOUBLE : CACT_FLOAT;
    int direct = 1;

    if (n == 0 || rows == 0)
        return 0;
    for (int k = 0; k <= ins; k++)
        direct &= type[k] == own && (inner[k] == (ptrdiff_t)sizes[own] || n == 1);
    rows_work w = {here->table[dtype][index].rows_loop[op == CACT_BACKWARD], args, steps, inner, type, n, ins, dtype,
                   is_half(type[ins]) ? &here->half[type[ins] - CACT_HALF] : NULL, 0};
    cact_piece *const piece = direct ? rows_piece : staged_rows_piece;
    FLAGS_SAVE;
    cact_in_pieces(ARITHMETIC, rows, sizes[own], n, piece, &w);
    FLAGS_RESTORE;
    return -w.failed;
}

/* ------------------------------------------------------------------ pieces */
typedef struct {
    cact_pieces *pieces;
    size_t n, k, size;
    const char *dy, *x;
    char *out;
    int x_many, out_many; /* whether they are on the side of the k; dy is on the other than x */
} pieces_work;

/* Rows so short that the processor does not foresee where the pieces of the next ones lie */
#define SHORT_ROW 1024 /* bytes of a piece */

static void fetch(const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE)
        __builtin_prefetch(from + i);
}

/* Elements begin to end of the side of the one */
static void pieces_piece(void *context, size_t begin, size_t end)
{
    const pieces_work *w = context;
    const size_t together = w->n == 1, k = w->k, n = together ? end : w->n, bytes = n * w->size;
    const char *const many = w->x_many ? w->x : w->dy; /* NULL: the output */
    const int foreseen = !many || bytes > SHORT_ROW;
    size_t row = begin / n, done = begin % n; /* of the row */
    for (size_t i = begin, count; i < end; i += count, row++, done = 0) {
        const size_t at[2] = {i * w->size, (i + (together ? i : row * n) * (k - 1)) * w->size};
        count = n - done < end - i ? n - done : end - i;
        if (!foreseen && count < end - i)
            fetch(many + (row + 1) * k * bytes, k * bytes);
        w->pieces(count, k, together ? k : 1, together ? 1 : n, w->dy ? w->dy + at[!w->x_many] : NULL,
                  w->x + at[w->x_many], w->out + at[w->out_many]);
    }
}

void cact_run_pieces(int index, cact_op op, cact_type type, size_t rows, size_t n, size_t k, const void *dy,
                     const void *x, void *out)
{
    const int dtype = type == CACT_DOUBLE ? CACT_F64 : CACT_F32, backward = op == CACT_BACKWARD;
    const cact_kernels *const of = &active()->table[dtype][index];
    const int joins = of->side == CACT_JOINS;
    pieces_work w = {of->pieces[backward], n, k, sizes[type], dy, x, out, joins, joins == backward};
    FLAGS_SAVE;
    cact_in_pieces(MEMORY, rows * n, w.size, k, pieces_piece, &w);
    FLAGS_RESTORE;
}
