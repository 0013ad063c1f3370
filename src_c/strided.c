/* strided.c - operands of any number of dimensions and any steps.
 *
 * Dimensions are put in the order of the output's steps, and merged where all operands allow it.  Stretches along the
 * last one are computed where they lie if they are contiguous; else tiles of at most CHUNK elements are gathered and
 * scattered, square ones where an operand is contiguous along another dimension than the output. */
#include <limits.h>
#include <string.h>

#include "flags.h"
#include "operands.h"
#include "strided.h"
#include "threads.h"

#define CHUNK 256     /* elements of a tile: all of it stays in the first-level cache */
#define SIDE 16       /* of a square one */
#define TOGETHER 4096 /* elements that a thread takes at a time, at least */
#define REPEATED 16384 /* bytes that go together where parameters repeat: 1.2 times slower at a half, Zen 4 */
#define OPERANDS (CACT_MAX_INPUTS + CACT_MAX_PARAMS + CACT_MAX_OUTPUTS)

typedef struct {
    size_t size;
    ptrdiff_t step[OPERANDS];
} dimension;

typedef struct {
    const strided_call *call;
    int operands, first_out, dims, each, direct, repeated; /* the parameters, from one stretch to the next */
    size_t bytes;                    /* of an element */
    char *at[OPERANDS];              /* the first elements */
    dimension dim[CACT_MAX_DIMS + 2]; /* the last two are those of the tiles */
    size_t rows, columns;            /* of a tile */
} strided_work;

/* ------------------------------------------------------------------ dimensions */
static ptrdiff_t length(ptrdiff_t step) { return step < 0 ? -step : step; }

/* Without those of one element, none backwards in the output, by its steps in falling order. */
static void put_in_order(strided_work *w, const size_t *shape)
{
    const strided_call *const c = w->call;
    w->dims = 0;
    for (int d = 0; d < c->dims; d++) {
        dimension here = {.size = shape[d]};
        if (here.size == 1)
            continue;
        const int backwards = c->steps[w->first_out][d] < 0;
        for (int k = 0; k < w->operands; k++) {
            here.step[k] = backwards ? -c->steps[k][d] : c->steps[k][d];
            if (backwards)
                w->at[k] += c->steps[k][d] * (ptrdiff_t)(here.size - 1);
        }
        int place = w->dims++;
        for (; place > 0 && w->dim[place - 1].step[w->first_out] < here.step[w->first_out]; place--)
            w->dim[place] = w->dim[place - 1];
        w->dim[place] = here;
    }
}

static void merge(strided_work *w)
{
    int last = 0;
    for (int d = 1; d < w->dims; d++) {
        dimension *const outer = &w->dim[last], *const inner = &w->dim[d];
        int one = 1;
        for (int k = 0; k < w->operands; k++)
            one &= outer->step[k] == (ptrdiff_t)inner->size * inner->step[k];
        if (one)
            inner->size *= outer->size;
        else
            last++;
        w->dim[last] = *inner;
    }
    w->dims = last + 1;
}

/* The dimension, other than the last, along which an operand is closer together than along that; or -1 */
static int across(const strided_work *w)
{
    const dimension *const last = &w->dim[w->dims - 1];
    for (int k = 0; k < w->operands; k++)
        for (int d = 0; d < w->dims - 1; d++)
            if (w->dim[d].step[k] && length(w->dim[d].step[k]) < length(last->step[k]))
                return d;
    return -1;
}

/* Whether stretches along the last dimension can be computed where they lie */
static int lies_in_stretches(const strided_work *w)
{
    const strided_call *const c = w->call;
    const dimension *const last = &w->dim[w->dims - 1];
    int direct = last->size >= CACT_LANES;
    for (int k = 0; k < w->operands; k++)
        if (k < c->ins || k >= w->first_out)
            direct &= c->type[k] == c->own && last->step[k] == (ptrdiff_t)w->bytes;
        else
            direct &= last->step[k] == (w->each ? 8 : 0);
    for (int k = 0; k < c->ins; k++) /* the last block of a stretch overlaps the one before */
        for (int j = w->first_out; j < w->operands; j++)
            direct &= last->size % CACT_LANES == 0 || w->at[k] != w->at[j];
    return direct;
}

/* Whether contiguous stretches follow each other down to the next dimension, all with the same parameters */
static int repeats(const strided_work *w)
{
    const dimension *const along = &w->dim[w->dims - 1], *const down = along - 1;
    int same = w->direct && w->each && w->call->plain && along->size <= INT_MAX;
    for (int k = 0; k < w->operands; k++)
        same &= down->step[k] == (k < w->call->ins || k >= w->first_out ? (ptrdiff_t)(along->size * w->bytes) : 0);
    return same;
}

static void choose_tiles(strided_work *w)
{
    const int turned = across(w);
    if (w->dims == 1) { /* one row */
        w->dim[1] = w->dim[0];
        w->dim[0] = (dimension){.size = 1};
        w->dims = 2;
    } else if (turned >= 0) {
        const dimension t = w->dim[turned];
        memmove(&w->dim[turned], &w->dim[turned + 1], (size_t)(w->dims - 2 - turned) * sizeof t);
        w->dim[w->dims - 2] = t;
    }
    const size_t columns = w->dim[w->dims - 1].size, rows = w->dim[w->dims - 2].size;
    w->columns = turned >= 0 ? SIDE : CHUNK;
    w->columns = columns < w->columns ? columns : w->columns;
    w->rows = CHUNK / w->columns;
    w->rows = rows < w->rows ? rows : w->rows;
    if (turned >= 0) { /* of what is left in one the other has more */
        const size_t most = CHUNK / w->rows;
        w->columns = columns < most ? columns : most;
    }
}

/* ------------------------------------------------------------------ tiles */
typedef struct {
    double operand[OPERANDS][CHUNK];
    const void *in[CACT_MAX_INPUTS];
    const double *p[CACT_MAX_PARAMS];
    void *out[CACT_MAX_OUTPUTS];
} tile;

#if defined(__SSE__)
#include <xmmintrin.h>
/* Four times four floats, turned */
static void turn_4(const char *from, ptrdiff_t step, float *into, size_t row)
{
    __m128 a = _mm_loadu_ps((const float *)from), b = _mm_loadu_ps((const float *)(from + step));
    __m128 c = _mm_loadu_ps((const float *)(from + 2 * step)), d = _mm_loadu_ps((const float *)(from + 3 * step));
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(into, a);
    _mm_storeu_ps(into + row, b);
    _mm_storeu_ps(into + 2 * row, c);
    _mm_storeu_ps(into + 3 * row, d);
}
#else
static void turn_4(const char *from, ptrdiff_t step, float *into, size_t row)
{
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            memcpy(into + j * row + i, from + (ptrdiff_t)i * step + (ptrdiff_t)j * 4, 4);
}
#endif

#define TURNED(type)                                                                                        \
    for (size_t i = 0; i < columns; i++)                                                                    \
        for (size_t j = 0; j < rows; j++)                                                                   \
            memcpy((type *)into + j * columns + i, from + (ptrdiff_t)i * along + (ptrdiff_t)j * down, sizeof(type))

/* Rows `down` bytes apart of elements `along` bytes apart, as contiguous floats or doubles */
static void gather(const strided_work *w, int k, size_t rows, size_t columns, const char *from, ptrdiff_t down,
                   ptrdiff_t along, void *into)
{
    const cact_type type = w->call->type[k];
    const int real_type = type == w->call->own, dtype = k < w->call->ins && w->bytes == 4 ? CACT_F32 : CACT_F64;
    const size_t bytes = dtype == CACT_F32 ? 4 : 8;
    if (real_type && bytes == 4 && down == 4 && rows % 4 == 0 && columns % 4 == 0)
        for (size_t i = 0; i < columns; i += 4)
            for (size_t j = 0; j < rows; j += 4)
                turn_4(from + (ptrdiff_t)i * along + (ptrdiff_t)j * 4, along, (float *)into + j * columns + i, columns);
    else if (real_type && length(down) < length(along)) {
        if (bytes == 4)
            TURNED(float);
        else
            TURNED(double);
    } else
        for (size_t j = 0; j < rows; j++, from += down)
            load(type, dtype, columns, from, along, (char *)into + j * columns * bytes);
}

static void scatter(const strided_work *w, size_t rows, size_t columns, const void *from, char *to, ptrdiff_t down,
                    ptrdiff_t along)
{
    for (size_t j = 0; j < rows; j++)
        store(w->call->own, columns, (const char *)from + j * columns * w->bytes, to + (ptrdiff_t)j * down, along);
}

static void run_tile(const strided_work *w, tile *t, char *const *at, size_t rows, size_t columns)
{
    const dimension *const along = &w->dim[w->dims - 1], *const down = along - 1;
    const strided_call *const c = w->call;
    const size_t n = rows * columns, padded = (n + CACT_LANES - 1) & ~(size_t)(CACT_LANES - 1);
    for (int k = 0; k < w->first_out; k++) {
        const int parameter = k >= c->ins, one = parameter && !w->each;
        const size_t bytes = parameter ? 8 : w->bytes;
        gather(w, k, one ? 1 : rows, one ? 1 : columns, at[k], down->step[k], along->step[k], t->operand[k]);
        for (size_t i = n; !one && i < padded; i++)
            memcpy((char *)t->operand[k] + i * bytes, (char *)t->operand[k] + (n - 1) * bytes, bytes);
    }
    c->loop(padded, t->in, t->p, w->each, t->out);
    for (int k = w->first_out; k < w->operands; k++)
        scatter(w, rows, columns, t->operand[k], at[k], down->step[k], along->step[k]);
}

/* Stretches that are `down` from each other */
static void run_stretches(const strided_work *w, char *const *at, const dimension *down, size_t rows)
{
    const strided_call *const c = w->call;
    const size_t n = w->dim[w->dims - 1].size, whole = n - n % CACT_LANES, rest = n - whole ? n - CACT_LANES : 0;
    const char *in[CACT_MAX_INPUTS] = {0}, *p[CACT_MAX_PARAMS] = {0};
    char *out[CACT_MAX_OUTPUTS] = {0};
    memcpy(in, at, (size_t)c->ins * sizeof *at);
    memcpy(p, at + c->ins, (size_t)c->params * sizeof *at);
    memcpy(out, at + w->first_out, (size_t)c->outs * sizeof *at);
    if (w->repeated) {
        c->loop(rows * n, (const void *const *)in, (const double *const *)p, (int)n, (void *const *)out);
        return;
    }
    for (size_t j = 0; j < rows; j++) {
        c->loop(whole, (const void *const *)in, (const double *const *)p, w->each, (void *const *)out);
        for (int again = rest != 0; again >= 0; again--) { /* to the last block, which may overlap others; to the next row */
            const ptrdiff_t far = again ? (ptrdiff_t)rest : -(ptrdiff_t)rest;
            for (int k = 0; k < c->ins; k++)
                in[k] += far * (ptrdiff_t)w->bytes + (again ? 0 : down->step[k]);
            for (int k = 0; k < c->params; k++)
                p[k] += (w->each ? far * 8 : 0) + (again ? 0 : down->step[c->ins + k]);
            for (int k = 0; k < c->outs; k++)
                out[k] += far * (ptrdiff_t)w->bytes + (again ? 0 : down->step[w->first_out + k]);
            if (again)
                c->loop(CACT_LANES, (const void *const *)in, (const double *const *)p, w->each, (void *const *)out);
        }
    }
}

/* Bands of rows of tiles, in the order of the outer dimensions */
static void strided_piece(void *context, size_t begin, size_t end)
{
    const strided_work *const w = context;
    const dimension *const along = &w->dim[w->dims - 1], *const down = along - 1;
    const size_t bands = (down->size + w->rows - 1) / w->rows;
    tile t;
    for (int k = 0; k < w->first_out; k++)
        if (k < w->call->ins)
            t.in[k] = t.operand[k];
        else
            t.p[k - w->call->ins] = t.operand[k];
    for (int k = w->first_out; k < w->operands; k++)
        t.out[k - w->first_out] = t.operand[k];
    for (size_t i = begin; i < end; i++) {
        const size_t first = i % bands * w->rows, rows = down->size - first < w->rows ? down->size - first : w->rows;
        char *row[OPERANDS], *at[OPERANDS];
        for (int k = 0; k < w->operands; k++)
            row[k] = w->at[k] + (ptrdiff_t)first * down->step[k];
        size_t rest = i / bands;
        for (int d = w->dims - 3; d >= 0; rest /= w->dim[d].size, d--)
            for (int k = 0; k < w->operands; k++)
                row[k] += (ptrdiff_t)(rest % w->dim[d].size) * w->dim[d].step[k];
        if (w->direct)
            run_stretches(w, row, down, rows);
        for (size_t done = 0; !w->direct && done < along->size; done += w->columns) {
            for (int k = 0; k < w->operands; k++)
                at[k] = row[k] + (ptrdiff_t)done * along->step[k];
            run_tile(w, &t, at, rows, along->size - done < w->columns ? along->size - done : w->columns);
        }
    }
}

void cact_strided(const strided_call *call, const size_t *shape, char *const *args)
{
    strided_work w = {.call = call, .operands = call->ins + call->params + call->outs, .first_out = call->ins + call->params,
                      .bytes = sizes[call->own]};
    memcpy(w.at, args, (size_t)w.operands * sizeof *args);
    put_in_order(&w, shape);
    if (w.dims == 0) /* one element */
        w.dim[w.dims++] = (dimension){.size = 1};
    merge(&w);
    for (int k = call->ins; k < w.first_out; k++) /* of a stretch */
        w.each |= w.dim[w.dims - 1].step[k] != 0;
    w.direct = lies_in_stretches(&w);
    for (int d = 0; !w.direct && d < w.dims; d++) /* of a tile */
        for (int k = call->ins; k < w.first_out; k++)
            w.each |= w.dim[d].step[k] != 0;
    choose_tiles(&w);
    const dimension *const along = &w.dim[w.dims - 1], *const down = along - 1;
    w.repeated = repeats(&w);
    if (w.direct) {
        const size_t rows = w.repeated ? REPEATED / (w.bytes * along->size) : TOGETHER / along->size;
        w.rows = rows < 1 ? 1 : rows < down->size ? rows : down->size;
    }
    size_t bands = (down->size + w.rows - 1) / w.rows;
    for (int d = 0; d < w.dims - 2; d++)
        bands *= w.dim[d].size;
    FLAGS_SAVE;
    cact_in_pieces(call->heavy, bands, w.bytes, w.rows * along->size, strided_piece, &w);
    FLAGS_RESTORE;
}
