/* SPDX-License-Identifier: MIT
 *
 * Shapes and float32 tensors. A tensor is a shape, strides in elements and a pointer; it owns its
 * block, borrows one from an arena, or views another tensor. Row-major unless a view says
 * otherwise; pictures are [n][c][h][w]. Thread-safe on separate tensors.
 */
#ifndef PHI_NN_TENSOR_H
#define PHI_NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "phosphene/status.h"

#define PHI_MAX_DIMS   5
#define PHI_SHAPE_TEXT 64
/* More elements than this in one tensor are refused: sizes come from files and recipes. */
#define PHI_MAX_ELEMENTS ((size_t)1 << 33)

struct phi_shape {
    int n_dims; /* 1..PHI_MAX_DIMS; a scalar is [1] */
    size_t dim[PHI_MAX_DIMS];
};

struct phi_tensor {
    struct phi_shape shape;
    size_t stride[PHI_MAX_DIMS]; /* in elements */
    float *data;
    bool owned; /* phi_tensor_fini frees data */
};

/* Shapes of one to four sizes, written as PHI_SHAPE(3, 64, 64). */
#define PHI_SHAPE(...)                                                                             \
    phi_shape_of(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), (size_t[]){__VA_ARGS__})

/* The shape with the `n` sizes dim[n]; n_dims 0 (no shape) if n is out of range. */
struct phi_shape phi_shape_of(size_t n, const size_t *dim);

/* The product of the sizes; 0 if a size is 0, there is no shape, or it exceeds PHI_MAX_ELEMENTS. */
size_t phi_shape_count(const struct phi_shape *shape);

/* True if both have the same number of dimensions and the same sizes. */
bool phi_shape_equal(const struct phi_shape *a, const struct phi_shape *b);

/* Writes "[3, 64, 64]" into out[PHI_SHAPE_TEXT] and returns it. */
const char *phi_shape_text(const struct phi_shape *shape, char *out);

/* A zeroed, 64-byte aligned tensor that owns its block. Errors: _SHAPE (empty or too large),
 * _NOMEM. */
PH_NODISCARD enum ph_status phi_tensor_init(struct phi_tensor *ret_tensor, struct phi_shape shape);

/* As phi_tensor_init, with the block taken from `arena`, which outlives the tensor. */
PH_NODISCARD enum ph_status phi_tensor_init_arena(struct phi_tensor *ret_tensor,
                                                  struct phi_shape shape, struct phi_arena *arena);

/* A row-major tensor over the caller's `data`, which outlives it. */
struct phi_tensor phi_tensor_over(float *data, struct phi_shape shape);

/* The part [begin, begin + length) of `axis`, sharing memory. Errors: _SHAPE (out of range). */
PH_NODISCARD enum ph_status phi_tensor_slice(const struct phi_tensor *tensor, int axis,
                                             size_t begin, size_t length,
                                             struct phi_tensor *ret_view);

/* True if the elements lie row-major without gaps. */
bool phi_tensor_is_packed(const struct phi_tensor *tensor);

/* Copies `from` (any strides) to `to` (any strides) of equal shape. Errors: _SHAPE. */
PH_NODISCARD enum ph_status phi_tensor_copy(struct phi_tensor *to, const struct phi_tensor *from);

/* Frees an owned block and clears the tensor. */
void phi_tensor_fini(struct phi_tensor *tensor);

#endif
