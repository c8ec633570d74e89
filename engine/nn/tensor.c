/* SPDX-License-Identifier: MIT */
#include "nn/tensor.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct phi_shape phi_shape_of(size_t n, const size_t *dim)
{
    struct phi_shape shape = {0};

    if (n == 0 || n > PHI_MAX_DIMS)
        return shape;
    shape.n_dims = (int)n;
    memcpy(shape.dim, dim, n * sizeof *dim);
    return shape;
}

size_t phi_shape_count(const struct phi_shape *shape)
{
    size_t n = shape->n_dims > 0 ? 1 : 0;

    for (int i = 0; i < shape->n_dims; i++) {
        if (!phi_mul_size(n, shape->dim[i], &n) || n > PHI_MAX_ELEMENTS)
            return 0;
    }
    return n;
}

bool phi_shape_equal(const struct phi_shape *a, const struct phi_shape *b)
{
    return a->n_dims == b->n_dims &&
           memcmp(a->dim, b->dim, (size_t)a->n_dims * sizeof a->dim[0]) == 0;
}

const char *phi_shape_text(const struct phi_shape *shape, char *out)
{
    struct phi_str text = phi_str_over(out, PHI_SHAPE_TEXT);

    phi_str_addf(&text, "[");
    for (int i = 0; i < shape->n_dims; i++)
        phi_str_addf(&text, "%s%zu", i ? ", " : "", shape->dim[i]);
    phi_str_addf(&text, "]");
    return out;
}

struct phi_tensor phi_tensor_over(float *data, struct phi_shape shape)
{
    struct phi_tensor tensor = {.shape = shape, .data = data};
    size_t stride = 1;

    for (int i = shape.n_dims - 1; i >= 0; i--) {
        tensor.stride[i] = stride;
        stride *= shape.dim[i];
    }
    return tensor;
}

enum ph_status phi_tensor_init(struct phi_tensor *ret_tensor, struct phi_shape shape)
{
    size_t n = phi_shape_count(&shape);
    float *data;

    if (n == 0)
        return PH_E_SHAPE;
    data = phi_calloc(n, sizeof *data);
    if (!data)
        return PH_E_NOMEM;
    *ret_tensor = phi_tensor_over(data, shape);
    ret_tensor->owned = true;
    return PH_OK;
}

enum ph_status phi_tensor_init_arena(struct phi_tensor *ret_tensor, struct phi_shape shape,
                                     struct phi_arena *arena)
{
    size_t n = phi_shape_count(&shape);
    float *data;

    if (n == 0)
        return PH_E_SHAPE;
    data = phi_arena_alloc(arena, n, sizeof *data);
    if (!data)
        return PH_E_NOMEM;
    *ret_tensor = phi_tensor_over(data, shape);
    return PH_OK;
}

enum ph_status phi_tensor_slice(const struct phi_tensor *tensor, int axis, size_t begin,
                                size_t length, struct phi_tensor *ret_view)
{
    if (axis < 0 || axis >= tensor->shape.n_dims || length == 0 ||
        begin > tensor->shape.dim[axis] || length > tensor->shape.dim[axis] - begin)
        return PH_E_SHAPE;
    *ret_view = *tensor;
    ret_view->owned = false;
    ret_view->shape.dim[axis] = length;
    ret_view->data += begin * tensor->stride[axis];
    return PH_OK;
}

bool phi_tensor_is_packed(const struct phi_tensor *tensor)
{
    size_t stride = 1;

    for (int i = tensor->shape.n_dims - 1; i >= 0; i--) {
        if (tensor->shape.dim[i] != 1 && tensor->stride[i] != stride)
            return false;
        stride *= tensor->shape.dim[i];
    }
    return true;
}

/* Offset in memory of the row-major element `at`. */
static size_t offset_of(const struct phi_tensor *tensor, size_t at)
{
    size_t offset = 0;

    for (int i = tensor->shape.n_dims - 1; i >= 0; i--) {
        offset += at % tensor->shape.dim[i] * tensor->stride[i];
        at /= tensor->shape.dim[i];
    }
    return offset;
}

enum ph_status phi_tensor_copy(struct phi_tensor *to, const struct phi_tensor *from)
{
    size_t n = phi_shape_count(&from->shape);

    if (!phi_shape_equal(&to->shape, &from->shape))
        return PH_E_SHAPE;
    if (phi_tensor_is_packed(to) && phi_tensor_is_packed(from)) {
        memmove(to->data, from->data, n * sizeof *to->data);
        return PH_OK;
    }
    for (size_t i = 0; i < n; i++)
        to->data[offset_of(to, i)] = from->data[offset_of(from, i)];
    return PH_OK;
}

void phi_tensor_fini(struct phi_tensor *tensor)
{
    if (tensor->owned)
        phi_free(tensor->data);
    memset(tensor, 0, sizeof *tensor);
}
