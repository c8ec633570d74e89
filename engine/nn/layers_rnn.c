/* SPDX-License-Identifier: MIT
 * LSTM steps and sequences; the two halves of a step are operations (nn/op_rnn.c). */
#include "base/mem.h"
#include "nn/layers.h"

static int lstm_half(struct phi_graph *graph, enum phi_op op, const int *in, bool hard)
{
    struct phi_shape gates = phi_graph_shape(graph, in[0]), c = phi_graph_shape(graph, in[1]);
    struct phi_node node = {.op = op, .n_in = 2, .in = {in[0], in[1]}, .shape = c, .a = {hard}};
    char tg[PHI_SHAPE_TEXT], tc[PHI_SHAPE_TEXT];

    if (in[0] < 0 || in[1] < 0)
        return -1;
    c.dim[1] *= 4;
    if (c.n_dims < 2 || !phi_shape_equal(&gates, &c))
        return phi_graph_fail(graph, PH_E_SHAPE,
                              "layer 'lstm' got gates of shape %s for a cell of shape %s",
                              phi_shape_text(&gates, tg), phi_shape_text(&node.shape, tc));
    return phi_graph_append(graph, &node);
}

int phi_graph_lstm_cell(struct phi_graph *graph, int gates, int c, bool hard)
{
    return lstm_half(graph, PHI_OP_LSTM_CELL, (const int[]){gates, c}, hard);
}

int phi_graph_lstm_output(struct phi_graph *graph, int gates, int new_c, bool hard)
{
    return lstm_half(graph, PHI_OP_LSTM_OUTPUT, (const int[]){gates, new_c}, hard);
}

void phi_graph_lstm_step(struct phi_graph *graph, const struct phi_lstm *lstm, int x, int *h,
                         int *c)
{
    int gates = phi_graph_add(graph, phi_graph_linear(graph, x, lstm->weight_ih, lstm->bias),
                              phi_graph_linear(graph, *h, lstm->weight_hh, -1));

    *c = phi_graph_lstm_cell(graph, gates, *c, false);
    *h = phi_graph_lstm_output(graph, gates, *c, false);
}

/* Joins any number of steps along the first axis, as a tree; overwrites step[n]. */
static int join_steps(struct phi_graph *graph, int *step, size_t n)
{
    while (n > 1) {
        size_t n_joined = 0;

        for (size_t i = 0; i < n; i += PHI_NODE_INPUTS) {
            size_t part = n - i < PHI_NODE_INPUTS ? n - i : PHI_NODE_INPUTS;

            step[n_joined++] = phi_graph_concat(graph, 0, step + i, (int)part);
        }
        n = n_joined;
    }
    return step[0];
}

/* [h] of the weights [4h][h]; 0 and a note if x is no sequence or the weights are none. */
static size_t sequence_width(struct phi_graph *graph, const struct phi_lstm *lstm, int x)
{
    struct phi_shape sx = phi_graph_shape(graph, x);
    struct phi_shape hh = phi_graph_shape(graph, lstm->weight_hh);
    char tx[PHI_SHAPE_TEXT], tw[PHI_SHAPE_TEXT];

    if (x < 0 || lstm->weight_hh < 0)
        return 0;
    if (sx.n_dims == 3 && hh.n_dims == 2 && hh.dim[0] == 4 * hh.dim[1])
        return hh.dim[1];
    (void)phi_graph_fail(graph, PH_E_SHAPE,
                         "layer 'lstm' got a sequence of shape %s and weights of shape %s",
                         phi_shape_text(&sx, tx), phi_shape_text(&hh, tw));
    return 0;
}

/* Step t of x [t][n][in]. */
static int step_of(struct phi_graph *graph, int x, size_t t)
{
    struct phi_shape shape = phi_graph_shape(graph, x);

    return phi_graph_reshape(graph, phi_graph_slice(graph, x, 0, t, 1),
                             PHI_SHAPE(shape.dim[1], shape.dim[2]));
}

int phi_graph_lstm(struct phi_graph *graph, const struct phi_lstm *lstm, int x, bool backward,
                   struct phi_lstm_state *ret_end)
{
    struct phi_shape shape = phi_graph_shape(graph, x);
    size_t width = sequence_width(graph, lstm, x), n = shape.dim[0];
    int *step = width ? phi_calloc(n, sizeof *step) : NULL;
    struct phi_lstm_state now;
    int out;

    if (!step)
        return phi_graph_fail(graph, PH_E_NOMEM, "out of memory for a sequence");
    now.h = phi_graph_constant(graph, PHI_SHAPE(shape.dim[1], width), NULL);
    now.c = now.h;
    for (size_t i = 0; i < n; i++) {
        size_t t = backward ? n - 1 - i : i;

        phi_graph_lstm_step(graph, lstm, step_of(graph, x, t), &now.h, &now.c);
        step[t] = phi_graph_reshape(graph, now.h, PHI_SHAPE(1, shape.dim[1], width));
    }
    out = join_steps(graph, step, n);
    phi_free(step);
    if (ret_end)
        *ret_end = now;
    return out;
}

int phi_graph_bilstm(struct phi_graph *graph, const struct phi_lstm *forward_backward, int x,
                     struct phi_lstm_state *ret_ends)
{
    int part[2];

    for (int d = 0; d < 2; d++)
        part[d] =
            phi_graph_lstm(graph, &forward_backward[d], x, d == 1, ret_ends ? &ret_ends[d] : NULL);
    return phi_graph_concat(graph, 2, part, 2);
}
