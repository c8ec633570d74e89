/* SPDX-License-Identifier: MIT
 * Convolution and transposed convolution on oneDNN, forward and backward. The arrays stay plain;
 * each primitive takes the layout it likes best and reorders, which costs a few per cent of the
 * large shapes and keeps every other operation simple. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "nn/op.h"

struct conv_state {
    struct phi_prim forward, to_input, to_weights;
    /* Places of gradients before they are added, in the shared work. */
    size_t input_part, weight_part, bias_part;
    bool same_grad; /* both take the output's gradient in one layout */
};

/* Everything that tells the two operations apart, as oneDNN wants it. */
struct conv_shape {
    bool transposed;
    bool bias;
    dnnl_memory_desc_t x, w, b, y;          /* as we keep them */
    dnnl_memory_desc_t any_x, any_w, any_y; /* layout left open */
    dnnl_dims_t stride, pad_begin, pad_end;
};

static dnnl_memory_desc_t open_layout(const dnnl_memory_desc_t *desc)
{
    dnnl_memory_desc_t any;

    (void)dnnl_memory_desc_init_by_tag(&any, desc->ndims, desc->dims, dnnl_f32,
                                       dnnl_format_tag_any);
    return any;
}

static struct conv_shape shape_of(const struct phi_op_run *run)
{
    const struct phi_node *node = run->node;
    struct conv_shape s = {.transposed = node->op == PHI_OP_DECONV, .bias = node->n_in == 3};
    const size_t *w = run->in_shape[1].dim;
    /* oneDNN counts the output channels of a transposed convolution first; memory stays ours. */
    size_t w_dim[4] = {s.transposed ? w[1] : w[0], s.transposed ? w[0] : w[1], w[2], w[3]};

    s.x = phi_dnnl_desc(run->in_shape[0].dim, 4, dnnl_nchw);
    s.y = phi_dnnl_desc(node->shape.dim, 4, dnnl_nchw);
    s.w = phi_dnnl_desc(w_dim, 4, s.transposed ? dnnl_iohw : dnnl_oihw);
    s.b = phi_dnnl_desc(w_dim, 1, dnnl_a);
    s.any_x = open_layout(&s.x);
    s.any_y = open_layout(&s.y);
    s.any_w = open_layout(&s.w);
    for (int i = 0; i < 2; i++) {
        s.stride[i] = node->a[0];
        s.pad_begin[i] = node->a[1];
        s.pad_end[i] = s.transposed ? node->a[1] - node->a[2] : node->a[1];
    }
    return s;
}

static dnnl_status_t describe_forward(const struct conv_shape *s, dnnl_engine_t engine,
                                      dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret_pd)
{
    const dnnl_memory_desc_t *bias = s->bias ? &s->b : NULL;
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    dnnl_status_t status =
        s->transposed ? dnnl_deconvolution_forward_desc_init(
                            &deconv, dnnl_forward_training, dnnl_deconvolution_direct, &s->any_x,
                            &s->any_w, bias, &s->any_y, s->stride, s->pad_begin, s->pad_end)
                      : dnnl_convolution_forward_desc_init(
                            &conv, dnnl_forward_training, dnnl_convolution_direct, &s->any_x,
                            &s->any_w, bias, &s->any_y, s->stride, s->pad_begin, s->pad_end);

    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(ret_pd, s->transposed ? (const void *)&deconv : &conv, attr,
                                      engine, NULL);
}

static dnnl_status_t describe_to_input(const struct conv_shape *s, dnnl_engine_t engine,
                                       dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                                       dnnl_primitive_desc_t *ret_pd)
{
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    dnnl_status_t status =
        s->transposed
            ? dnnl_deconvolution_backward_data_desc_init(&deconv, dnnl_deconvolution_direct,
                                                         &s->any_x, &s->any_w, &s->any_y, s->stride,
                                                         s->pad_begin, s->pad_end)
            : dnnl_convolution_backward_data_desc_init(&conv, dnnl_convolution_direct, &s->any_x,
                                                       &s->any_w, &s->any_y, s->stride,
                                                       s->pad_begin, s->pad_end);

    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(ret_pd, s->transposed ? (const void *)&deconv : &conv, attr,
                                      engine, hint);
}

static dnnl_status_t describe_to_weights(const struct conv_shape *s, dnnl_engine_t engine,
                                         dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                                         dnnl_primitive_desc_t *ret_pd)
{
    const dnnl_memory_desc_t *bias = s->bias ? &s->b : NULL;
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    dnnl_status_t status =
        s->transposed
            ? dnnl_deconvolution_backward_weights_desc_init(&deconv, dnnl_deconvolution_direct,
                                                            &s->any_x, &s->any_w, bias, &s->any_y,
                                                            s->stride, s->pad_begin, s->pad_end)
            : dnnl_convolution_backward_weights_desc_init(&conv, dnnl_convolution_direct, &s->any_x,
                                                          &s->any_w, bias, &s->any_y, s->stride,
                                                          s->pad_begin, s->pad_end);

    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(ret_pd, s->transposed ? (const void *)&deconv : &conv, attr,
                                      engine, hint);
}

/* An operand: its code, our description and the query that tells the primitive's. */
struct operand {
    int arg;
    const dnnl_memory_desc_t *ours;
    dnnl_query_t query;
    int index;
    bool output;
};

static enum ph_status make_prim(struct phi_prim *prim, struct phi_dnnl *dnnl,
                                dnnl_primitive_desc_t pd, const struct operand *operand,
                                struct ph_error *reterr)
{
    dnnl_memory_desc_t inner[PHI_PRIM_ARGS];
    enum ph_status status;
    int n = 0;

    for (; operand[n].arg; n++)
        inner[n] = *dnnl_primitive_desc_query_md(pd, operand[n].query, operand[n].index);
    status = phi_prim_init(prim, dnnl, pd, reterr);
    for (int i = 0; i < n && status == PH_OK; i++) {
        status = phi_prim_bind(prim, operand[i].arg, operand[i].output, operand[i].ours, &inner[i]);
        if (status != PH_OK)
            status = phi_error(reterr, status, "a convolution's operands cannot be bound");
    }
    return status;
}

static enum ph_status prepare_to_input(struct phi_op_run *run, struct conv_state *state,
                                       const struct conv_shape *s, dnnl_primitive_attr_t attr,
                                       dnnl_primitive_desc_t hint)
{
    const struct operand input[] = {{DNNL_ARG_DIFF_DST, &s->y, dnnl_query_diff_dst_md, 0, false},
                                    {DNNL_ARG_WEIGHTS, &s->w, dnnl_query_weights_md, 0, false},
                                    {DNNL_ARG_DIFF_SRC, &s->x, dnnl_query_diff_src_md, 0, true},
                                    {0}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = describe_to_input(s, run->dnnl->engine, attr, hint, &pd);
    enum ph_status status = phi_dnnl_status(made, "a convolution's input gradient", NULL);

    if (status == PH_OK)
        status = make_prim(&state->to_input, run->dnnl, pd, input, NULL);
    if (status == PH_OK)
        status =
            phi_prim_reserve(&state->to_input, phi_shape_count(&run->in_shape[0]) * sizeof(float),
                             &state->input_part);
    return status;
}

static enum ph_status prepare_to_weights(struct phi_op_run *run, struct conv_state *state,
                                         const struct conv_shape *s, dnnl_primitive_attr_t attr,
                                         dnnl_primitive_desc_t hint)
{
    const struct operand weights[] = {
        {DNNL_ARG_DIFF_DST, &s->y, dnnl_query_diff_dst_md, 0, false},
        {DNNL_ARG_SRC, &s->x, dnnl_query_src_md, 0, false},
        {DNNL_ARG_DIFF_WEIGHTS, &s->w, dnnl_query_diff_weights_md, 0, true},
        {s->bias ? DNNL_ARG_DIFF_BIAS : 0, &s->b, dnnl_query_diff_weights_md, 1, true},
        {0}};
    struct phi_prim *prim = &state->to_weights;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = describe_to_weights(s, run->dnnl->engine, attr, hint, &pd);
    enum ph_status status = phi_dnnl_status(made, "a convolution's weight gradient", NULL);

    if (status == PH_OK)
        status = make_prim(prim, run->dnnl, pd, weights, NULL);
    if (status == PH_OK)
        status = phi_prim_reserve(prim, phi_shape_count(&run->in_shape[1]) * sizeof(float),
                                  &state->weight_part);
    if (status == PH_OK)
        status = phi_prim_reserve(prim, run->node->shape.dim[1] * sizeof(float), &state->bias_part);
    return status;
}

static bool wants_weights(const struct phi_op_run *run)
{
    return run->grad_in[1] || (run->node->n_in == 3 && run->grad_in[2]);
}

static enum ph_status prepare_backward(struct phi_op_run *run, struct conv_state *state,
                                       const struct conv_shape *s, dnnl_primitive_attr_t attr,
                                       dnnl_primitive_desc_t hint)
{
    enum ph_status status = PH_OK;

    if (run->grad_in[0])
        status = prepare_to_input(run, state, s, attr, hint);
    if (status == PH_OK && wants_weights(run))
        status = prepare_to_weights(run, state, s, attr, hint);
    state->same_grad = status == PH_OK && run->grad_in[0] && wants_weights(run) &&
                       phi_prim_shares_first(&state->to_input, &state->to_weights);
    return status;
}

static void release_conv(void *pointer)
{
    struct conv_state *state = pointer;

    phi_prim_fini(&state->forward);
    phi_prim_fini(&state->to_input);
    phi_prim_fini(&state->to_weights);
    phi_free(state);
}

static enum ph_status prepare_conv(struct phi_op_run *run, bool backward, struct ph_error *reterr)
{
    struct conv_shape s = shape_of(run);
    const struct operand operand[] = {
        {DNNL_ARG_SRC, &s.x, dnnl_query_src_md, 0, false},
        {DNNL_ARG_WEIGHTS, &s.w, dnnl_query_weights_md, 0, false},
        {DNNL_ARG_DST, &s.y, dnnl_query_dst_md, 0, true},
        {s.bias ? DNNL_ARG_BIAS : 0, &s.b, dnnl_query_weights_md, 1, false},
        {0}};
    dnnl_primitive_attr_t attr = phi_dnnl_attr();
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    struct conv_state *state = phi_calloc(1, sizeof *state);
    enum ph_status status = PH_E_NOMEM;

    run->state = state;
    if (state && attr)
        status = phi_dnnl_status(describe_forward(&s, run->dnnl->engine, attr, &pd),
                                 "a convolution", reterr);
    if (status == PH_OK && dnnl_primitive_desc_clone(&hint, pd) != dnnl_success)
        status = PH_E_NOMEM;
    if (status == PH_OK)
        status = make_prim(&state->forward, run->dnnl, pd, operand, reterr);
    if (status == PH_OK && backward)
        status = prepare_backward(run, state, &s, attr, hint);
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return status;
}

static enum ph_status forward_conv(struct phi_op_run *run)
{
    struct conv_state *state = run->state;

    phi_prim_set(&state->forward, 0, run->in[0]);
    phi_prim_set(&state->forward, 1, run->in[1]);
    phi_prim_set(&state->forward, 2, run->out);
    if (run->node->n_in == 3)
        phi_prim_set(&state->forward, 3, run->in[2]);
    return phi_prim_run(&state->forward);
}

PHI_VECTOR static void add_piece(float *restrict sum, const float *restrict part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += part[i];
}

static void add_to(float *sum, const float *part, size_t n)
{
    if (!sum)
        return;
    PHI_PARALLEL(n)
    for (size_t i = 0; i < phi_n_pieces(n); i++)
        add_piece(sum + i * PHI_PIECE, part + i * PHI_PIECE, phi_piece_size(n, i));
}

static enum ph_status backward_input(struct phi_op_run *run, struct conv_state *state)
{
    float *part = phi_prim_room(&state->to_input, state->input_part);
    enum ph_status status;

    phi_prim_set(&state->to_input, 0, run->grad_out);
    phi_prim_set(&state->to_input, 1, run->in[1]);
    phi_prim_set(&state->to_input, 2, run->fresh ? run->grad_in[0] : part);
    status = phi_prim_run(&state->to_input);
    if (status == PH_OK && !run->fresh)
        add_to(run->grad_in[0], part, phi_shape_count(&run->in_shape[0]));
    return status;
}

static enum ph_status backward_weights(struct phi_op_run *run, struct conv_state *state)
{
    struct phi_prim *prim = &state->to_weights;
    float *weight_part = phi_prim_room(prim, state->weight_part);
    float *bias_part = phi_prim_room(prim, state->bias_part);
    enum ph_status status;

    phi_prim_set(prim, 0, run->grad_out);
    phi_prim_set(prim, 1, run->in[0]);
    phi_prim_set(prim, 2, weight_part);
    if (run->node->n_in == 3)
        phi_prim_set(prim, 3, bias_part);
    status = state->same_grad ? phi_prim_run_after(prim) : phi_prim_run(prim);
    if (status != PH_OK)
        return status;
    add_to(run->grad_in[1], weight_part, phi_shape_count(&run->in_shape[1]));
    if (run->node->n_in == 3)
        add_to(run->grad_in[2], bias_part, run->node->shape.dim[1]);
    return PH_OK;
}

static enum ph_status backward_conv(struct phi_op_run *run)
{
    struct conv_state *state = run->state;
    enum ph_status status = PH_OK;

    if (run->grad_in[0])
        status = backward_input(run, state);
    if (status == PH_OK && wants_weights(run))
        status = backward_weights(run, state);
    return status;
}

const struct phi_op_kind phi_op_conv = {"conv2d",      prepare_conv, forward_conv,
                                        backward_conv, release_conv, true};
const struct phi_op_kind phi_op_deconv = {"deconv2d",    prepare_conv, forward_conv,
                                          backward_conv, release_conv, true};
