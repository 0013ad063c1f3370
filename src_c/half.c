/* half.c - float16 and bfloat16, by way of the float kernels.
 *
 * A half type's result is that of the float kernel, rounded, which is at most 1 ULP of a float off and so decides
 * unless it lies midway between two numbers of the type; there the double kernel decides.  Products round each factor
 * first, for the same bits as dy * f.grad(x), as a * f(x), as dy * (a * f.grad(x)). */
#include "half.h"
#include "threads.h"

#define CHUNK 512 /* elements per block: all of it stays in the first-level cache */
#define MOST 64   /* computed in double at a time */

static const cact_op factors[CACT_OPS] = { /* of a product, which comes last */
    [CACT_FORWARD] = CACT_FORWARD, [CACT_GRAD] = CACT_GRAD, [CACT_BACKWARD] = CACT_GRAD,
    [CACT_VALUE_AND_GRAD] = CACT_VALUE_AND_GRAD, [CACT_PARAM_GRAD] = CACT_PARAM_GRAD,
    [CACT_GRAD_FROM_OUTPUT] = CACT_GRAD_FROM_OUTPUT, [CACT_BACKWARD_FROM_OUTPUT] = CACT_GRAD_FROM_OUTPUT,
    [CACT_GATE] = CACT_FORWARD, [CACT_GATE_BACKWARD] = CACT_VALUE_AND_GRAD, [CACT_LEARN] = CACT_LEARN};

/* What the loop of CACT_LEARN takes for dy, to have the factors */
static const float ones[CHUNK] = {[0 ... CHUNK - 1] = 1};
static const double double_ones[MOST] = {[0 ... MOST - 1] = 1};

typedef struct {
    uint16_t input[CACT_MAX_INPUTS][CHUNK], output[CACT_MAX_OUTPUTS][CHUNK], undecided[CHUNK];
    float x[CHUNK], result[CACT_MAX_OUTPUTS][CHUNK];
    double parameter[CACT_MAX_PARAMS][CHUNK];
    const double *p[CACT_MAX_PARAMS];
} block;

/* Rounded to odd: rounding once more, to a half type, is then as from the double itself. */
static float double_to_odd(double d)
{
    const float f = (float)d;
    if ((double)f == d || d != d)
        return f;
    return float_of((float_bits(f) - (__builtin_fabs((double)f) > __builtin_fabs(d))) | 1);
}

uint16_t cact_half_of(cact_type type, double v)
{
    return type == CACT_HALF ? float_to_half(double_to_odd(v)) : float_to_bfloat((float)v);
}

static size_t whole(size_t n) { return (n + CACT_LANES - 1) & ~(size_t)(CACT_LANES - 1); }

/* Output k, computed in double, where float results did not decide: `found` of them */
static void decide(const half_work *w, const block *b, size_t found, int k, uint16_t *y)
{
    double x[MOST], parameter[CACT_MAX_PARAMS][MOST], result[CACT_MAX_OUTPUTS][MOST];
    const double *p[CACT_MAX_PARAMS];
    const int learns = w->op == CACT_LEARN;
    const void *const in[CACT_MAX_INPUTS] = {learns ? double_ones : x, x};
    void *out[CACT_MAX_OUTPUTS];
    for (int j = 0; j < CACT_MAX_PARAMS; j++)
        p[j] = w->each ? parameter[j] : b->p[j];
    for (int j = 0; j < CACT_MAX_OUTPUTS; j++)
        out[j] = result[j];
    for (size_t done = 0; done < found; done += MOST) {
        const uint16_t *const at = b->undecided + done;
        const size_t n = found - done < MOST ? found - done : MOST;
        for (size_t i = 0; i < whole(n); i++) {
            const size_t from = at[i < n ? i : n - 1];
            x[i] = b->x[from];
            for (int j = 0; w->each && j < w->params; j++)
                parameter[j][i] = b->p[j][from];
        }
        w->twice->loop[factors[w->op]](whole(n), in, p, w->each, out);
        for (size_t i = 0; i < n; i++) {
            const float v = double_to_odd(result[k][i]);
            y[at[i]] = w->type == CACT_HALF ? float_to_half(v) : float_to_bfloat(v);
        }
    }
}

/* n numbers as whole contiguous blocks: where they lie, or staged and padded with 0. */
static const uint16_t *staged(size_t n, const char *from, ptrdiff_t step, uint16_t *into)
{
    if (step == 2 && n == whole(n))
        return (const uint16_t *)from;
    for (size_t i = 0; i < n; i++)
        memcpy(into + i, from + (ptrdiff_t)i * step, 2);
    memset(into + n, 0, (whole(n) - n) * 2);
    return into;
}

static uint16_t *place(size_t n, char *to, ptrdiff_t step, uint16_t *instead)
{
    return step == 2 && n == whole(n) ? (uint16_t *)to : instead;
}

static void put_staged(size_t n, const uint16_t *from, char *to, ptrdiff_t step)
{
    if (step == 2)
        memcpy(to, from, 2 * n);
    else
        for (size_t i = 0; i < n; i++)
            memcpy(to + (ptrdiff_t)i * step, from + i, 2);
}

void cact_half_load(const cact_half_loops *loops, size_t n, const char *from, ptrdiff_t step, float *into)
{
    uint16_t input[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        const size_t m = n - done < CHUNK ? n - done : CHUNK;
        loops->widen(whole(m), staged(m, from + (ptrdiff_t)done * step, step, input), into + done);
    }
}

void cact_half_store(const cact_half_loops *loops, size_t n, const float *from, char *to, ptrdiff_t step)
{
    uint16_t output[CHUNK], undecided[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK, to += CHUNK * step) {
        const size_t m = n - done < CHUNK ? n - done : CHUNK;
        uint16_t *const y = place(m, to, step, output);
        loops->narrow(whole(m), from + done, y, undecided);
        if (y == output)
            put_staged(m, output, to, step);
    }
}

static void stage_parameters(const half_work *w, block *b, size_t done, size_t n, size_t padded)
{
    for (int k = 0; k < w->params; k++) {
        const char *const from = w->args[w->ins + k] + (ptrdiff_t)done * w->steps[w->ins + k];
        for (size_t i = 0; i < padded; i++)
            memcpy(&b->parameter[k][i], from + (ptrdiff_t)(i < n ? i : n - 1) * w->steps[w->ins + k], 8);
        b->p[k] = b->parameter[k];
    }
}

static void half_piece(void *context, size_t begin, size_t end)
{
    const half_work *const w = context;
    const int x = w->ins - 1, first_out = w->ins + w->params;
    cact_loop *const loop = w->single->loop[factors[w->op]];
    block b;
    const int learns = w->op == CACT_LEARN;
    const void *const in[CACT_MAX_INPUTS] = {learns ? ones : b.x, b.x};
    void *out[CACT_MAX_OUTPUTS];
    for (int k = 0; k < CACT_MAX_OUTPUTS; k++)
        out[k] = b.result[k];
    for (int k = 0; k < CACT_MAX_PARAMS; k++)
        b.p[k] = k < w->params ? (const double *)w->args[w->ins + k] : NULL;
    for (size_t done = begin; done < end; done += CHUNK) {
        const size_t n = end - done < CHUNK ? end - done : CHUNK;
        const size_t padded = whole(n);
        const uint16_t *h[CACT_MAX_INPUTS];
        uint16_t *to[CACT_MAX_OUTPUTS];
        char *at[CACT_MAX_OUTPUTS];
        for (int k = 0; k < w->ins; k++)
            h[k] = staged(n, w->args[k] + (ptrdiff_t)done * w->steps[k], w->steps[k], b.input[k]);
        for (int k = 0; k < w->outs; k++) {
            const ptrdiff_t step = w->steps[first_out + k];
            at[k] = w->args[first_out + k] + (ptrdiff_t)done * step;
            to[k] = w->op == CACT_GATE_BACKWARD ? b.output[k] : place(n, at[k], step, b.output[k]);
        }
        if (w->each)
            stage_parameters(w, &b, done, n, padded);
        w->loops->widen(padded, h[x], b.x);
        loop(padded, in, b.p, w->each, out);
        for (int k = 0; k < w->outs; k++) {
            uint16_t *const y = x > 0 ? b.output[k] : to[k];
            const size_t found = w->loops->narrow(padded, b.result[k], y, b.undecided);
            if (found)
                decide(w, &b, found, k, y);
        }
        if (w->op == CACT_GATE_BACKWARD) { /* dy and the value may be where an output is */
            w->loops->times(padded, h[1], b.output[1], b.output[1]);
            w->loops->times(padded, h[0], b.output[1], b.output[1]);
        }
        for (int k = learns ? w->params : 0; x > 0 && k >= 0; k--) /* dx, which may be where dy is, last */
            w->loops->times(padded, h[0], b.output[k], to[k]);
        for (int k = 0; k < w->outs; k++)
            if (to[k] == b.output[k])
                put_staged(n, to[k], at[k], w->steps[first_out + k]);
    }
}

void cact_run_half(const half_work *w, size_t n)
{
    half_work own = *w;
    cact_in_pieces(ARITHMETIC, n, sizeof(float), 1, half_piece, &own); /* pieces are multiples of CHUNK */
}
