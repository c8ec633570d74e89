/* SPDX-License-Identifier: MIT
 * Builders of element-wise layers, reductions and layers that move elements. */
#include <string.h>

#include "nn/layers.h"

static int fail_shape(struct phi_graph *graph, const char *layer, int x)
{
    struct phi_shape shape = phi_graph_shape(graph, x);
    char text[PHI_SHAPE_TEXT];

    return phi_graph_fail(graph, PH_E_SHAPE, "layer '%s' cannot take the shape %s", layer,
                          phi_shape_text(&shape, text));
}

/* A node with one input and a shape still to be set. */
static struct phi_node one_input(const struct phi_graph *graph, enum phi_op op, int x)
{
    return (struct phi_node){.op = op, .n_in = 1, .in = {x}, .shape = phi_graph_shape(graph, x)};
}

int phi_graph_unary(struct phi_graph *graph, enum phi_unary fn, int x, float f0, float f1)
{
    struct phi_node node = one_input(graph, PHI_OP_UNARY, x);

    if (x < 0)
        return -1;
    node.a[0] = (int)fn;
    node.f[0] = f0;
    node.f[1] = f1;
    return phi_graph_append(graph, &node);
}

int phi_graph_relu(struct phi_graph *graph, int x)
{
    return phi_graph_unary(graph, PHI_RELU, x, 0, 0);
}

int phi_graph_sigmoid(struct phi_graph *graph, int x)
{
    return phi_graph_unary(graph, PHI_SIGMOID, x, 0, 0);
}

int phi_graph_tanh(struct phi_graph *graph, int x)
{
    return phi_graph_unary(graph, PHI_TANH, x, 0, 0);
}

int phi_graph_scale(struct phi_graph *graph, int x, float factor)
{
    return phi_graph_unary(graph, PHI_AFFINE, x, factor, 0);
}

/* The shape of two operands with axes of size 1 repeated; false if they do not fit. */
static bool broadcast(const struct phi_shape *x, const struct phi_shape *y, struct phi_shape *ret)
{
    int n = x->n_dims > y->n_dims ? x->n_dims : y->n_dims;

    ret->n_dims = n;
    for (int i = 1; i <= n; i++) {
        size_t dx = i <= x->n_dims ? x->dim[x->n_dims - i] : 1;
        size_t dy = i <= y->n_dims ? y->dim[y->n_dims - i] : 1;

        if (dx != dy && dx != 1 && dy != 1)
            return false;
        ret->dim[n - i] = dx > dy ? dx : dy;
    }
    return true;
}

int phi_graph_binary(struct phi_graph *graph, enum phi_binary fn, int x, int y)
{
    struct phi_shape sx = phi_graph_shape(graph, x), sy = phi_graph_shape(graph, y);
    struct phi_node node = {.op = PHI_OP_BINARY, .n_in = 2, .in = {x, y}, .a = {(int)fn}};
    char tx[PHI_SHAPE_TEXT], ty[PHI_SHAPE_TEXT];

    if (x < 0 || y < 0)
        return -1;
    if (!broadcast(&sx, &sy, &node.shape))
        return phi_graph_fail(graph, PH_E_SHAPE, "shapes %s and %s do not go together",
                              phi_shape_text(&sx, tx), phi_shape_text(&sy, ty));
    return phi_graph_append(graph, &node);
}

int phi_graph_add(struct phi_graph *graph, int x, int y)
{
    return phi_graph_binary(graph, PHI_ADD, x, y);
}

int phi_graph_sub(struct phi_graph *graph, int x, int y)
{
    return phi_graph_binary(graph, PHI_SUB, x, y);
}

int phi_graph_mul(struct phi_graph *graph, int x, int y)
{
    return phi_graph_binary(graph, PHI_MUL, x, y);
}

int phi_graph_div(struct phi_graph *graph, int x, int y)
{
    return phi_graph_binary(graph, PHI_DIV, x, y);
}

int phi_graph_matmul(struct phi_graph *graph, int x, int y, bool x_transposed, bool y_transposed)
{
    struct phi_shape sx = phi_graph_shape(graph, x), sy = phi_graph_shape(graph, y);
    struct phi_node node = {
        .op = PHI_OP_MATMUL, .n_in = 2, .in = {x, y}, .a = {x_transposed, y_transposed}};

    if (x < 0 || y < 0)
        return -1;
    if (sx.n_dims != 3 || sy.n_dims != 3 || sx.dim[0] != sy.dim[0] ||
        sx.dim[x_transposed ? 1 : 2] != sy.dim[y_transposed ? 2 : 1])
        return fail_shape(graph, "matmul", y);
    node.shape = PHI_SHAPE(sx.dim[0], sx.dim[x_transposed ? 2 : 1], sy.dim[y_transposed ? 1 : 2]);
    return phi_graph_append(graph, &node);
}

static int reduce(struct phi_graph *graph, int x, unsigned axes, int mean)
{
    struct phi_node node = one_input(graph, PHI_OP_REDUCE, x);

    if (x < 0)
        return -1;
    if (axes == 0 || axes >= 1u << node.shape.n_dims)
        return fail_shape(graph, "reduce", x);
    node.a[0] = (int)axes;
    node.a[1] = mean;
    for (int i = 0; i < node.shape.n_dims; i++) {
        if (axes & 1u << i)
            node.shape.dim[i] = 1;
    }
    return phi_graph_append(graph, &node);
}

int phi_graph_sum(struct phi_graph *graph, int x, unsigned axes)
{
    return reduce(graph, x, axes, 0);
}

int phi_graph_mean(struct phi_graph *graph, int x, unsigned axes)
{
    return reduce(graph, x, axes, 1);
}

static int reduce_all(struct phi_graph *graph, int x, int mean)
{
    unsigned axes = (1u << phi_graph_shape(graph, x).n_dims) - 1;

    return phi_graph_reshape(graph, reduce(graph, x, axes, mean), PHI_SHAPE(1));
}

int phi_graph_sum_all(struct phi_graph *graph, int x)
{
    return reduce_all(graph, x, 0);
}

int phi_graph_mean_all(struct phi_graph *graph, int x)
{
    return reduce_all(graph, x, 1);
}

static int softmax(struct phi_graph *graph, int x, int logarithm)
{
    struct phi_node node = one_input(graph, PHI_OP_SOFTMAX, x);

    node.a[0] = logarithm;
    return x < 0 ? -1 : phi_graph_append(graph, &node);
}

int phi_graph_softmax(struct phi_graph *graph, int x)
{
    return softmax(graph, x, 0);
}

int phi_graph_log_softmax(struct phi_graph *graph, int x)
{
    return softmax(graph, x, 1);
}

/* True if `part` equals `whole` on all axes but one. */
static bool fits_beside(const struct phi_shape *whole, const struct phi_shape *part, int axis)
{
    for (int i = 0; i < whole->n_dims; i++) {
        if (i != axis && part->dim[i] != whole->dim[i])
            return false;
    }
    return part->n_dims == whole->n_dims;
}

int phi_graph_concat(struct phi_graph *graph, int axis, const int *part, int n)
{
    struct phi_node node = {.op = PHI_OP_CONCAT, .n_in = n, .a = {axis}};

    if (n < 1 || n > PHI_NODE_INPUTS)
        return phi_graph_fail(graph, PH_E_LIMIT, "%d parts cannot be joined", n);
    for (int i = 0; i < n; i++) {
        struct phi_shape shape = phi_graph_shape(graph, part[i]);

        if (part[i] < 0)
            return -1;
        if (i == 0)
            node.shape = shape;
        if (axis < 0 || axis >= shape.n_dims || !fits_beside(&node.shape, &shape, axis))
            return fail_shape(graph, "concat", part[i]);
        node.shape.dim[axis] += i ? shape.dim[axis] : 0;
        node.in[i] = part[i];
    }
    return phi_graph_append(graph, &node);
}

int phi_graph_slice(struct phi_graph *graph, int x, int axis, size_t begin, size_t length)
{
    struct phi_node node = one_input(graph, PHI_OP_SLICE, x);

    if (x < 0)
        return -1;
    if (axis < 0 || axis >= node.shape.n_dims || length == 0 || begin > node.shape.dim[axis] ||
        length > node.shape.dim[axis] - begin)
        return fail_shape(graph, "slice", x);
    node.a[0] = axis;
    node.a[1] = (int)begin;
    node.shape.dim[axis] = length;
    return phi_graph_append(graph, &node);
}

void phi_graph_split(struct phi_graph *graph, int x, int axis, int n, int *ret_part)
{
    struct phi_shape shape = phi_graph_shape(graph, x);
    size_t length = axis >= 0 && axis < shape.n_dims && n > 0 ? shape.dim[axis] / (size_t)n : 0;

    if (x >= 0 && (length == 0 || length * (size_t)n != shape.dim[axis]))
        (void)fail_shape(graph, "split", x);
    for (int i = 0; i < n; i++)
        ret_part[i] = phi_graph_slice(graph, x, axis, (size_t)i * length, length);
}

int phi_graph_reshape(struct phi_graph *graph, int x, struct phi_shape shape)
{
    struct phi_node node = one_input(graph, PHI_OP_RESHAPE, x);

    if (x < 0)
        return -1;
    if (phi_shape_count(&node.shape) != phi_shape_count(&shape))
        return fail_shape(graph, "reshape", x);
    node.shape = shape;
    return phi_graph_append(graph, &node);
}

int phi_graph_transpose(struct phi_graph *graph, int x, const int *order)
{
    struct phi_shape from = phi_graph_shape(graph, x);
    struct phi_node node = one_input(graph, PHI_OP_TRANSPOSE, x);
    unsigned seen = 0;

    if (x < 0)
        return -1;
    for (int i = 0; i < from.n_dims; i++) {
        if (order[i] < 0 || order[i] >= from.n_dims || seen & 1u << order[i])
            return fail_shape(graph, "transpose", x);
        seen |= 1u << order[i];
        node.a[i] = order[i];
        node.shape.dim[i] = from.dim[order[i]];
    }
    return phi_graph_append(graph, &node);
}

int phi_graph_pad(struct phi_graph *graph, int x, int axis, size_t before, size_t after)
{
    struct phi_node node = one_input(graph, PHI_OP_PAD, x);

    if (x < 0)
        return -1;
    if (axis < 0 || axis >= node.shape.n_dims || before > 1u << 20 || after > 1u << 20)
        return fail_shape(graph, "pad", x);
    node.a[0] = axis;
    node.a[1] = (int)before;
    node.shape.dim[axis] += before + after;
    return phi_graph_append(graph, &node);
}

int phi_graph_dropout(struct phi_graph *graph, int x, float share)
{
    struct phi_node node = one_input(graph, PHI_OP_DROPOUT, x);

    if (x < 0)
        return -1;
    if (!(share >= 0 && share < 1))
        return phi_graph_fail(graph, PH_E_INVAL, "dropout of %g is not in [0, 1)", (double)share);
    node.f[0] = share;
    return phi_graph_append(graph, &node);
}

int phi_graph_embed(struct phi_graph *graph, int indices, int table)
{
    struct phi_shape rows = phi_graph_shape(graph, indices), t = phi_graph_shape(graph, table);
    struct phi_node node = {.op = PHI_OP_EMBED, .n_in = 2, .in = {indices, table}, .shape = rows};

    if (indices < 0 || table < 0)
        return -1;
    if (t.n_dims != 2 || rows.n_dims >= PHI_MAX_DIMS)
        return fail_shape(graph, "embed", table);
    node.shape.dim[node.shape.n_dims++] = t.dim[1];
    return phi_graph_append(graph, &node);
}

int phi_graph_one_hot(struct phi_graph *graph, int indices, size_t k)
{
    struct phi_node node = one_input(graph, PHI_OP_ONE_HOT, indices);

    if (indices < 0)
        return -1;
    if (node.shape.n_dims >= PHI_MAX_DIMS)
        return fail_shape(graph, "one hot", indices);
    node.shape.dim[node.shape.n_dims++] = k;
    return phi_graph_append(graph, &node);
}
