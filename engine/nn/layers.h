/* SPDX-License-Identifier: MIT
 *
 * Layers: each call appends one node (or a few) to the graph, checks shapes and returns the node of
 * its output; -1 in, -1 out (nn/graph.h). Pictures are [n][c][h][w], weights as stated, and -1 for
 * a bias means none. Backward conventions at kinks: relu'(0) = 0, max pooling takes the first of
 * equal values.
 */
#ifndef PHI_NN_LAYERS_H
#define PHI_NN_LAYERS_H

#include "nn/graph.h"

enum phi_unary {
    PHI_RELU,
    PHI_LEAKY_RELU, /* slope f0 below 0 */
    PHI_ELU,        /* f0 (exp(x) - 1) below 0 */
    PHI_SIGMOID,
    PHI_HARD_SIGMOID, /* Keras: clip(0.2 x + 0.5, 0, 1) */
    PHI_TANH,
    PHI_SOFTPLUS, /* log(1 + exp(x)), without overflow */
    PHI_EXP,
    PHI_LOG,
    PHI_SQUARE,
    PHI_SQRT,
    PHI_ABS,
    PHI_AFFINE, /* f0 x + f1 */
    PHI_CLIP,   /* into [f0, f1]; gradient 0 outside */
    PHI_N_UNARY
};

enum phi_binary { PHI_ADD, PHI_SUB, PHI_MUL, PHI_DIV };

/* Cross-correlation with zero padding; weight [out][in][k][k], bias [out]; output size
 * floor((h + 2 pad - k) / stride) + 1. */
int phi_graph_conv2d(struct phi_graph *graph, int x, int weight, int bias, int stride, int pad);

/* Transposed convolution y[s i - pad + k] += x[i] w[k]; weight [in][out][k][k], bias [out]; output
 * size (h - 1) stride - 2 pad + k + out_pad. */
int phi_graph_deconv2d(struct phi_graph *graph, int x, int weight, int bias, const int *geometry);

/* The geometry for phi_graph_deconv2d: {stride, pad, output padding}. */
#define PHI_GEOMETRY(stride, pad, out_pad) ((const int[]){(stride), (pad), (out_pad)})

/* y = x W^T + b on the last axis; x [n][in], weight [out][in], bias [out]. */
int phi_graph_linear(struct phi_graph *graph, int x, int weight, int bias);

/* Batch normalisation (Ioffe and Szegedy 2015) of [n][c] or [n][c][h][w] with the parameters
 * PREFIX + weight, bias, mean, var, each [c]. In training the biased batch variance normalises and
 * running = (1 - momentum) running + momentum batch takes the unbiased one; else the running values
 * do. */
int phi_graph_batch_norm(struct phi_graph *graph, int x, const char *prefix, float eps,
                         float momentum);

/* Windows without padding; rows and columns that do not fill a window are unused. */
int phi_graph_max_pool(struct phi_graph *graph, int x, int kernel, int stride);
int phi_graph_avg_pool(struct phi_graph *graph, int x, int kernel, int stride);

/* To h x w, nearest neighbour or bilinear (half-pixel centres, no anti-aliasing). */
int phi_graph_resize_nearest(struct phi_graph *graph, int x, size_t h, size_t w);
int phi_graph_resize_bilinear(struct phi_graph *graph, int x, size_t h, size_t w);

/* Element-wise functions. f0 and f1 as the enum says. */
int phi_graph_unary(struct phi_graph *graph, enum phi_unary fn, int x, float f0, float f1);
int phi_graph_relu(struct phi_graph *graph, int x);
int phi_graph_sigmoid(struct phi_graph *graph, int x);
int phi_graph_tanh(struct phi_graph *graph, int x);
int phi_graph_scale(struct phi_graph *graph, int x, float factor);

/* Element-wise arithmetic; shapes are aligned at the last axis and axes of size 1 are repeated. */
int phi_graph_binary(struct phi_graph *graph, enum phi_binary fn, int x, int y);
int phi_graph_add(struct phi_graph *graph, int x, int y);
int phi_graph_sub(struct phi_graph *graph, int x, int y);
int phi_graph_mul(struct phi_graph *graph, int x, int y);
int phi_graph_div(struct phi_graph *graph, int x, int y);

/* Products of [b][m][k] and [b][k][n]; a transposed operand is stored [b][k][m] or [b][n][k]. */
int phi_graph_matmul(struct phi_graph *graph, int x, int y, bool x_transposed, bool y_transposed);

/* Sum or mean over the axes in the bit mask (bit i for axis i), which keep size 1; sums over
 * the last axes are formed in double. phi_graph_sum_all and _mean_all give [1]. */
int phi_graph_sum(struct phi_graph *graph, int x, unsigned axes);
int phi_graph_mean(struct phi_graph *graph, int x, unsigned axes);
int phi_graph_sum_all(struct phi_graph *graph, int x);
int phi_graph_mean_all(struct phi_graph *graph, int x);

/* Over the last axis. */
int phi_graph_softmax(struct phi_graph *graph, int x);
int phi_graph_log_softmax(struct phi_graph *graph, int x);

/* Joins `n` parts (at most PHI_NODE_INPUTS) along `axis`. */
int phi_graph_concat(struct phi_graph *graph, int axis, const int *part, int n);

/* [begin, begin + length) of `axis`. */
int phi_graph_slice(struct phi_graph *graph, int x, int axis, size_t begin, size_t length);

/* Splits `axis` into `n` equal parts in ret_part[n]; the size must be a multiple of n. */
void phi_graph_split(struct phi_graph *graph, int x, int axis, int n, int *ret_part);

/* The same elements in row-major order under another shape. */
int phi_graph_reshape(struct phi_graph *graph, int x, struct phi_shape shape);

/* Axis i of the result is axis order[i] of x. */
int phi_graph_transpose(struct phi_graph *graph, int x, const int *order);

/* Zeros before and after along `axis`. */
int phi_graph_pad(struct phi_graph *graph, int x, int axis, size_t before, size_t after);

/* In training each element is 0 with probability `share` and else divided by (1 - share). */
int phi_graph_dropout(struct phi_graph *graph, int x, float share);

/* Rows of table [k][d] for indices [...] (whole numbers kept as float): [...][d]. An index outside
 * 0..k-1 gives zeros. */
int phi_graph_embed(struct phi_graph *graph, int indices, int table);

/* One-hot rows [n][k] of indices [n]; no gradient. */
int phi_graph_one_hot(struct phi_graph *graph, int indices, size_t k);

/* The two halves of an LSTM step (Hochreiter and Schmidhuber 1997, no peepholes), for [n][4c] or
 * [n][4c][h][w] pre-activations in the order i, f, g, o: c' = f c + i tanh(g), and
 * h' = o tanh(c'). `hard` takes Keras' hard sigmoid for i, f, o. */
int phi_graph_lstm_cell(struct phi_graph *graph, int gates, int c, bool hard);
int phi_graph_lstm_output(struct phi_graph *graph, int gates, int new_c, bool hard);

/* One LSTM step on [n][in] with weight_ih [4h][in], weight_hh [4h][h], bias [4h] (or -1); h and c
 * are [n][h] and are replaced by the new ones. */
struct phi_lstm {
    int weight_ih, weight_hh, bias;
};
void phi_graph_lstm_step(struct phi_graph *graph, const struct phi_lstm *lstm, int x, int *h,
                         int *c);

/* A whole sequence x [t][n][in] from zero states: h of every step [t][n][h], each at its own time;
 * `backward` begins at the last step. ret_end takes the states after the last step computed, and
 * may be NULL. */
struct phi_lstm_state {
    int h, c;
};
int phi_graph_lstm(struct phi_graph *graph, const struct phi_lstm *lstm, int x, bool backward,
                   struct phi_lstm_state *ret_end);

/* Both ways, joined: [t][n][2h]. forward_backward[2], ret_ends[2] or NULL. */
int phi_graph_bilstm(struct phi_graph *graph, const struct phi_lstm *forward_backward, int x,
                     struct phi_lstm_state *ret_ends);

/* relu(prediction - target) and relu(target - prediction), joined along axis 1 (PredNet's E). */
int phi_graph_error_pair(struct phi_graph *graph, int prediction, int target);

#endif
