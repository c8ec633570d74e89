/* SPDX-License-Identifier: MIT
 * Element-wise functions of one argument. */
#include <math.h>

#include "base/simd.h"
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

PHI_VECTOR static void unary_values(enum phi_unary fn, const float *restrict x, float *restrict y,
                                    size_t n, const float *numbers)
{
    const float f[2] = {numbers[0], numbers[1]};

    switch (fn) {
#define VALUES(FN)                                                                                 \
    case FN:                                                                                       \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = unary_value(FN, x[i], f);                                                       \
        break;
        EACH_UNARY(VALUES)
    case PHI_N_UNARY:
        break;
    }
}

/* In place, for the functions that allow it. */
PHI_VECTOR static void unary_in_place(enum phi_unary fn, float *y, size_t n, float slope)
{
    if (fn == PHI_RELU || fn == PHI_LEAKY_RELU) {
        for (size_t i = 0; i < n; i++)
            y[i] = y[i] > 0 ? y[i] : slope * y[i];
    } else if (fn == PHI_SIGMOID) {
        for (size_t i = 0; i < n; i++)
            y[i] = phi_sigmoidf(y[i]);
    } else {
        for (size_t i = 0; i < n; i++)
            y[i] = phi_tanhf(y[i]);
    }
}

/* The gradient g, which becomes that of the argument, at the values y. */
PHI_VECTOR static void slopes_in_place(enum phi_unary fn, const float *restrict y,
                                       float *restrict g, size_t n, float slope)
{
    if (fn == PHI_RELU || fn == PHI_LEAKY_RELU) {
        for (size_t i = 0; i < n; i++)
            g[i] = g[i] * (y[i] > 0 ? 1.0f : slope);
    } else if (fn == PHI_SIGMOID) {
        for (size_t i = 0; i < n; i++)
            g[i] = g[i] * (y[i] * (1 - y[i]));
    } else {
        for (size_t i = 0; i < n; i++)
            g[i] = g[i] * (1 - y[i] * y[i]);
    }
}

bool phi_op_unary_in_place(int fn, const float *numbers)
{
    return fn == PHI_RELU || fn == PHI_SIGMOID || fn == PHI_TANH ||
           (fn == PHI_LEAKY_RELU && numbers[0] > 0);
}

static enum ph_status forward_unary(struct phi_op_run *run)
{
    enum phi_unary fn = (enum phi_unary)run->node->a[0];
    size_t n = phi_shape_count(&run->node->shape);
    float slope = fn == PHI_LEAKY_RELU ? run->node->f[0] : 0;

    PHI_PARALLEL(n)
    for (size_t i = 0; i < phi_n_pieces(n); i++) {
        if (run->out == run->in[0])
            unary_in_place(fn, run->out + i * PHI_PIECE, phi_piece_size(n, i), slope);
        else
            unary_values(fn, run->in[0] + i * PHI_PIECE, run->out + i * PHI_PIECE,
                         phi_piece_size(n, i), run->node->f);
    }
    return PH_OK;
}

/* The arrays of a gradient: of the result, argument, value, and of the argument. */
struct slopes {
    const float *g, *x, *y;
    float *gx;
    bool fresh;
};

PHI_VECTOR static void unary_slopes(enum phi_unary fn, const struct slopes *s, size_t n,
                                    const float *numbers)
{
    const float f[2] = {numbers[0], numbers[1]};
    const float *restrict g = s->g, *restrict x = s->x, *restrict y = s->y;
    float *restrict gx = s->gx;

    switch (2 * (int)fn + s->fresh) {
#define SLOPES(FN)                                                                                 \
    case 2 * FN:                                                                                   \
        for (size_t i = 0; i < n; i++)                                                             \
            gx[i] += g[i] * unary_slope(FN, x[i], y[i], f);                                        \
        break;                                                                                     \
    case 2 * FN + 1:                                                                               \
        for (size_t i = 0; i < n; i++)                                                             \
            gx[i] = g[i] * unary_slope(FN, x[i], y[i], f);                                         \
        break;
        EACH_UNARY(SLOPES)
    default:
        break;
    }
}

static enum ph_status backward_unary(struct phi_op_run *run)
{
    enum phi_unary fn = (enum phi_unary)run->node->a[0];
    size_t n = phi_shape_count(&run->node->shape);
    float slope = fn == PHI_LEAKY_RELU ? run->node->f[0] : 0;

    PHI_PARALLEL(n)
    for (size_t i = 0; i < phi_n_pieces(n); i++) {
        struct slopes s = {run->grad_out + i * PHI_PIECE, run->in[0] + i * PHI_PIECE,
                           run->out + i * PHI_PIECE, run->grad_in[0] + i * PHI_PIECE, run->fresh};

        if (run->grad_out == run->grad_in[0])
            slopes_in_place(fn, s.y, s.gx, phi_piece_size(n, i), slope);
        else
            unary_slopes(fn, &s, phi_piece_size(n, i), run->node->f);
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_unary = {"element-wise function", NULL, forward_unary,
                                         backward_unary,          NULL, true};
