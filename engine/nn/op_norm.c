/* SPDX-License-Identifier: MIT
 * Batch normalisation. */
#include <math.h>

#include "base/mem.h"
#include "base/simd.h"
#include "nn/op.h"

/* [n][c][inner]; the state keeps mean and 1/sd [2][c] of the last forward pass. */
struct norm_shape {
    size_t n, c, inner;
};

static struct norm_shape norm_shape(const struct phi_op_run *run)
{
    struct norm_shape s = {run->node->shape.dim[0], run->node->shape.dim[1], 1};

    for (int i = 2; i < run->node->shape.n_dims; i++)
        s.inner *= run->node->shape.dim[i];
    return s;
}

static enum ph_status prepare_norm(struct phi_op_run *run, bool backward, struct ph_error *reterr)
{
    (void)backward;
    (void)reterr;
    run->state = phi_calloc(2 * run->node->shape.dim[1], sizeof(float));
    return run->state ? PH_OK : PH_E_NOMEM;
}

/* Sums are formed in double in this many lanes, so that they are vector loops with one order. */
#define LANES ((size_t)8)

static double add_lanes(const double *lane)
{
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
           ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

/* lane[] += x[i], or its squared distance from `mean`. */
PHI_VECTOR static void add_up(const float *restrict x, size_t n, double *restrict lane)
{
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lane[l] += (double)x[i + l];
    }
    for (; i < n; i++)
        lane[0] += (double)x[i];
}

PHI_VECTOR static void add_squares(const float *restrict x, size_t n, double mean,
                                   double *restrict lane)
{
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t l = 0; l < LANES; l++)
            lane[l] += ((double)x[i + l] - mean) * ((double)x[i + l] - mean);
    }
    for (; i < n; i++)
        lane[0] += ((double)x[i] - mean) * ((double)x[i] - mean);
}

/* Batch mean and biased variance of channel c, in two passes and in double. */
static void batch_moments(const struct phi_op_run *run, const struct norm_shape *s, size_t c,
                          double *ret_moments)
{
    double sum[LANES] = {0}, square[LANES] = {0}, count = (double)(s->n * s->inner), mean;

    for (size_t n = 0; n < s->n; n++)
        add_up(run->in[0] + (n * s->c + c) * s->inner, s->inner, sum);
    mean = add_lanes(sum) / count;
    for (size_t n = 0; n < s->n; n++)
        add_squares(run->in[0] + (n * s->c + c) * s->inner, s->inner, mean, square);
    ret_moments[0] = mean;
    ret_moments[1] = add_lanes(square) / count;
}

static void update_running(struct phi_op_run *run, size_t c, const double *moments, double count)
{
    double momentum = (double)run->node->f[1];
    double unbiased = count > 1 ? moments[1] * count / (count - 1) : moments[1];

    run->in[3][c] = (float)((1 - momentum) * (double)run->in[3][c] + momentum * moments[0]);
    run->in[4][c] = (float)((1 - momentum) * (double)run->in[4][c] + momentum * unbiased);
}

/* y = (x - mean) scale + shift; numbers = {mean, scale, shift}. */
PHI_VECTOR static void normalise(const float *restrict x, float *restrict y, size_t n,
                                 const float *numbers)
{
    float mean = numbers[0], scale = numbers[1], shift = numbers[2];

    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale + shift;
}

static void normalise_channel(struct phi_op_run *run, const struct norm_shape *s, size_t c)
{
    double moments[2] = {(double)run->in[3][c], (double)run->in[4][c]};
    float *state = run->state;
    float numbers[3];

    if (run->train) {
        batch_moments(run, s, c, moments);
        if (!run->again)
            update_running(run, c, moments, (double)(s->n * s->inner));
    }
    state[c] = (float)moments[0];
    state[s->c + c] = (float)(1 / sqrt(moments[1] + (double)run->node->f[0]));
    numbers[0] = state[c];
    numbers[1] = state[s->c + c] * run->in[1][c];
    numbers[2] = run->in[2][c];
    for (size_t n = 0; n < s->n; n++)
        normalise(run->in[0] + (n * s->c + c) * s->inner, run->out + (n * s->c + c) * s->inner,
                  s->inner, numbers);
}

static enum ph_status forward_norm(struct phi_op_run *run)
{
    struct norm_shape s = norm_shape(run);

    PHI_PARALLEL(s.n * s.c * s.inner)
    for (size_t c = 0; c < s.c; c++)
        normalise_channel(run, &s, c);
    return PH_OK;
}

/* lane[0..7] += g[i] and lane[8..15] += g[i] times the normalised x[i]; centre = {mean, 1/sd}. */
PHI_VECTOR static void add_gradients(const float *restrict x, const float *restrict g, size_t n,
                                     const float *centre, double *restrict lane)
{
    float mean = centre[0], inverse = centre[1];
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            lane[l] += (double)g[i + l];
            lane[LANES + l] += (double)g[i + l] * (double)((x[i + l] - mean) * inverse);
        }
    }
    for (; i < n; i++) {
        lane[0] += (double)g[i];
        lane[LANES] += (double)g[i] * (double)((x[i] - mean) * inverse);
    }
}

/* What the gradient of the input is made of. */
struct input_gradient {
    const float *x, *g;
    float *gx;
    size_t n;
    bool fresh;
    float numbers[5]; /* mean, 1/sd, scale, a, b */
};

/* gx = or += scale (g - a - normalised x times b). */
PHI_VECTOR static void put_input_gradient(const struct input_gradient *r)
{
    const float *restrict x = r->x, *restrict g = r->g;
    float *restrict gx = r->gx;
    float mean = r->numbers[0], inverse = r->numbers[1], scale = r->numbers[2];
    float a = r->numbers[3], b = r->numbers[4];

    if (r->fresh) {
        for (size_t i = 0; i < r->n; i++)
            gx[i] = scale * (g[i] - a - (x[i] - mean) * inverse * b);
        return;
    }
    for (size_t i = 0; i < r->n; i++)
        gx[i] += scale * (g[i] - a - (x[i] - mean) * inverse * b);
}

static void norm_gradient(struct phi_op_run *run, const struct norm_shape *s, size_t c)
{
    const float *state = run->state;
    struct input_gradient r = {
        .n = s->inner,
        .fresh = run->fresh,
        .numbers = {state[c], state[s->c + c], run->in[1][c] * state[s->c + c]}};
    double lane[2 * LANES] = {0}, count = (double)(s->n * s->inner), sum, dot;

    for (size_t n = 0; n < s->n; n++) {
        size_t at = (n * s->c + c) * s->inner;

        add_gradients(run->in[0] + at, run->grad_out + at, s->inner, r.numbers, lane);
    }
    sum = add_lanes(lane);
    dot = add_lanes(lane + LANES);
    if (run->grad_in[1])
        run->grad_in[1][c] += (float)dot;
    if (run->grad_in[2])
        run->grad_in[2][c] += (float)sum;
    r.numbers[3] = run->train ? (float)(sum / count) : 0;
    r.numbers[4] = run->train ? (float)(dot / count) : 0;
    for (size_t n = 0; n < s->n && run->grad_in[0]; n++) {
        size_t at = (n * s->c + c) * s->inner;

        r.x = run->in[0] + at;
        r.g = run->grad_out + at;
        r.gx = run->grad_in[0] + at;
        put_input_gradient(&r);
    }
}

static enum ph_status backward_norm(struct phi_op_run *run)
{
    struct norm_shape s = norm_shape(run);

    PHI_PARALLEL(s.n * s.c * s.inner)
    for (size_t c = 0; c < s.c; c++)
        norm_gradient(run, &s, c);
    return PH_OK;
}

const struct phi_op_kind phi_op_batch_norm = {"batch norm",  prepare_norm, forward_norm,
                                              backward_norm, phi_free,     true};
