/* SPDX-License-Identifier: MIT */
#include "train/encoder.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "models/dand.h"
#include "models/stack.h"
#include "nn/layers.h"
#include "train/net.h"

#define SIDE  64
#define BATCH 32

int train_encoder_build(struct phi_graph *graph, int x, size_t n_features)
{
    int signed_x = phi_graph_unary(graph, PHI_AFFINE, x, 2, -1);
    int h = phi_stack_vgg_input(graph, signed_x, 0);

    h = phi_stack_build(graph, "dand.f.", h, phi_compact, PHI_COMPACT_LAYERS, true);
    return phi_stack_features(graph, "dand.f.", h, n_features);
}

size_t train_encoder_features(const struct phi_weights *weights)
{
    const struct phi_param *bias = phi_weights_find(weights, "dand.f.fc.bias");

    return bias ? bias->value.shape.dim[0] : 0;
}

/* Pictures `first` .. of the data in order, without augmentation, into images[BATCH]; past the end
 * the last one again. */
static void fill(const struct train_data *data, size_t first, float *images)
{
    for (size_t i = 0; i < BATCH; i++) {
        size_t index = first + i < data->n ? first + i : data->n - 1;
        const uint8_t *pixels = data->pixels + index * SIDE * SIDE * 3;

        for (size_t k = 0; k < SIDE * SIDE; k++)
            for (size_t c = 0; c < 3; c++)
                images[(i * 3 + c) * SIDE * SIDE + k] = (float)pixels[k * 3 + c] / 255.0f;
    }
}

static enum ph_status run(struct train_net *net, const int nodes[2], const struct train_data *data,
                          size_t n_features, train_progress_fn *progress, void *context,
                          float *features)
{
    for (size_t first = 0; first < data->n; first += BATCH) {
        size_t n = data->n - first < BATCH ? data->n - first : BATCH;
        enum ph_status status;

        if (progress && !progress(context, first, data->n))
            return PH_E_STATE;
        fill(data, first, phi_tape_value(net->tape, nodes[0]));
        status = phi_tape_forward(net->tape, false);
        if (status != PH_OK)
            return status;
        memcpy(features + first * n_features, phi_tape_value(net->tape, nodes[1]),
               n * n_features * sizeof *features);
    }
    return PH_OK;
}

enum ph_status train_encoder_run(struct phi_weights *weights, const struct train_data *data,
                                 size_t n_features, train_progress_fn *progress, void *context,
                                 float **ret_features, struct ph_error *reterr)
{
    struct train_net net = {0};
    float *features = phi_calloc2(data->n, n_features, sizeof *features);
    int nodes[2];
    enum ph_status status = features ? phi_graph_create(&net.graph) : PH_E_NOMEM;

    if (status != PH_OK) {
        phi_free(features);
        return phi_error_nomem(reterr, "features", data->n * n_features * sizeof *features);
    }
    if (data->side != SIDE)
        status = phi_error(reterr, PH_E_SHAPE, "the encoder takes pictures of 64 x 64, not %zu",
                           data->side);
    if (status == PH_OK) {
        nodes[0] = phi_graph_input(net.graph, "x", PHI_SHAPE(BATCH, 3, SIDE, SIDE));
        nodes[1] = train_encoder_build(net.graph, nodes[0], n_features);
        status = phi_graph_check(net.graph, reterr);
    }
    if (status == PH_OK)
        status = phi_tape_create(net.graph, weights, NULL, &net.tape, reterr);
    if (status == PH_OK) {
        status = run(&net, nodes, data, n_features, progress, context, features);
        if (status != PH_OK)
            status = phi_error(reterr, status, "the pictures could not be encoded");
    }
    train_net_fini(&net);
    if (status != PH_OK)
        phi_free(features);
    else
        *ret_features = features;
    return status;
}

enum ph_status train_encoder_check(const struct phi_weights *weights, const char *path,
                                   struct ph_error *reterr)
{
    const struct phi_param *rows = phi_weights_find(weights, "dand.p.whiten");
    const struct phi_param *mean = phi_weights_find(weights, "dand.g.fc.bias");
    size_t m = train_encoder_features(weights);

    if (m == 0 || !rows || !mean || rows->value.shape.n_dims != 2 ||
        rows->value.shape.dim[1] != m || mean->value.shape.n_dims != 1 ||
        mean->value.shape.dim[0] != m)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: the encoder and its components are missing or do not fit; it must be "
                         "a model of kind dand",
                         path);
    return PH_OK;
}

void train_encoder_whiten(const struct phi_weights *weights, const float *features, size_t n,
                          float *ret)
{
    const struct phi_param *rows = phi_weights_find(weights, "dand.p.whiten");
    const struct phi_param *mean = phi_weights_find(weights, "dand.g.fc.bias");
    size_t p = rows->value.shape.dim[0];
    size_t m = rows->value.shape.dim[1];

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p; k++) {
            double sum = 0;

            for (size_t j = 0; j < m; j++)
                sum += (double)rows->value.data[k * m + j] *
                       ((double)features[i * m + j] - (double)mean->value.data[j]);
            ret[i * p + k] = (float)sum;
        }
}

void train_encoder_space(const struct phi_weights *weights, char ret_space[TRAIN_SPACE])
{
    (void)phi_dand_space(weights, ret_space);
}
