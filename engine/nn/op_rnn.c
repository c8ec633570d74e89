/* SPDX-License-Identifier: MIT
 * The two halves of an LSTM step and PredNet's error pair, on [n][c][inner] arrays. */
#include <string.h>

#include "nn/op.h"
#include "nn/vmath.h"

/* [n][c][inner] of the cell; gates have four times the channels, in the order i, f, g, o. */
struct cell_shape {
    size_t n, size; /* size = c * inner */
};

static struct cell_shape cell_shape(const struct phi_op_run *run)
{
    size_t n = run->node->shape.dim[0];

    return (struct cell_shape){n, phi_shape_count(&run->node->shape) / n};
}

static float gate(float x, bool hard)
{
    return hard ? phi_hard_sigmoidf(x) : phi_sigmoidf(x);
}

static float gate_slope(float x, float y, bool hard)
{
    if (hard)
        return x > -2.5f && x < 2.5f ? 0.2f : 0;
    return y * (1 - y);
}

static enum ph_status forward_cell(struct phi_op_run *run)
{
    struct cell_shape s = cell_shape(run);
    bool hard = run->node->a[0] != 0;

    for (size_t n = 0; n < s.n; n++) {
        const float *gates = run->in[0] + 4 * n * s.size, *c = run->in[1] + n * s.size;
        float *out = run->out + n * s.size;

        PHI_PARALLEL(s.size)
        for (size_t k = 0; k < s.size; k++)
            out[k] = gate(gates[s.size + k], hard) * c[k] +
                     gate(gates[k], hard) * phi_tanhf(gates[2 * s.size + k]);
    }
    return PH_OK;
}

static enum ph_status backward_cell(struct phi_op_run *run)
{
    struct cell_shape s = cell_shape(run);
    bool hard = run->node->a[0] != 0;

    for (size_t at = 0; at < s.n * s.size; at++) {
        size_t n = at / s.size, k = at % s.size;
        const float *gates = run->in[0] + 4 * n * s.size + k;
        float d = run->grad_out[at], i = gate(gates[0], hard), f = gate(gates[s.size], hard);
        float g = phi_tanhf(gates[2 * s.size]);

        if (run->grad_in[1])
            run->grad_in[1][at] += d * f;
        if (run->grad_in[0]) {
            float *to = run->grad_in[0] + 4 * n * s.size + k;

            to[0] += d * g * gate_slope(gates[0], i, hard);
            to[s.size] += d * run->in[1][at] * gate_slope(gates[s.size], f, hard);
            to[2 * s.size] += d * i * (1 - g * g);
        }
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_lstm_cell = {"lstm cell",   NULL, forward_cell,
                                             backward_cell, NULL, false};

static enum ph_status forward_output(struct phi_op_run *run)
{
    struct cell_shape s = cell_shape(run);
    bool hard = run->node->a[0] != 0;

    for (size_t n = 0; n < s.n; n++) {
        const float *o = run->in[0] + (4 * n + 3) * s.size, *c = run->in[1] + n * s.size;
        float *out = run->out + n * s.size;

        PHI_PARALLEL(s.size)
        for (size_t k = 0; k < s.size; k++)
            out[k] = gate(o[k], hard) * phi_tanhf(c[k]);
    }
    return PH_OK;
}

static enum ph_status backward_output(struct phi_op_run *run)
{
    struct cell_shape s = cell_shape(run);
    bool hard = run->node->a[0] != 0;

    for (size_t at = 0; at < s.n * s.size; at++) {
        size_t n = at / s.size, k = at % s.size, at_o = (4 * n + 3) * s.size + k;
        float d = run->grad_out[at], x = run->in[0][at_o], o = gate(x, hard);
        float t = phi_tanhf(run->in[1][at]);

        if (run->grad_in[0])
            run->grad_in[0][at_o] += d * t * gate_slope(x, o, hard);
        if (run->grad_in[1])
            run->grad_in[1][at] += d * o * (1 - t * t);
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_lstm_output = {"lstm output",   NULL, forward_output,
                                               backward_output, NULL, false};

static enum ph_status forward_pair(struct phi_op_run *run)
{
    size_t n_rows = run->in_shape[0].dim[0], size = phi_shape_count(&run->in_shape[0]) / n_rows;

    for (size_t n = 0; n < n_rows; n++) {
        const float *a = run->in[0] + n * size, *b = run->in[1] + n * size;
        float *out = run->out + 2 * n * size;

        for (size_t k = 0; k < size; k++) {
            float d = a[k] - b[k];

            out[k] = d > 0 ? d : 0;
            out[size + k] = d < 0 ? -d : 0;
        }
    }
    return PH_OK;
}

static enum ph_status backward_pair(struct phi_op_run *run)
{
    size_t n_rows = run->in_shape[0].dim[0], size = phi_shape_count(&run->in_shape[0]) / n_rows;

    for (size_t at = 0; at < n_rows * size; at++) {
        size_t base = at / size * 2 * size + at % size;
        float d = run->in[0][at] - run->in[1][at];
        float g = d > 0 ? run->grad_out[base] : d < 0 ? -run->grad_out[base + size] : 0;

        if (run->grad_in[0])
            run->grad_in[0][at] += g;
        if (run->grad_in[1])
            run->grad_in[1][at] -= g;
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_error_pair = {"error pair",  NULL, forward_pair,
                                              backward_pair, NULL, false};
