/* SPDX-License-Identifier: MIT
 * Element-wise functions, arithmetic with broadcasting, reductions. */
#include <math.h>
#include <string.h>

#include "nn/layers.h"
#include "nn/op.h"
#include "nn/vmath.h"

static float softplus(float x)
{
    return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
}

static float unary_value(enum phi_unary fn, float x, const float *f)
{
    switch (fn) {
    case PHI_RELU:
        return x > 0 ? x : 0;
    case PHI_LEAKY_RELU:
        return x > 0 ? x : f[0] * x;
    case PHI_ELU:
        return x > 0 ? x : f[0] * expm1f(x);
    case PHI_SIGMOID:
        return phi_sigmoidf(x);
    case PHI_HARD_SIGMOID:
        return phi_hard_sigmoidf(x);
    case PHI_TANH:
        return phi_tanhf(x);
    case PHI_SOFTPLUS:
        return softplus(x);
    case PHI_EXP:
        return expf(x);
    case PHI_LOG:
        return logf(x);
    case PHI_SQUARE:
        return x * x;
    case PHI_SQRT:
        return sqrtf(x);
    case PHI_ABS:
        return fabsf(x);
    case PHI_AFFINE:
        return f[0] * x + f[1];
    case PHI_CLIP:
        return phi_clampf(x, f[0], f[1]);
    case PHI_N_UNARY:
        break;
    }
    return 0;
}

/* Derivative at x, where the function has the value y. */
static float unary_slope(enum phi_unary fn, float x, float y, const float *f)
{
    switch (fn) {
    case PHI_RELU:
        return x > 0 ? 1 : 0;
    case PHI_LEAKY_RELU:
        return x > 0 ? 1 : f[0];
    case PHI_ELU:
        return x > 0 ? 1 : y + f[0];
    case PHI_SIGMOID:
        return y * (1 - y);
    case PHI_HARD_SIGMOID:
        return x > -2.5f && x < 2.5f ? 0.2f : 0;
    case PHI_TANH:
        return 1 - y * y;
    case PHI_SOFTPLUS:
        return phi_sigmoidf(x);
    case PHI_EXP:
        return y;
    case PHI_LOG:
        return 1 / x;
    case PHI_SQUARE:
        return 2 * x;
    case PHI_SQRT:
        return 0.5f / y;
    case PHI_ABS:
        return x > 0 ? 1.0f : x < 0 ? -1.0f : 0;
    case PHI_AFFINE:
        return f[0];
    case PHI_CLIP:
        return x > f[0] && x < f[1] ? 1 : 0;
    case PHI_N_UNARY:
        break;
    }
    return 0;
}

/* One loop per function, so that the switch is decided once and the loop is a vector loop. */
#define EACH_UNARY(DO)                                                                             \
    DO(PHI_RELU)                                                                                   \
    DO(PHI_LEAKY_RELU)                                                                             \
    DO(PHI_ELU)                                                                                    \
    DO(PHI_SIGMOID)                                                                                \
    DO(PHI_HARD_SIGMOID)                                                                           \
    DO(PHI_TANH)                                                                                   \
    DO(PHI_SOFTPLUS)                                                                               \
    DO(PHI_EXP)                                                                                    \
    DO(PHI_LOG)                                                                                    \
    DO(PHI_SQUARE)                                                                                 \
    DO(PHI_SQRT)                                                                                   \
    DO(PHI_ABS)                                                                                    \
    DO(PHI_AFFINE)                                                                                 \
    DO(PHI_CLIP)

static enum ph_status forward_unary(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->node->shape);
    const float *x = run->in[0], *f = run->node->f;
    float *y = run->out;

    switch ((enum phi_unary)run->node->a[0]) {
#define VALUES(FN)                                                                                 \
    case FN: {                                                                                     \
        PHI_PARALLEL(n)                                                                            \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = unary_value(FN, x[i], f);                                                       \
        break;                                                                                     \
    }
        EACH_UNARY(VALUES)
    case PHI_N_UNARY:
        break;
    }
    return PH_OK;
}

static enum ph_status backward_unary(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->node->shape);
    const float *x = run->in[0], *y = run->out, *g = run->grad_out, *f = run->node->f;
    float *gx = run->grad_in[0];

    switch ((enum phi_unary)run->node->a[0]) {
#define SLOPES(FN)                                                                                 \
    case FN: {                                                                                     \
        PHI_PARALLEL(n)                                                                            \
        for (size_t i = 0; i < n; i++)                                                             \
            gx[i] += g[i] * unary_slope(FN, x[i], y[i], f);                                        \
        break;                                                                                     \
    }
        EACH_UNARY(SLOPES)
    case PHI_N_UNARY:
        break;
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_unary = {"element-wise function", NULL, forward_unary,
                                         backward_unary, NULL};

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

static void walk_next(struct walk *walk)
{
    for (int i = walk->n_dims - 1; i >= 0; i--) {
        walk->offset[0] += walk->stride[0][i];
        walk->offset[1] += walk->stride[1][i];
        if (++walk->at[i] < walk->dim[i])
            return;
        walk->at[i] = 0;
        walk->offset[0] -= walk->dim[i] * walk->stride[0][i];
        walk->offset[1] -= walk->dim[i] * walk->stride[1][i];
    }
}

static float binary_value(enum phi_binary fn, float x, float y)
{
    switch (fn) {
    case PHI_ADD:
        return x + y;
    case PHI_SUB:
        return x - y;
    case PHI_MUL:
        return x * y;
    case PHI_DIV:
        return x / y;
    }
    return 0;
}

static enum ph_status forward_binary(struct phi_op_run *run)
{
    enum phi_binary fn = (enum phi_binary)run->node->a[0];
    size_t n = phi_shape_count(&run->node->shape);
    const float *x = run->in[0], *y = run->in[1];
    struct walk walk = walk_over(run, 2);

    if (phi_shape_equal(&run->in_shape[0], &run->in_shape[1])) {
        float *out = run->out;

        PHI_PARALLEL(n)
        for (size_t i = 0; i < n; i++)
            out[i] = binary_value(fn, x[i], y[i]);
        return PH_OK;
    }
    for (size_t i = 0; i < n; i++, walk_next(&walk))
        run->out[i] = binary_value(fn, x[walk.offset[0]], y[walk.offset[1]]);
    return PH_OK;
}

static enum ph_status backward_binary(struct phi_op_run *run)
{
    enum phi_binary fn = (enum phi_binary)run->node->a[0];
    size_t n = phi_shape_count(&run->node->shape);
    float *gx = run->grad_in[0], *gy = run->grad_in[1];
    struct walk walk = walk_over(run, 2);

    for (size_t i = 0; i < n; i++, walk_next(&walk)) {
        float g = run->grad_out[i], x = run->in[0][walk.offset[0]], y = run->in[1][walk.offset[1]];

        if (gx)
            gx[walk.offset[0]] += fn == PHI_MUL ? g * y : fn == PHI_DIV ? g / y : g;
        if (gy)
            gy[walk.offset[1]] += fn == PHI_ADD   ? g
                                  : fn == PHI_SUB ? -g
                                  : fn == PHI_MUL ? g * x
                                                  : -g * x / (y * y);
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_binary = {"arithmetic", NULL, forward_binary, backward_binary,
                                          NULL};

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
    size_t length;
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
    for (size_t i = 0; i < n; i++, walk_next(&walk))
        run->out[walk.offset[0]] += factor * x[i];
    return PH_OK;
}

static enum ph_status backward_reduce(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->in_shape[0]);
    float factor = reduce_factor(run);
    struct walk walk = walk_reduced(run);

    for (size_t i = 0; i < n; i++, walk_next(&walk))
        run->grad_in[0][i] += factor * run->grad_out[walk.offset[0]];
    return PH_OK;
}

const struct phi_op_kind phi_op_reduce = {"reduction", NULL, forward_reduce, backward_reduce, NULL};
