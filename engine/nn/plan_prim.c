/* SPDX-License-Identifier: MIT
 * oneDNN primitives of a plan. Direct convolutions run on [h][w][c], where oneDNN's brgemm kernels
 * are fastest and any number of channels is welcome; Winograd and transposed convolutions need
 * blocks of 16 channels. What oneDNN can only do by its slow reference gets a layout of its own
 * choice instead. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/layers.h"
#include "nn/plan_private.h"

/* Transformed Winograd weights (36 per 9) larger than this are slower to read than direct
 * convolution is to compute (measured at 576 -> 768: equal at 64 MB). */
#define MAX_WINOGRAD_BYTES ((size_t)32 << 20)
#define MIN_WINOGRAD_WIDTH 32

/* Values as the primitive is asked for, and as the plan keeps them: block 0 leaves the layout to
 * oneDNN, with plain values outside. */
struct layout {
    size_t x, y;
    bool winograd;
    bool bfloat16;
};

static bool has_avx512(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

bool phi_nn_has_bfloat16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
           dnnl_cpu_isa_avx512_core_bf16;
}

static bool can_winograd(const struct phi_shape *x, const struct phi_node *node,
                         const struct phi_shape *weight)
{
    size_t n_out = weight->dim[0], n_in = weight->dim[1];

    return node->op == PHI_OP_CONV && x->dim[0] == 1 && weight->dim[2] == 3 && node->a[0] == 1 &&
           node->a[1] == 1 && n_in % PHI_BLOCK == 0 && n_out % PHI_BLOCK == 0 && has_avx512();
}

/* The weights of a layer with batch norm folded in, and its bias. */
struct folded {
    float *weight, *bias;
    size_t n_out;
};

static void fold_norm(const struct phi_plan_layer *layer, struct folded *folded)
{
    size_t n = phi_shape_count(&layer->weight_shape), n_out = folded->n_out;
    bool in_first = layer->node->op == PHI_OP_DECONV;
    size_t area = layer->weight_shape.n_dims == 4
                      ? layer->weight_shape.dim[2] * layer->weight_shape.dim[3]
                      : 1;

    for (size_t i = 0; i < n; i++) {
        size_t o = in_first ? i / area % n_out : i / (n / n_out);
        double scale =
            (double)layer->norm[0][o] / sqrt((double)layer->norm[3][o] + (double)layer->eps);

        folded->weight[i] = (float)(scale * (double)folded->weight[i]);
    }
    for (size_t o = 0; o < n_out; o++) {
        double scale =
            (double)layer->norm[0][o] / sqrt((double)layer->norm[3][o] + (double)layer->eps);

        folded->bias[o] = (float)(((double)folded->bias[o] - (double)layer->norm[2][o]) * scale +
                                  (double)layer->norm[1][o]);
    }
}

static enum ph_status fold(const struct phi_plan_layer *layer, struct folded *ret_folded)
{
    size_t n = phi_shape_count(&layer->weight_shape);
    struct folded folded = {.n_out = layer->y.dim[1]};

    folded.weight = phi_calloc(n, sizeof(float));
    folded.bias = phi_calloc(folded.n_out, sizeof(float));
    if (!folded.weight || !folded.bias) {
        phi_free(folded.weight);
        phi_free(folded.bias);
        return PH_E_NOMEM;
    }
    memcpy(folded.weight, layer->weight, n * sizeof(float));
    if (layer->bias)
        memcpy(folded.bias, layer->bias, folded.n_out * sizeof(float));
    if (layer->norm[0])
        fold_norm(layer, &folded);
    *ret_folded = folded;
    return PH_OK;
}

/* A transposed convolution of one pixel without padding is a matrix product: [in] x [in][out k k].
 * Its bias is repeated over the k k pixels. */
static bool is_one_pixel(const struct phi_plan_layer *layer)
{
    return layer->node->op == PHI_OP_DECONV && layer->x.dim[2] == 1 && layer->x.dim[3] == 1 &&
           layer->node->a[1] == 0 && layer->node->a[2] == 0;
}

/* oneDNN adds bias and activation to a transposed convolution by its slow reference (measured: two
 * to four times the layer itself), so that we do it after. */
static bool is_spread(const struct phi_plan_layer *layer)
{
    return layer->node->op == PHI_OP_DECONV && !is_one_pixel(layer) && layer->x.dim[0] == 1;
}

/* Attributes with the activation, if oneDNN has it; *ret_fused tells. */
static dnnl_primitive_attr_t attributes(const struct phi_plan_layer *layer, bool *ret_fused)
{
    dnnl_primitive_attr_t attr = phi_dnnl_attr();
    dnnl_alg_kind_t kind = layer->act == PHI_CLIP ? dnnl_eltwise_clip : dnnl_eltwise_relu;
    float alpha = layer->act == PHI_RELU ? 0 : layer->act_f[0];
    dnnl_post_ops_t ops = NULL;

    *ret_fused = false;
    if (!attr || is_spread(layer) ||
        (layer->act != PHI_RELU && layer->act != PHI_LEAKY_RELU && layer->act != PHI_CLIP))
        return attr;
    if (dnnl_post_ops_create(&ops) != dnnl_success)
        return attr;
    *ret_fused =
        dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, layer->act_f[1]) == dnnl_success &&
        dnnl_primitive_attr_set_post_ops(attr, ops) == dnnl_success;
    dnnl_post_ops_destroy(ops);
    return attr;
}

static dnnl_memory_desc_t picture(const struct phi_shape *shape, size_t block)
{
    dnnl_format_tag_t tag = block == 0           ? dnnl_format_tag_any
                            : block == PHI_BLOCK ? dnnl_nChw16c
                            : block == 1         ? dnnl_nchw
                                                 : dnnl_nhwc;

    return phi_dnnl_desc(shape->dim, 4, tag);
}

/* How the operands of a layer look to the caller (user) and to a primitive being asked for. */
struct operands {
    dnnl_memory_desc_t x, w, b, y;
    dnnl_memory_desc_t ask_x, ask_w, ask_y;
};

/* Asks for a primitive that takes bfloat16 and gives float32; binding the operands converts them.
 */
static void round_operands(struct operands *o)
{
    o->ask_x.data_type = dnnl_bf16;
    o->ask_w.data_type = dnnl_bf16;
}

static struct operands conv_operands(const struct phi_plan_layer *layer,
                                     const struct layout *layout)
{
    bool transposed = layer->node->op == PHI_OP_DECONV;
    const size_t *w = layer->weight_shape.dim;
    size_t w_dim[4] = {transposed ? w[1] : w[0], transposed ? w[0] : w[1], w[2], w[3]};
    struct operands o = {
        .x = picture(&layer->x, layout->x ? layout->x : 1),
        .y = picture(&layer->y, layout->y ? layout->y : 1),
        .w = phi_dnnl_desc(w_dim, 4, transposed ? dnnl_iohw : dnnl_oihw),
        .b = phi_dnnl_desc(w_dim, 1, dnnl_a),
        .ask_x = picture(&layer->x, layout->x),
        .ask_y = picture(&layer->y, layout->y),
        .ask_w = phi_dnnl_desc(w_dim, 4, dnnl_format_tag_any),
    };

    if (layout->bfloat16)
        round_operands(&o);
    return o;
}

static dnnl_status_t describe_conv(const struct phi_plan *plan, const struct phi_plan_layer *layer,
                                   const struct operands *o, bool winograd,
                                   dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *ret_pd)
{
    const int *a = layer->node->a;
    dnnl_dims_t stride = {a[0], a[0]}, begin = {a[1], a[1]}, end = {a[1], a[1]};
    dnnl_convolution_desc_t conv;
    dnnl_deconvolution_desc_t deconv;
    bool transposed = layer->node->op == PHI_OP_DECONV;
    dnnl_status_t status;

    if (transposed) {
        end[0] = end[1] = a[1] - a[2];
        status = dnnl_deconvolution_forward_desc_init(
            &deconv, dnnl_forward_inference, dnnl_deconvolution_direct, &o->ask_x, &o->ask_w,
            is_spread(layer) ? NULL : &o->b, &o->ask_y, stride, begin, end);
    } else {
        status = dnnl_convolution_forward_desc_init(
            &conv, dnnl_forward_inference,
            winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, &o->ask_x, &o->ask_w,
            &o->b, &o->ask_y, stride, begin, end);
    }
    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(ret_pd, transposed ? (const void *)&deconv : &conv, attr,
                                      plan->dnnl.engine, NULL);
}

static const char *implementation(dnnl_primitive_desc_t pd)
{
    const char *text = NULL;

    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &text) != dnnl_success)
        return "?";
    return text;
}

static void describe_step(const struct phi_plan_layer *layer, dnnl_primitive_desc_t pd,
                          struct phi_plan_step *step)
{
    char x[PHI_SHAPE_TEXT], y[PHI_SHAPE_TEXT];

    (void)snprintf(step->text, sizeof step->text, "%s %s -> %s %s",
                   phi_op_kind(layer->node->op)->name, phi_shape_text(&layer->x, x),
                   phi_shape_text(&layer->y, y), implementation(pd));
}

/* Makes the primitive of `pd` (taken over) with its weights packed. */
static enum ph_status finish_prim(struct phi_plan *plan, const struct operands *o,
                                  const struct folded *folded, dnnl_primitive_desc_t pd,
                                  struct phi_plan_step *step)
{
    dnnl_memory_desc_t x = *dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    dnnl_memory_desc_t w = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t b = o->b;
    dnnl_memory_desc_t y = *dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    enum ph_status status = phi_prim_init(&step->prim, &plan->dnnl, pd, NULL);

    if (status == PH_OK)
        status = phi_prim_bind(&step->prim, DNNL_ARG_SRC, false, &o->x, &x);
    if (status == PH_OK)
        status = phi_prim_bind(&step->prim, DNNL_ARG_DST, true, &o->y, &y);
    if (status == PH_OK)
        status = phi_prim_bind_fixed(&step->prim, DNNL_ARG_WEIGHTS, &o->w, &w, folded->weight,
                                     &plan->n_weight_bytes);
    if (status == PH_OK && !step->bias)
        status = phi_prim_bind_fixed(&step->prim, DNNL_ARG_BIAS, &o->b, &b, folded->bias,
                                     &plan->n_weight_bytes);
    return status;
}

/* Keeps bias and activation of a transposed convolution for after it. */
static enum ph_status keep_bias(const struct phi_plan_layer *layer, const struct folded *folded,
                                struct phi_plan_step *step)
{
    size_t n_bytes = folded->n_out * sizeof(float);
    bool relu = layer->act == PHI_RELU || layer->act == PHI_LEAKY_RELU;

    step->bias = phi_calloc(folded->n_out, sizeof(float));
    if (!step->bias)
        return PH_E_NOMEM;
    memcpy(step->bias, folded->bias, n_bytes);
    step->slope = layer->act == PHI_RELU ? 0 : relu ? layer->act_f[0] : 1;
    if (relu)
        step->act = PHI_N_UNARY;
    return PH_OK;
}

/* One attempt: PH_SKIP if oneDNN has nothing good for this layout. */
static enum ph_status try_conv(struct phi_plan *plan, const struct phi_plan_layer *layer,
                               const struct folded *folded, const struct layout *layout,
                               struct phi_plan_step *step)
{
    struct operands o = conv_operands(layer, layout);
    dnnl_primitive_desc_t pd = NULL;
    bool fused;
    dnnl_primitive_attr_t attr = attributes(layer, &fused);
    dnnl_status_t made = describe_conv(plan, layer, &o, layout->winograd, attr, &pd);

    if (made != dnnl_success && fused) { /* perhaps without the activation */
        dnnl_primitive_attr_destroy(attr);
        attr = phi_dnnl_attr();
        fused = false;
        made = describe_conv(plan, layer, &o, layout->winograd, attr, &pd);
    }
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (made != dnnl_success)
        return PH_SKIP;
    if ((layout->x || layout->y) && strstr(implementation(pd), "ref")) {
        dnnl_primitive_desc_destroy(pd);
        return PH_SKIP;
    }
    step->act = fused ? PHI_N_UNARY : layer->act;
    memcpy(step->act_f, layer->act_f, sizeof step->act_f);
    if (is_spread(layer) && keep_bias(layer, folded, step) != PH_OK) {
        dnnl_primitive_desc_destroy(pd);
        return PH_E_NOMEM;
    }
    describe_step(layer, pd, step);
    return finish_prim(plan, &o, folded, pd, step);
}

/* The layouts to try, best first; the last leaves all to oneDNN. */
static int layouts_for(const struct phi_plan *plan, const struct phi_plan_layer *layer,
                       struct layout *ret_layouts)
{
    size_t c = layer->x.dim[1], k = layer->y.dim[1];
    int n = 0;

    if (layer->x.dim[0] == 1 && layer->node->op == PHI_OP_CONV) {
        if (phi_plan_is_winograd(plan, &layer->x, layer->node, &layer->weight_shape))
            ret_layouts[n++] = (struct layout){PHI_BLOCK, PHI_BLOCK, true, false};
        if (plan->precision == PHI_BFLOAT16 && c >= PHI_MIN_BFLOAT16_WIDTH)
            ret_layouts[n++] = (struct layout){c, k, false, true};
        ret_layouts[n++] = (struct layout){c, k, false, false};
    } else if (layer->x.dim[0] == 1 && c % PHI_BLOCK == 0 && has_avx512()) {
        ret_layouts[n++] =
            (struct layout){PHI_BLOCK, k % PHI_BLOCK == 0 ? PHI_BLOCK : 0, false, false};
    }
    ret_layouts[n++] = (struct layout){0, 0, false, false};
    return n;
}

/* As convolutions on the input, bias and ReLU after. */
static enum ph_status make_split(struct phi_plan *plan, const struct phi_plan_layer *layer,
                                 const struct folded *folded, struct phi_plan_step *step,
                                 size_t *ret_blocks)
{
    char x[PHI_SHAPE_TEXT], y[PHI_SHAPE_TEXT];
    enum ph_status status;

    step->act = layer->act;
    memcpy(step->act_f, layer->act_f, sizeof step->act_f);
    status = keep_bias(layer, folded, step);
    if (status == PH_OK)
        status = phi_split_create(plan, layer, folded->weight, &step->split);
    ret_blocks[0] = layer->x.dim[1];
    ret_blocks[1] = layer->y.dim[1];
    (void)snprintf(step->text, sizeof step->text, "%s %s -> %s split",
                   phi_op_kind(layer->node->op)->name, phi_shape_text(&layer->x, x),
                   phi_shape_text(&layer->y, y));
    return status;
}

static enum ph_status make_conv(struct phi_plan *plan, const struct phi_plan_layer *layer,
                                const struct folded *folded, struct phi_plan_step *step,
                                size_t *ret_blocks)
{
    struct layout layouts[4];
    int n = layouts_for(plan, layer, layouts);
    enum ph_status status = PH_SKIP;

    for (int i = 0; i < n && status == PH_SKIP; i++) {
        status = try_conv(plan, layer, folded, &layouts[i], step);
        ret_blocks[0] = layouts[i].x ? layouts[i].x : 1;
        ret_blocks[1] = layouts[i].y ? layouts[i].y : 1;
    }
    return status == PH_SKIP ? PH_E_SHAPE : status;
}

static struct operands product_operands(const struct phi_plan_layer *layer)
{
    bool pixel = is_one_pixel(layer);
    size_t n = layer->x.dim[0], k = layer->x.dim[1], m = phi_shape_count(&layer->y) / n;
    size_t x[2] = {n, k}, w[2] = {m, k}, y[2] = {n, m};

    return (struct operands){
        .x = phi_dnnl_desc(x, 2, dnnl_ab),
        .y = phi_dnnl_desc(y, 2, dnnl_ab),
        .w = phi_dnnl_desc(w, 2, pixel ? dnnl_ba : dnnl_ab),
        .b = phi_dnnl_desc(w, 1, dnnl_a),
        .ask_x = phi_dnnl_desc(x, 2, dnnl_ab),
        .ask_y = phi_dnnl_desc(y, 2, dnnl_ab),
        .ask_w = phi_dnnl_desc(w, 2, dnnl_format_tag_any),
    };
}

static enum ph_status repeat_bias(const struct phi_plan_layer *layer, struct folded *folded)
{
    size_t m = phi_shape_count(&layer->y) / layer->x.dim[0], area = m / folded->n_out;
    float *bias = phi_calloc(m, sizeof *bias);

    if (!bias)
        return PH_E_NOMEM;
    for (size_t i = 0; i < m; i++)
        bias[i] = folded->bias[i / area];
    phi_free(folded->bias);
    folded->bias = bias;
    return PH_OK;
}

static enum ph_status make_product(struct phi_plan *plan, const struct phi_plan_layer *layer,
                                   struct folded *folded, struct phi_plan_step *step,
                                   size_t *ret_blocks)
{
    struct operands o = product_operands(layer);
    enum ph_status status = repeat_bias(layer, folded);
    dnnl_inner_product_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    bool fused;
    dnnl_primitive_attr_t attr = attributes(layer, &fused);
    dnnl_status_t made;

    if (plan->precision == PHI_BFLOAT16)
        round_operands(&o);
    made = dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &o.ask_x, &o.ask_w,
                                                &o.b, &o.ask_y);
    if (made == dnnl_success)
        made = dnnl_primitive_desc_create(&pd, &desc, attr, plan->dnnl.engine, NULL);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    if (made != dnnl_success || status != PH_OK) {
        if (pd)
            dnnl_primitive_desc_destroy(pd);
        return status != PH_OK ? status : phi_dnnl_status(made, "a product", NULL);
    }
    step->act = fused ? PHI_N_UNARY : layer->act;
    memcpy(step->act_f, layer->act_f, sizeof step->act_f);
    ret_blocks[0] = ret_blocks[1] = 1;
    describe_step(layer, pd, step);
    return finish_prim(plan, &o, folded, pd, step);
}

enum ph_status phi_plan_layer_prim(struct phi_plan *plan, const struct phi_plan_layer *layer,
                                   struct phi_plan_step *step, size_t *ret_blocks,
                                   struct ph_error *reterr)
{
    struct folded folded = {0};
    char x[PHI_SHAPE_TEXT], w[PHI_SHAPE_TEXT];
    enum ph_status status = fold(layer, &folded);

    if (status == PH_OK && (layer->node->op == PHI_OP_LINEAR || is_one_pixel(layer)))
        status = make_product(plan, layer, &folded, step, ret_blocks);
    else if (status == PH_OK && phi_split_suits(layer) && has_avx512())
        status = make_split(plan, layer, &folded, step, ret_blocks);
    else if (status == PH_OK)
        status = make_conv(plan, layer, &folded, step, ret_blocks);
    phi_free(folded.weight);
    phi_free(folded.bias);
    step->run = phi_step_prim;
    if (status != PH_OK)
        return phi_error(reterr, status, "layer %s with weights %s cannot be planned for %s",
                         phi_op_kind(layer->node->op)->name,
                         phi_shape_text(&layer->weight_shape, w), phi_shape_text(&layer->x, x));
    return PH_OK;
}

static double seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of a few runs of a candidate, in seconds; a huge number if it cannot be made. */
static double time_candidate(struct phi_plan *plan, const struct phi_plan_layer *layer,
                             const struct folded *folded, const struct layout *layout)
{
    struct phi_plan_step step = {0};
    float *x = phi_calloc(phi_shape_count(&layer->x), sizeof *x);
    float *y = phi_calloc(phi_shape_count(&layer->y), sizeof *y);
    double best = 1e9;

    if (x && y && try_conv(plan, layer, folded, layout, &step) == PH_OK) {
        phi_prim_set(&step.prim, 0, x);
        phi_prim_set(&step.prim, 1, y);
        for (int i = 0; i < 6; i++) {
            double start = seconds(), spent;

            if (phi_prim_run(&step.prim) != PH_OK)
                break;
            spent = seconds() - start;
            best = i > 0 && spent < best ? spent : best;
        }
    }
    phi_prim_fini(&step.prim);
    phi_free(x);
    phi_free(y);
    return best;
}

/* Which of the two is faster here and now, on weights of zero. */
static bool measure_winograd(const struct phi_plan *plan, const struct phi_plan_layer *layer)
{
    const struct layout wino = {PHI_BLOCK, PHI_BLOCK, true, false};
    const struct layout direct = {layer->x.dim[1], layer->y.dim[1], false,
                                  plan->precision == PHI_BFLOAT16};
    struct phi_plan trial = {.conv = PHI_CONV_DIRECT};
    struct folded folded = {.n_out = layer->y.dim[1]};
    bool winograd = false;

    folded.weight = phi_calloc(phi_shape_count(&layer->weight_shape), sizeof(float));
    folded.bias = phi_calloc(folded.n_out, sizeof(float));
    if (folded.weight && folded.bias && phi_dnnl_init(&trial.dnnl, NULL) == PH_OK)
        winograd = time_candidate(&trial, layer, &folded, &wino) <
                   time_candidate(&trial, layer, &folded, &direct);
    phi_dnnl_fini(&trial.dnnl);
    phi_free(folded.weight);
    phi_free(folded.bias);
    return winograd;
}

bool phi_plan_is_winograd(const struct phi_plan *plan, const struct phi_shape *x,
                          const struct phi_node *node, const struct phi_shape *weight)
{
    struct phi_plan_layer layer = {
        .node = node, .x = *x, .y = node->shape, .weight_shape = *weight, .act = PHI_N_UNARY};
    size_t n_bytes = weight->dim[0] * weight->dim[1] * 36 * sizeof(float);

    if (plan->conv == PHI_CONV_DIRECT || !can_winograd(x, node, weight))
        return false;
    if (plan->conv == PHI_CONV_MEASURE)
        return measure_winograd(plan, &layer);
    return n_bytes <= MAX_WINOGRAD_BYTES && weight->dim[1] >= MIN_WINOGRAD_WIDTH;
}
