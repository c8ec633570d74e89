/* SPDX-License-Identifier: MIT
 * Element-wise arithmetic with broadcasting, and reductions. */
#include <string.h>

#include "base/simd.h"
#include "nn/layers.h"
#include "nn/op.h"

/* Walks the elements of a result whose operands have axes of size 1: strides are 0 there. */
struct walk {
    int n_dims;
    size_t dim[PHI_MAX_DIMS], at[PHI_MAX_DIMS];
    size_t stride[2][PHI_MAX_DIMS];
    size_t offset[2];
};

static struct walk walk_over(const struct phi_op_run *run, int n_in)
{
    const struct phi_shape *shape = &run->node->shape;
    struct walk walk = {.n_dims = shape->n_dims};

    memcpy(walk.dim, shape->dim, sizeof walk.dim);
    for (int k = 0; k < n_in; k++) {
        const struct phi_shape *in = &run->in_shape[k];
        size_t stride = 1;

        for (int i = 1; i <= in->n_dims; i++) {
            walk.stride[k][shape->n_dims - i] = in->dim[in->n_dims - i] == 1 ? 0 : stride;
            stride *= in->dim[in->n_dims - i];
        }
    }
    return walk;
}

/* To the next row: the last axis is left to a loop. */
static void walk_next(struct walk *walk)
{
    for (int i = walk->n_dims - 2; i >= 0; i--) {
        walk->offset[0] += walk->stride[0][i];
        walk->offset[1] += walk->stride[1][i];
        if (++walk->at[i] < walk->dim[i])
            return;
        walk->at[i] = 0;
        walk->offset[0] -= walk->dim[i] * walk->stride[0][i];
        walk->offset[1] -= walk->dim[i] * walk->stride[1][i];
    }
}

/* Length of a row, and the number of rows. */
static size_t walk_row(const struct walk *walk)
{
    return walk->dim[walk->n_dims - 1];
}

/* One row: operands advance by 1 or, where they are repeated, by 0. */
struct row {
    const float *x, *y;
    float *out;
    size_t x_step, y_step, n;
};

#define ROW(EXPRESSION)                                                                            \
    for (size_t i = 0; i < n; i++) {                                                               \
        float a = x[i * x_step], b = y[i * y_step];                                                \
                                                                                                   \
        out[i] = EXPRESSION;                                                                       \
    }                                                                                              \
    break

PHI_VECTOR static void binary_row(enum phi_binary fn, const struct row *row)
{
    const float *restrict x = row->x, *restrict y = row->y;
    float *restrict out = row->out;
    size_t n = row->n, x_step = row->x_step, y_step = row->y_step;

    switch (fn) {
    case PHI_ADD:
        ROW(a + b);
    case PHI_SUB:
        ROW(a - b);
    case PHI_MUL:
        ROW(a * b);
    case PHI_DIV:
        ROW(a / b);
    }
}

static enum ph_status forward_binary(struct phi_op_run *run)
{
    enum phi_binary fn = (enum phi_binary)run->node->a[0];
    size_t n = phi_shape_count(&run->node->shape);
    struct walk walk = walk_over(run, 2);
    struct row row = {.n = walk_row(&walk),
                      .x_step = walk.stride[0][walk.n_dims - 1],
                      .y_step = walk.stride[1][walk.n_dims - 1]};

    if (phi_shape_equal(&run->in_shape[0], &run->in_shape[1])) {
        PHI_PARALLEL(n)
        for (size_t i = 0; i < phi_n_pieces(n); i++)
            binary_row(fn, &(struct row){run->in[0] + i * PHI_PIECE, run->in[1] + i * PHI_PIECE,
                                         run->out + i * PHI_PIECE, 1, 1, phi_piece_size(n, i)});
        return PH_OK;
    }
    for (size_t i = 0; i < n; i += row.n, walk_next(&walk)) {
        row.x = run->in[0] + walk.offset[0];
        row.y = run->in[1] + walk.offset[1];
        row.out = run->out + i;
        binary_row(fn, &row);
    }
    return PH_OK;
}

/* sum[i * step] += factor (+1 or -1) times what the operand's gradient is, in the order of i. */
struct row_gradient {
    const float *g, *x, *y;
    float *sum;
    size_t x_step, y_step, sum_step, n;
};

#define GRADIENT(EXPRESSION)                                                                       \
    for (size_t i = 0; i < n; i++) {                                                               \
        float g = r->g[i], x = r->x[i * x_step], y = r->y[i * y_step];                             \
                                                                                                   \
        (void)x;                                                                                   \
        (void)y;                                                                                   \
        sum[i * step] += EXPRESSION;                                                               \
    }                                                                                              \
    break

PHI_VECTOR static void gradient_row(enum phi_binary fn, int operand, const struct row_gradient *r)
{
    float *restrict sum = r->sum;
    size_t n = r->n, step = r->sum_step, x_step = r->x_step, y_step = r->y_step;

    switch (2 * (int)fn + operand) {
    case 2 * PHI_ADD:
    case 2 * PHI_ADD + 1:
    case 2 * PHI_SUB:
        GRADIENT(g);
    case 2 * PHI_SUB + 1:
        GRADIENT(-g);
    case 2 * PHI_MUL:
        GRADIENT(g * y);
    case 2 * PHI_MUL + 1:
        GRADIENT(g * x);
    case 2 * PHI_DIV:
        GRADIENT(g / y);
    case 2 * PHI_DIV + 1:
        GRADIENT(-g * x / (y * y));
    default:
        break;
    }
}

/* Both operands' gradients of one row. */
static void gradient_rows(const struct phi_op_run *run, struct row_gradient *r,
                          const size_t *offset)
{
    enum phi_binary fn = (enum phi_binary)run->node->a[0];

    r->x = run->in[0] + offset[0];
    r->y = run->in[1] + offset[1];
    for (int k = 0; k < 2; k++) {
        r->sum_step = k == 0 ? r->x_step : r->y_step;
        r->sum = run->grad_in[k] ? run->grad_in[k] + offset[k] : NULL;
        if (r->sum)
            gradient_row(fn, k, r);
    }
}

static enum ph_status backward_binary(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->node->shape);
    struct walk walk = walk_over(run, 2);
    struct row_gradient r = {.n = walk_row(&walk),
                             .x_step = walk.stride[0][walk.n_dims - 1],
                             .y_step = walk.stride[1][walk.n_dims - 1]};

    if (phi_shape_equal(&run->in_shape[0], &run->in_shape[1])) {
        PHI_PARALLEL(n)
        for (size_t i = 0; i < phi_n_pieces(n); i++) {
            struct row_gradient piece = {.g = run->grad_out + i * PHI_PIECE,
                                         .x_step = 1,
                                         .y_step = 1,
                                         .n = phi_piece_size(n, i)};

            gradient_rows(run, &piece, (const size_t[]){i * PHI_PIECE, i * PHI_PIECE});
        }
        return PH_OK;
    }
    for (size_t i = 0; i < n; i += r.n, walk_next(&walk)) {
        r.g = run->grad_out + i;
        gradient_rows(run, &r, walk.offset);
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_binary = {"arithmetic",    NULL, forward_binary,
                                          backward_binary, NULL, false};

/* Reductions walk the input; the result is the operand with repeated axes. */
static struct walk walk_reduced(const struct phi_op_run *run)
{
    struct walk walk = {.n_dims = run->in_shape[0].n_dims};
    size_t stride = 1;

    memcpy(walk.dim, run->in_shape[0].dim, sizeof walk.dim);
    for (int i = walk.n_dims - 1; i >= 0; i--) {
        walk.stride[0][i] = run->node->shape.dim[i] == 1 ? 0 : stride;
        stride *= run->node->shape.dim[i];
    }
    return walk;
}

static float reduce_factor(const struct phi_op_run *run)
{
    return run->node->a[1] ? (float)phi_shape_count(&run->node->shape) /
                                 (float)phi_shape_count(&run->in_shape[0])
                           : 1.0f;
}

/* Reduced axes last: each result is one run of the input. */
static bool is_contiguous(const struct phi_op_run *run, size_t *ret_run)
{
    int i = run->in_shape[0].n_dims - 1;
    size_t length = 1;

    for (; i >= 0 && run->node->a[0] & 1 << i; i--)
        length *= run->in_shape[0].dim[i];
    *ret_run = length;
    for (; i >= 0; i--) {
        if (run->node->a[0] & 1 << i)
            return false;
    }
    return true;
}

static enum ph_status forward_reduce(struct phi_op_run *run)
{
    size_t n_out = phi_shape_count(&run->node->shape), n = phi_shape_count(&run->in_shape[0]);
    size_t length, step;
    float factor = reduce_factor(run);
    const float *x = run->in[0];
    struct walk walk = walk_reduced(run);

    if (is_contiguous(run, &length)) {
        for (size_t i = 0; i < n_out; i++) {
            double sum = 0;

            for (size_t k = 0; k < length; k++)
                sum += (double)x[i * length + k];
            run->out[i] = (float)(sum * (double)factor);
        }
        return PH_OK;
    }
    memset(run->out, 0, n_out * sizeof *run->out);
    length = walk_row(&walk);
    step = walk.stride[0][walk.n_dims - 1];
    for (size_t i = 0; i < n; i += length, walk_next(&walk)) {
        float *out = run->out + walk.offset[0];

        for (size_t k = 0; k < length; k++)
            out[k * step] += factor * x[i + k];
    }
    return PH_OK;
}

PHI_VECTOR static void add_scaled(float *restrict sum, const float *restrict g, size_t n,
                                  size_t step, float factor)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += factor * g[i * step];
}

static enum ph_status backward_reduce(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->in_shape[0]);
    float factor = reduce_factor(run);
    struct walk walk = walk_reduced(run);
    size_t length = walk_row(&walk), step = walk.stride[0][walk.n_dims - 1];

    for (size_t i = 0; i < n; i += length, walk_next(&walk))
        add_scaled(run->grad_in[0] + i, run->grad_out + walk.offset[0], length, step, factor);
    return PH_OK;
}

const struct phi_op_kind phi_op_reduce = {"reduction",     NULL, forward_reduce,
                                          backward_reduce, NULL, false};
