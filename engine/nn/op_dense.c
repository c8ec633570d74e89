/* SPDX-License-Identifier: MIT
 * Matrix products, softmax, dropout, and the table of all operations. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "nn/op.h"
#include "nn/vmath.h"

static enum ph_status forward_linear(struct phi_op_run *run)
{
    size_t n = run->in_shape[0].dim[0], k = run->in_shape[0].dim[1], m = run->node->shape.dim[1];
    struct phi_gemm gemm = {.b_transposed = true, .m = n, .n = m, .k = k};

    if (run->node->n_in == 3) {
        gemm.add = true;
        for (size_t i = 0; i < n; i++)
            memcpy(run->out + i * m, run->in[2], m * sizeof *run->out);
    }
    return phi_nn_gemm(&gemm, run->in[0], run->in[1], run->out);
}

static enum ph_status backward_linear(struct phi_op_run *run)
{
    size_t n = run->in_shape[0].dim[0], k = run->in_shape[0].dim[1], m = run->node->shape.dim[1];
    struct phi_gemm to_x = {.m = n, .n = k, .k = m, .add = true};
    struct phi_gemm to_w = {.a_transposed = true, .m = m, .n = k, .k = n, .add = true};
    enum ph_status status = PH_OK;

    if (run->grad_in[0])
        status = phi_nn_gemm(&to_x, run->grad_out, run->in[1], run->grad_in[0]);
    if (status == PH_OK && run->grad_in[1])
        status = phi_nn_gemm(&to_w, run->grad_out, run->in[0], run->grad_in[1]);
    for (size_t i = 0; i < n && run->node->n_in == 3 && run->grad_in[2]; i++) {
        for (size_t j = 0; j < m; j++)
            run->grad_in[2][j] += run->grad_out[i * m + j];
    }
    return status;
}

const struct phi_op_kind phi_op_linear = {"linear",        NULL, forward_linear,
                                          backward_linear, NULL, false};

/* Sizes of one product of the batch. */
static struct phi_gemm product_of(const struct phi_op_run *run)
{
    const struct phi_node *node = run->node;

    return (struct phi_gemm){.a_transposed = node->a[0] != 0,
                             .b_transposed = node->a[1] != 0,
                             .m = node->shape.dim[1],
                             .n = node->shape.dim[2],
                             .k = run->in_shape[0].dim[node->a[0] ? 1 : 2]};
}

static enum ph_status forward_matmul(struct phi_op_run *run)
{
    struct phi_gemm g = product_of(run);
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < run->node->shape.dim[0] && status == PH_OK; i++)
        status = phi_nn_gemm(&g, run->in[0] + i * g.m * g.k, run->in[1] + i * g.k * g.n,
                             run->out + i * g.m * g.n);
    return status;
}

/* With y = op(a) op(b): the gradient of op(a) is g op(b)^T, that of op(b) is op(a)^T g; stored
 * transposed where the operand is. */
static enum ph_status backward_matmul(struct phi_op_run *run)
{
    struct phi_gemm p = product_of(run);
    bool at = p.a_transposed, bt = p.b_transposed;
    struct phi_gemm to_a = {
        at ? bt : false, at ? true : !bt, at ? p.k : p.m, at ? p.m : p.k, p.n, true};
    struct phi_gemm to_b = {
        bt ? true : !at, bt ? at : false, bt ? p.n : p.k, bt ? p.k : p.n, p.m, true};
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < run->node->shape.dim[0] && status == PH_OK; i++) {
        const float *a = run->in[0] + i * p.m * p.k, *b = run->in[1] + i * p.k * p.n;
        const float *g = run->grad_out + i * p.m * p.n;

        if (run->grad_in[0])
            status = phi_nn_gemm(&to_a, at ? b : g, at ? g : b, run->grad_in[0] + i * p.m * p.k);
        if (status == PH_OK && run->grad_in[1])
            status = phi_nn_gemm(&to_b, bt ? g : a, bt ? a : g, run->grad_in[1] + i * p.k * p.n);
    }
    return status;
}

const struct phi_op_kind phi_op_matmul = {"matmul",        NULL, forward_matmul,
                                          backward_matmul, NULL, false};

static void softmax_row(const float *x, float *y, size_t n, bool logarithm)
{
    float top = x[0];
    double sum = 0;

    for (size_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)(x[i] - top));
    for (size_t i = 0; i < n; i++) {
        double shifted = (double)(x[i] - top);

        y[i] = (float)(logarithm ? shifted - log(sum) : exp(shifted) / sum);
    }
}

static enum ph_status forward_softmax(struct phi_op_run *run)
{
    size_t k = run->node->shape.dim[run->node->shape.n_dims - 1];
    size_t n = phi_shape_count(&run->node->shape) / k;

    for (size_t i = 0; i < n; i++)
        softmax_row(run->in[0] + i * k, run->out + i * k, k, run->node->a[0] != 0);
    return PH_OK;
}

static enum ph_status backward_softmax(struct phi_op_run *run)
{
    size_t k = run->node->shape.dim[run->node->shape.n_dims - 1];
    size_t n = phi_shape_count(&run->node->shape) / k;

    for (size_t i = 0; i < n; i++) {
        const float *y = run->out + i * k, *g = run->grad_out + i * k;
        float *gx = run->grad_in[0] + i * k;
        double sum = 0;

        for (size_t j = 0; j < k; j++)
            sum += (double)g[j] * (run->node->a[0] ? 1.0 : (double)y[j]);
        for (size_t j = 0; j < k; j++)
            gx[j] += run->node->a[0] ? g[j] - expf(y[j]) * (float)sum : y[j] * (g[j] - (float)sum);
    }
    return PH_OK;
}

const struct phi_op_kind phi_op_softmax = {"softmax",        NULL, forward_softmax,
                                           backward_softmax, NULL, false};

static enum ph_status prepare_dropout(struct phi_op_run *run, bool backward,
                                      struct ph_error *reterr)
{
    (void)backward;
    (void)reterr;
    run->state = phi_calloc(phi_shape_count(&run->node->shape), sizeof(float));
    return run->state ? PH_OK : PH_E_NOMEM;
}

static enum ph_status forward_dropout(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->node->shape);
    float *factor = run->state, share = run->node->f[0];

    for (size_t i = 0; i < n; i++) {
        factor[i] = 1;
        if (run->train)
            factor[i] = phi_rng_uniform(run->rng) < (double)share ? 0 : 1 / (1 - share);
        run->out[i] = run->in[0][i] * factor[i];
    }
    return PH_OK;
}

static enum ph_status backward_dropout(struct phi_op_run *run)
{
    size_t n = phi_shape_count(&run->node->shape);
    const float *factor = run->state;

    for (size_t i = 0; i < n; i++)
        run->grad_in[0][i] += run->grad_out[i] * factor[i];
    return PH_OK;
}

const struct phi_op_kind phi_op_dropout = {"dropout",        prepare_dropout, forward_dropout,
                                           backward_dropout, phi_free,        false};

static const struct phi_op_kind leaf = {"value", NULL, NULL, NULL, NULL, false};

static const struct phi_op_kind *const table[PHI_N_OPS] = {
    [PHI_OP_INPUT] = &leaf,
    [PHI_OP_PARAM] = &leaf,
    [PHI_OP_CONSTANT] = &leaf,
    [PHI_OP_CONV] = &phi_op_conv,
    [PHI_OP_DECONV] = &phi_op_deconv,
    [PHI_OP_LINEAR] = &phi_op_linear,
    [PHI_OP_BATCH_NORM] = &phi_op_batch_norm,
    [PHI_OP_POOL] = &phi_op_pool,
    [PHI_OP_RESIZE] = &phi_op_resize,
    [PHI_OP_UNARY] = &phi_op_unary,
    [PHI_OP_BINARY] = &phi_op_binary,
    [PHI_OP_MATMUL] = &phi_op_matmul,
    [PHI_OP_REDUCE] = &phi_op_reduce,
    [PHI_OP_SOFTMAX] = &phi_op_softmax,
    [PHI_OP_CONCAT] = &phi_op_concat,
    [PHI_OP_SLICE] = &phi_op_slice,
    [PHI_OP_RESHAPE] = &phi_op_reshape,
    [PHI_OP_TRANSPOSE] = &phi_op_transpose,
    [PHI_OP_PAD] = &phi_op_pad,
    [PHI_OP_DROPOUT] = &phi_op_dropout,
    [PHI_OP_EMBED] = &phi_op_embed,
    [PHI_OP_ONE_HOT] = &phi_op_one_hot,
    [PHI_OP_TV] = &phi_op_tv,
    [PHI_OP_LSTM_CELL] = &phi_op_lstm_cell,
    [PHI_OP_LSTM_OUTPUT] = &phi_op_lstm_output,
    [PHI_OP_ERROR_PAIR] = &phi_op_error_pair,
};

const struct phi_op_kind *phi_op_kind(enum phi_op op)
{
    return table[op];
}
