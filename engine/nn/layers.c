/* SPDX-License-Identifier: MIT */
#include "nn/layers.h"

#include <stdio.h>

#define MAX_KERNEL 64

/* The name to put into messages: that of the weights, else the kind of layer. */
static const char *name_of(const struct phi_graph *graph, int weight, const char *kind)
{
    const char *name = weight < 0 ? "" : phi_graph_node(graph, weight)->name;

    return name[0] ? name : kind;
}

static int fail_shapes(struct phi_graph *graph, const char *layer, int x, int weight)
{
    struct phi_shape sx = phi_graph_shape(graph, x), sw = phi_graph_shape(graph, weight);
    char tx[PHI_SHAPE_TEXT], tw[PHI_SHAPE_TEXT];

    return phi_graph_fail(graph, PH_E_SHAPE, "layer '%s' got %s for its operand of shape %s",
                          name_of(graph, weight, layer), phi_shape_text(&sx, tx),
                          phi_shape_text(&sw, tw));
}

static bool bias_fits(const struct phi_graph *graph, int bias, size_t n_out)
{
    struct phi_shape shape = phi_graph_shape(graph, bias);

    return bias < 0 || (shape.n_dims == 1 && shape.dim[0] == n_out);
}

/* Weights of n_in channels, square, of a size and stride that make sense. */
static bool kernel_fits(const struct phi_shape *x, const struct phi_shape *w, int in_axis,
                        int stride, int pad)
{
    return x->n_dims == 4 && w->n_dims == 4 && x->dim[1] == w->dim[in_axis] &&
           w->dim[2] == w->dim[3] && w->dim[2] <= MAX_KERNEL && stride > 0 && pad >= 0 &&
           pad < (int)w->dim[2];
}

int phi_graph_conv2d(struct phi_graph *graph, int x, int weight, int bias, int stride, int pad)
{
    struct phi_shape sx = phi_graph_shape(graph, x), sw = phi_graph_shape(graph, weight);
    struct phi_node node = {
        .op = PHI_OP_CONV, .n_in = bias < 0 ? 2 : 3, .in = {x, weight, bias}, .a = {stride, pad}};

    if (x < 0 || weight < 0)
        return -1;
    if (!kernel_fits(&sx, &sw, 1, stride, pad) || !bias_fits(graph, bias, sw.dim[0]) ||
        sx.dim[2] + 2 * (size_t)pad < sw.dim[2] || sx.dim[3] + 2 * (size_t)pad < sw.dim[3])
        return fail_shapes(graph, "conv2d", x, weight);
    node.shape = PHI_SHAPE(sx.dim[0], sw.dim[0],
                           (sx.dim[2] + 2 * (size_t)pad - sw.dim[2]) / (size_t)stride + 1,
                           (sx.dim[3] + 2 * (size_t)pad - sw.dim[3]) / (size_t)stride + 1);
    return phi_graph_append(graph, &node);
}

int phi_graph_deconv2d(struct phi_graph *graph, int x, int weight, int bias, const int *geometry)
{
    struct phi_shape sx = phi_graph_shape(graph, x), sw = phi_graph_shape(graph, weight);
    int stride = geometry[0], pad = geometry[1], out_pad = geometry[2];
    struct phi_node node = {.op = PHI_OP_DECONV,
                            .n_in = bias < 0 ? 2 : 3,
                            .in = {x, weight, bias},
                            .a = {stride, pad, out_pad}};
    size_t h, w;

    if (x < 0 || weight < 0)
        return -1;
    if (!kernel_fits(&sx, &sw, 0, stride, pad) || !bias_fits(graph, bias, sw.dim[1]) ||
        out_pad < 0 || out_pad >= stride)
        return fail_shapes(graph, "deconv2d", x, weight);
    h = (sx.dim[2] - 1) * (size_t)stride + sw.dim[2] + (size_t)out_pad;
    w = (sx.dim[3] - 1) * (size_t)stride + sw.dim[3] + (size_t)out_pad;
    if (h <= 2 * (size_t)pad || w <= 2 * (size_t)pad)
        return fail_shapes(graph, "deconv2d", x, weight);
    node.shape = PHI_SHAPE(sx.dim[0], sw.dim[1], h - 2 * (size_t)pad, w - 2 * (size_t)pad);
    return phi_graph_append(graph, &node);
}

int phi_graph_linear(struct phi_graph *graph, int x, int weight, int bias)
{
    struct phi_shape sx = phi_graph_shape(graph, x), sw = phi_graph_shape(graph, weight);
    struct phi_node node = {.op = PHI_OP_LINEAR, .n_in = bias < 0 ? 2 : 3, .in = {x, weight, bias}};

    if (x < 0 || weight < 0)
        return -1;
    if (sx.n_dims != 2 || sw.n_dims != 2 || sx.dim[1] != sw.dim[1] ||
        !bias_fits(graph, bias, sw.dim[0]))
        return fail_shapes(graph, "linear", x, weight);
    node.shape = PHI_SHAPE(sx.dim[0], sw.dim[0]);
    return phi_graph_append(graph, &node);
}

int phi_graph_batch_norm(struct phi_graph *graph, int x, const char *prefix, float eps,
                         float momentum)
{
    static const char *const part[4] = {"weight", "bias", "mean", "var"};
    struct phi_shape sx = phi_graph_shape(graph, x);
    struct phi_node node = {
        .op = PHI_OP_BATCH_NORM, .n_in = 5, .in = {x}, .shape = sx, .f = {eps, momentum}};

    if (x < 0)
        return -1;
    if (sx.n_dims != 2 && sx.n_dims != 4)
        return fail_shapes(graph, prefix, x, -1);
    for (int i = 0; i < 4; i++) {
        node.in[1 + i] = phi_graph_paramf(graph, PHI_SHAPE(sx.dim[1]), "%s%s", prefix, part[i]);
        if (node.in[1 + i] < 0)
            return -1;
    }
    return phi_graph_append(graph, &node);
}

static int pool(struct phi_graph *graph, int x, int is_max, int kernel, int stride)
{
    struct phi_shape sx = phi_graph_shape(graph, x);
    struct phi_node node = {.op = PHI_OP_POOL, .n_in = 1, .in = {x}, .a = {is_max, kernel, stride}};

    if (x < 0)
        return -1;
    if (sx.n_dims != 4 || kernel <= 0 || stride <= 0 || sx.dim[2] < (size_t)kernel ||
        sx.dim[3] < (size_t)kernel)
        return fail_shapes(graph, "pool", x, -1);
    node.shape = PHI_SHAPE(sx.dim[0], sx.dim[1], (sx.dim[2] - (size_t)kernel) / (size_t)stride + 1,
                           (sx.dim[3] - (size_t)kernel) / (size_t)stride + 1);
    return phi_graph_append(graph, &node);
}

int phi_graph_max_pool(struct phi_graph *graph, int x, int kernel, int stride)
{
    return pool(graph, x, 1, kernel, stride);
}

int phi_graph_avg_pool(struct phi_graph *graph, int x, int kernel, int stride)
{
    return pool(graph, x, 0, kernel, stride);
}

static int resize(struct phi_graph *graph, int x, int bilinear, const size_t *hw)
{
    struct phi_shape sx = phi_graph_shape(graph, x);
    struct phi_node node = {.op = PHI_OP_RESIZE, .n_in = 1, .in = {x}, .a = {bilinear}};

    if (x < 0)
        return -1;
    if (sx.n_dims != 4)
        return fail_shapes(graph, "resize", x, -1);
    node.shape = PHI_SHAPE(sx.dim[0], sx.dim[1], hw[0], hw[1]);
    return phi_graph_append(graph, &node);
}

int phi_graph_resize_nearest(struct phi_graph *graph, int x, size_t h, size_t w)
{
    return resize(graph, x, 0, (const size_t[]){h, w});
}

int phi_graph_resize_bilinear(struct phi_graph *graph, int x, size_t h, size_t w)
{
    return resize(graph, x, 1, (const size_t[]){h, w});
}

int phi_graph_error_pair(struct phi_graph *graph, int prediction, int target)
{
    struct phi_shape shape = phi_graph_shape(graph, prediction);
    struct phi_shape other = phi_graph_shape(graph, target);
    struct phi_node node = {.op = PHI_OP_ERROR_PAIR, .n_in = 2, .in = {prediction, target}};

    if (prediction < 0 || target < 0)
        return -1;
    if (shape.n_dims < 2 || !phi_shape_equal(&shape, &other))
        return fail_shapes(graph, "error pair", prediction, target);
    node.shape = shape;
    node.shape.dim[1] *= 2;
    return phi_graph_append(graph, &node);
}
