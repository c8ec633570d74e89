/* SPDX-License-Identifier: MIT
 * A transposed convolution of 4x4, stride 2, padding 1 as convolutions on its input: each of the
 * four parities of an output pixel sees 2x2 input pixels through a quarter of the weights. oneDNN
 * does those at its full speed, in bfloat16 too, where its own transposed convolution is slow; the
 * four results are woven into the output together with bias and ReLU. With few output channels all
 * parities are one 3x3 convolution, a part of whose weights are zero. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/simd.h"
#include "nn/plan_private.h"

#define N_PARITIES 4
#define FEW        16 /* output channels that share one convolution */

struct phi_split {
    struct phi_prim prim[N_PARITIES];
    int n_prims;
    float *parts;  /* [n_prims][h][w][channels] */
    size_t n_part; /* elements of one */
};

/* Kernel index of the transposed weights for tap `tap` of parity `parity` along one axis: 2 taps
 * of the four, from the input pixel before the output's own (parity 0) or from that (parity 1). */
static int kernel_index(int parity, int tap)
{
    static const int index[2][2] = {{3, 1}, {2, 0}};

    return index[parity][tap];
}

bool phi_split_suits(const struct phi_plan_layer *layer)
{
    const int *a = layer->node->a;

    return layer->node->op == PHI_OP_DECONV && layer->x.dim[0] == 1 &&
           layer->weight_shape.dim[2] == 4 && a[0] == 2 && a[1] == 1 && a[2] == 0;
}

void phi_split_destroy(struct phi_split **split)
{
    if (!*split)
        return;
    for (int i = 0; i < N_PARITIES; i++)
        phi_prim_fini(&(*split)->prim[i]);
    phi_free((*split)->parts);
    phi_free(*split);
    *split = NULL;
}

/* Sizes and weights of one of the convolutions. */
struct part {
    size_t n_in, n_out, kernel, h, w;
    dnnl_dims_t begin, end; /* padding */
    float *weight;          /* [n_out][n_in][kernel][kernel], owned */
    bool bfloat16;
};

/* Puts the weights of one parity (row, column) into the kernel, whose corner for it is `corner`. */
static void put_parity(const struct phi_plan_layer *layer, const float *weight, struct part *part,
                       const int *parity, size_t first_out)
{
    size_t n_out = layer->y.dim[1], area = part->kernel * part->kernel;
    size_t corner[2] = {part->kernel == 3 ? (size_t)parity[0] : 0,
                        part->kernel == 3 ? (size_t)parity[1] : 0};

    for (size_t i = 0; i < part->n_in; i++) {
        for (size_t o = 0; o < n_out; o++) {
            const float *from = weight + (i * n_out + o) * 16;
            float *to = part->weight + ((first_out + o) * part->n_in + i) * area;

            for (int k = 0; k < 4; k++)
                to[(corner[0] + (size_t)(k / 2)) * part->kernel + corner[1] + (size_t)(k % 2)] =
                    from[4 * kernel_index(parity[0], k / 2) + kernel_index(parity[1], k % 2)];
        }
    }
}

static enum ph_status describe(const struct phi_plan *plan, const struct part *part,
                               dnnl_primitive_desc_t *ret_pd)
{
    size_t x[4] = {1, part->n_in, part->h, part->w}, y[4] = {1, part->n_out, part->h, part->w};
    size_t w[4] = {part->n_out, part->n_in, part->kernel, part->kernel};
    dnnl_dims_t stride = {1, 1};
    dnnl_memory_desc_t dx = phi_dnnl_desc(x, 4, dnnl_nhwc), dy = phi_dnnl_desc(y, 4, dnnl_nhwc);
    dnnl_memory_desc_t dw = phi_dnnl_desc(w, 4, dnnl_format_tag_any);
    dnnl_primitive_attr_t attr = phi_dnnl_attr();
    dnnl_convolution_desc_t conv;
    dnnl_status_t status;

    if (part->bfloat16)
        dx.data_type = dw.data_type = dnnl_bf16;
    status =
        dnnl_convolution_forward_desc_init(&conv, dnnl_forward_inference, dnnl_convolution_direct,
                                           &dx, &dw, NULL, &dy, stride, part->begin, part->end);
    if (status == dnnl_success && attr)
        status = dnnl_primitive_desc_create(ret_pd, &conv, attr, plan->dnnl.engine, NULL);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return phi_dnnl_status(status, "a part of a transposed convolution", NULL);
}

static enum ph_status make_prim(struct phi_plan *plan, const struct part *part,
                                struct phi_prim *prim)
{
    size_t x[4] = {1, part->n_in, part->h, part->w}, y[4] = {1, part->n_out, part->h, part->w};
    size_t w[4] = {part->n_out, part->n_in, part->kernel, part->kernel};
    dnnl_memory_desc_t ours[3] = {phi_dnnl_desc(x, 4, dnnl_nhwc), phi_dnnl_desc(w, 4, dnnl_oihw),
                                  phi_dnnl_desc(y, 4, dnnl_nhwc)};
    dnnl_memory_desc_t inner[3];
    dnnl_primitive_desc_t pd = NULL;
    enum ph_status status = describe(plan, part, &pd);

    if (status != PH_OK)
        return status;
    inner[0] = *dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    inner[1] = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    inner[2] = *dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0);
    status = phi_prim_init(prim, &plan->dnnl, pd, NULL);
    if (status == PH_OK)
        status = phi_prim_bind(prim, DNNL_ARG_SRC, false, &ours[0], &inner[0]);
    if (status == PH_OK)
        status = phi_prim_bind(prim, DNNL_ARG_DST, true, &ours[2], &inner[2]);
    if (status == PH_OK)
        status = phi_prim_bind_fixed(prim, DNNL_ARG_WEIGHTS, &ours[1], &inner[1], part->weight,
                                     &plan->n_weight_bytes);
    return status;
}

static enum ph_status make_part(struct phi_plan *plan, const struct phi_plan_layer *layer,
                                const float *weight, struct phi_split *split, int index)
{
    bool few = split->n_prims == 1;
    size_t n_out = layer->y.dim[1], side = few ? 3 : 2;
    struct part part = {.n_in = layer->x.dim[1],
                        .n_out = few ? N_PARITIES * n_out : n_out,
                        .kernel = side,
                        .h = layer->x.dim[2],
                        .w = layer->x.dim[3],
                        .begin = {few || index / 2 == 0, few || index % 2 == 0},
                        .end = {few || index / 2 == 1, few || index % 2 == 1},
                        .bfloat16 = plan->precision == PHI_BFLOAT16 &&
                                    layer->x.dim[1] >= PHI_MIN_BFLOAT16_WIDTH};
    enum ph_status status;

    part.weight = phi_calloc(part.n_out * part.n_in * side * side, sizeof(float));
    if (!part.weight)
        return PH_E_NOMEM;
    for (int p = 0; p < N_PARITIES; p++) {
        if (few || p == index)
            put_parity(layer, weight, &part, (const int[]){p / 2, p % 2},
                       few ? (size_t)p * n_out : 0);
    }
    status = make_prim(plan, &part, &split->prim[index]);
    phi_free(part.weight);
    return status;
}

enum ph_status phi_split_create(struct phi_plan *plan, const struct phi_plan_layer *layer,
                                const float *weight, struct phi_split **ret_split)
{
    size_t n = layer->x.dim[2] * layer->x.dim[3] * layer->y.dim[1];
    struct phi_split *split = phi_calloc(1, sizeof *split);
    enum ph_status status = PH_OK;

    if (!split)
        return PH_E_NOMEM;
    split->n_prims = layer->y.dim[1] < FEW ? 1 : N_PARITIES;
    split->n_part = split->n_prims == 1 ? N_PARITIES * n : n;
    split->parts = phi_calloc(N_PARITIES * n, sizeof(float));
    if (!split->parts)
        status = PH_E_NOMEM;
    for (int i = 0; i < split->n_prims && status == PH_OK; i++)
        status = make_part(plan, layer, weight, split, i);
    if (status != PH_OK)
        phi_split_destroy(&split);
    else
        *ret_split = split;
    return status;
}

void phi_split_set(struct phi_split *split, float *x)
{
    for (int i = 0; i < split->n_prims; i++) {
        phi_prim_set(&split->prim[i], 0, x);
        phi_prim_set(&split->prim[i], 1, split->parts + (size_t)i * split->n_part);
    }
}

/* One pixel in two of a row of the output, from n pixels of a part. */
struct weave {
    const float *from, *bias;
    float *to;
    size_t n, width, step; /* of the part's pixels */
    float slope;
};

PHI_VECTOR static void weave_row(const struct weave *w)
{
    const float *restrict bias = w->bias;
    size_t width = w->width;
    float slope = w->slope;

    for (size_t x = 0; x < w->n; x++) {
        const float *restrict from = w->from + x * w->step;
        float *restrict to = w->to + 2 * x * width;

        for (size_t c = 0; c < width; c++) {
            float y = from[c] + bias[c];

            to[c] = y > 0 ? y : slope * y;
        }
    }
}

static void weave(const struct phi_plan *plan, const struct phi_plan_step *step)
{
    const struct phi_split *split = step->split;
    const struct phi_plan_value *out = &plan->value[step->out];
    size_t c = out->shape.dim[1], w = out->shape.dim[3] / 2, n_rows = out->shape.dim[2];
    bool few = split->n_prims == 1;

    PHI_PARALLEL(out->n)
    for (size_t row = 0; row < n_rows; row++) {
        for (size_t column = 0; column < 2; column++) {
            size_t parity = row % 2 * 2 + column, step_of = few ? N_PARITIES * c : c;
            const float *part = split->parts + (few ? parity * c : parity * split->n_part);

            weave_row(&(struct weave){.from = part + row / 2 * w * step_of,
                                      .bias = step->bias,
                                      .to = out->data + (row * 2 * w + column) * c,
                                      .n = w,
                                      .width = c,
                                      .step = step_of,
                                      .slope = step->slope});
        }
    }
}

enum ph_status phi_split_run(struct phi_plan *plan, struct phi_plan_step *step)
{
    struct phi_split *split = step->split;
    enum ph_status status = phi_prim_run(&split->prim[0]);

    for (int i = 1; i < split->n_prims && status == PH_OK; i++)
        status = phi_prim_shares_first(&split->prim[0], &split->prim[i])
                     ? phi_prim_run_after(&split->prim[i])
                     : phi_prim_run(&split->prim[i]);
    if (status == PH_OK)
        weave(plan, step);
    return status;
}
