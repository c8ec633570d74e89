/* SPDX-License-Identifier: MIT
 * Operations that move elements: concat, slice, reshape, transpose, pad, embed, one-hot. */
#include <string.h>

#include "nn/op.h"

/* An array seen along one axis: n_outer blocks of `axis` rows of n_inner elements. */
struct along {
    size_t n_outer, n_axis, n_inner;
};

static struct along along_axis(const struct phi_shape *shape, int axis)
{
    struct along a = {1, shape->dim[axis], 1};

    for (int i = 0; i < axis; i++)
        a.n_outer *= shape->dim[i];
    for (int i = axis + 1; i < shape->n_dims; i++)
        a.n_inner *= shape->dim[i];
    return a;
}

static void add_row(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

/* `part` begins at row `begin` of `whole`; copies part -> whole. */
static void put_part(float *whole, const struct along *w, const float *part, size_t begin,
                     size_t n_axis)
{
    size_t n = n_axis * w->n_inner;

    for (size_t o = 0; o < w->n_outer; o++)
        memcpy(whole + (o * w->n_axis + begin) * w->n_inner, part + o * n, n * sizeof *part);
}

static void add_from_whole(float *part, const struct along *w, const float *whole, size_t begin,
                           size_t n_axis)
{
    size_t n = n_axis * w->n_inner;

    for (size_t o = 0; o < w->n_outer; o++)
        add_row(part + o * n, whole + (o * w->n_axis + begin) * w->n_inner, n);
}

static enum ph_status forward_concat(struct phi_op_run *run)
{
    int axis = run->node->a[0];
    struct along whole = along_axis(&run->node->shape, axis);
    size_t begin = 0;

    for (int i = 0; i < run->node->n_in; i++) {
        put_part(run->out, &whole, run->in[i], begin, run->in_shape[i].dim[axis]);
        begin += run->in_shape[i].dim[axis];
    }
    return PH_OK;
}

static enum ph_status backward_concat(struct phi_op_run *run)
{
    int axis = run->node->a[0];
    struct along whole = along_axis(&run->node->shape, axis);
    size_t begin = 0;

    for (int i = 0; i < run->node->n_in; i++) {
        size_t n_axis = run->in_shape[i].dim[axis];

        if (run->grad_in[i])
            add_from_whole(run->grad_in[i], &whole, run->grad_out, begin, n_axis);
        begin += n_axis;
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_concat = {"concat",        NULL, forward_concat,
                                          backward_concat, NULL, false};

static enum ph_status forward_slice(struct phi_op_run *run)
{
    int axis = run->node->a[0];
    struct along whole = along_axis(&run->in_shape[0], axis);
    size_t begin = (size_t)run->node->a[1];
    size_t n = run->node->shape.dim[axis] * whole.n_inner;

    for (size_t o = 0; o < whole.n_outer; o++)
        memcpy(run->out + o * n, run->in[0] + (o * whole.n_axis + begin) * whole.n_inner,
               n * sizeof *run->out);
    return PH_OK;
}

static enum ph_status backward_slice(struct phi_op_run *run)
{
    int axis = run->node->a[0];
    struct along whole = along_axis(&run->in_shape[0], axis);
    size_t begin = (size_t)run->node->a[1];
    size_t n = run->node->shape.dim[axis] * whole.n_inner;

    for (size_t o = 0; o < whole.n_outer; o++)
        add_row(run->grad_in[0] + (o * whole.n_axis + begin) * whole.n_inner, run->grad_out + o * n,
                n);
    return PH_OK;
}

const struct phi_op_kind phi_op_slice = {"slice", NULL, forward_slice, backward_slice, NULL, false};

static enum ph_status forward_pad(struct phi_op_run *run)
{
    int axis = run->node->a[0];
    struct along whole = along_axis(&run->node->shape, axis);

    memset(run->out, 0, phi_shape_count(&run->node->shape) * sizeof *run->out);
    put_part(run->out, &whole, run->in[0], (size_t)run->node->a[1], run->in_shape[0].dim[axis]);
    return PH_OK;
}

static enum ph_status backward_pad(struct phi_op_run *run)
{
    int axis = run->node->a[0];
    struct along whole = along_axis(&run->node->shape, axis);

    add_from_whole(run->grad_in[0], &whole, run->grad_out, (size_t)run->node->a[1],
                   run->in_shape[0].dim[axis]);
    return PH_OK;
}

const struct phi_op_kind phi_op_pad = {"pad", NULL, forward_pad, backward_pad, NULL, false};

static enum ph_status forward_reshape(struct phi_op_run *run)
{
    memcpy(run->out, run->in[0], phi_shape_count(&run->node->shape) * sizeof *run->out);
    return PH_OK;
}

static enum ph_status backward_reshape(struct phi_op_run *run)
{
    add_row(run->grad_in[0], run->grad_out, phi_shape_count(&run->node->shape));
    return PH_OK;
}

const struct phi_op_kind phi_op_reshape = {"reshape",        NULL, forward_reshape,
                                           backward_reshape, NULL, false};

/* Calls for each element of the transposed array, in order, the offset in the source. */
static void transpose_offsets(const struct phi_op_run *run, size_t *at, size_t *stride)
{
    struct phi_tensor from = phi_tensor_over(run->in[0], run->in_shape[0]);

    for (int i = 0; i < run->node->shape.n_dims; i++) {
        at[i] = 0;
        stride[i] = from.stride[run->node->a[i]];
    }
}

static void transpose(const struct phi_op_run *run, bool backward)
{
    const struct phi_shape *shape = &run->node->shape;
    size_t n = phi_shape_count(shape), offset = 0;
    size_t at[PHI_MAX_DIMS], stride[PHI_MAX_DIMS];

    transpose_offsets(run, at, stride);
    for (size_t k = 0; k < n; k++) {
        if (backward)
            run->grad_in[0][offset] += run->grad_out[k];
        else
            run->out[k] = run->in[0][offset];
        for (int i = shape->n_dims - 1; i >= 0; i--) {
            offset += stride[i];
            if (++at[i] < shape->dim[i])
                break;
            offset -= shape->dim[i] * stride[i];
            at[i] = 0;
        }
    }
}

static enum ph_status forward_transpose(struct phi_op_run *run)
{
    transpose(run, false);
    return PH_OK;
}

static enum ph_status backward_transpose(struct phi_op_run *run)
{
    transpose(run, true);
    return PH_OK;
}

const struct phi_op_kind phi_op_transpose = {"transpose",        NULL, forward_transpose,
                                             backward_transpose, NULL, false};

/* The row that a float index means, or n for none. */
static size_t row_of(float index, size_t n)
{
    return index >= 0 && index < (float)n ? (size_t)index : n;
}

static enum ph_status forward_embed(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->in_shape[0]), width = run->in_shape[1].dim[1];

    memset(run->out, 0, n * width * sizeof *run->out);
    for (size_t i = 0; i < n; i++) {
        size_t row = row_of(run->in[0][i], run->in_shape[1].dim[0]);

        if (row < run->in_shape[1].dim[0])
            memcpy(run->out + i * width, run->in[1] + row * width, width * sizeof *run->out);
    }
    return PH_OK;
}

static enum ph_status backward_embed(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->in_shape[0]), width = run->in_shape[1].dim[1];

    for (size_t i = 0; i < n && run->grad_in[1]; i++) {
        size_t row = row_of(run->in[0][i], run->in_shape[1].dim[0]);

        if (row < run->in_shape[1].dim[0])
            add_row(run->grad_in[1] + row * width, run->grad_out + i * width, width);
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_embed = {"embed", NULL, forward_embed, backward_embed, NULL, false};

static enum ph_status forward_one_hot(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->in_shape[0]);
    size_t k = run->node->shape.dim[run->node->shape.n_dims - 1];

    memset(run->out, 0, n * k * sizeof *run->out);
    for (size_t i = 0; i < n; i++) {
        size_t row = row_of(run->in[0][i], k);

        if (row < k)
            run->out[i * k + row] = 1;
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_one_hot = {"one hot", NULL, forward_one_hot, NULL, NULL, false};
