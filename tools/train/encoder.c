/* SPDX-License-Identifier: MIT */
#include "train/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "models/dand.h"
#include "models/stack.h"
#include "nn/layers.h"
#include "train/net.h"

#define SIDE        64
#define BATCH       32
#define LARGE_BATCH 4 /* where pictures are enlarged: a layer of 224 x 224 x 64 is 13 MB each */

struct train_encoder_layout train_encoder_compact(void)
{
    struct train_encoder_layout layout = {.n_layers = PHI_COMPACT_LAYERS};

    memcpy(layout.layers, phi_compact, sizeof phi_compact);
    return layout;
}

static const struct phi_param *bias_of(const struct phi_weights *weights, int i)
{
    char name[32];

    (void)snprintf(name, sizeof name, "dand.f.conv.%d.bias", i + 1);
    return phi_weights_find(weights, name);
}

/* The pictures that a VGG network sees: its fully connected layer takes their 32nd part. */
static size_t side_of(const struct phi_weights *weights, size_t channels)
{
    const struct phi_param *fc = phi_weights_find(weights, "dand.f.fc.weight");
    size_t n_in = fc && fc->value.shape.n_dims == 2 ? fc->value.shape.dim[1] : 0;
    size_t side = channels ? (size_t)lround(sqrt((double)n_in / (double)channels)) : 0;

    return side * side * channels == n_in ? 32 * side : 0;
}

enum ph_status train_encoder_layout(const struct phi_weights *weights, const char *path,
                                    struct train_encoder_layout *ret_layout,
                                    struct ph_error *reterr)
{
    struct train_encoder_layout layout = {.n_layers = 0};
    const struct phi_stack_layer *like;

    while (layout.n_layers < PHI_VGG16_LAYERS && bias_of(weights, layout.n_layers)) {
        layout.layers[layout.n_layers].width =
            bias_of(weights, layout.n_layers)->value.shape.dim[0];
        layout.n_layers++;
    }
    if (layout.n_layers == PHI_VGG16_LAYERS)
        layout.side = side_of(weights, layout.layers[PHI_VGG16_LAYERS - 1].width);
    if (layout.n_layers != PHI_COMPACT_LAYERS && layout.side == 0)
        return phi_error(reterr, PH_E_FORMAT,
                         "%s: an encoder of %d convolutions is neither the compact one (%d) nor of "
                         "VGG-16's shape (%d, and a layer of features)",
                         path, layout.n_layers, PHI_COMPACT_LAYERS, PHI_VGG16_LAYERS);
    like = layout.side ? phi_vgg16 : phi_compact;
    for (int i = 0; i < layout.n_layers; i++)
        layout.layers[i].pool = like[i].pool;
    *ret_layout = layout;
    return PH_OK;
}

int train_encoder_build(struct phi_graph *graph, const struct train_encoder_layout *layout, int x,
                        size_t n_features)
{
    int signed_x = phi_graph_unary(graph, PHI_AFFINE, x, 2, -1);
    int h = phi_stack_vgg_input(graph, signed_x, layout->side);

    h = phi_stack_build(graph, "dand.f.", h, layout->layers, layout->n_layers, layout->side == 0);
    return phi_stack_features(graph, "dand.f.", h, n_features);
}

size_t train_encoder_features(const struct phi_weights *weights)
{
    const struct phi_param *bias = phi_weights_find(weights, "dand.f.fc.bias");

    return bias ? bias->value.shape.dim[0] : 0;
}

/* Pictures `first` .. of the data in order, without augmentation, into images[batch]; past the end
 * the last one again. */
static void fill(const struct train_data *data, size_t first, size_t batch, float *images)
{
    for (size_t i = 0; i < batch; i++) {
        size_t index = first + i < data->n ? first + i : data->n - 1;
        const uint8_t *pixels = data->pixels + index * SIDE * SIDE * 3;

        for (size_t k = 0; k < SIDE * SIDE; k++)
            for (size_t c = 0; c < 3; c++)
                images[(i * 3 + c) * SIDE * SIDE + k] = (float)pixels[k * 3 + c] / 255.0f;
    }
}

/* nodes: pictures in, features out. */
static enum ph_status run(struct train_net *net, const int nodes[2], const struct train_data *data,
                          train_progress_fn *progress, void *context, float *features)
{
    size_t batch = phi_graph_shape(net->graph, nodes[1]).dim[0];
    size_t n_features = phi_graph_shape(net->graph, nodes[1]).dim[1];

    for (size_t first = 0; first < data->n; first += batch) {
        size_t n = data->n - first < batch ? data->n - first : batch;
        enum ph_status status;

        if (progress && !progress(context, first, data->n))
            return PH_E_STATE;
        fill(data, first, batch, phi_tape_value(net->tape, nodes[0]));
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
    struct train_encoder_layout layout;
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
    if (status == PH_OK)
        status = train_encoder_layout(weights, "the encoder", &layout, reterr);
    if (status == PH_OK) {
        size_t batch = layout.side ? LARGE_BATCH : BATCH;

        nodes[0] = phi_graph_input(net.graph, "x", PHI_SHAPE(batch, 3, SIDE, SIDE));
        nodes[1] = train_encoder_build(net.graph, &layout, nodes[0], n_features);
        status = phi_graph_check(net.graph, reterr);
    }
    if (status == PH_OK)
        status = phi_tape_create(net.graph, weights, NULL, &net.tape, reterr);
    if (status == PH_OK) {
        status = run(&net, nodes, data, progress, context, features);
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

enum ph_status train_encoder_put_pca(struct phi_weights *weights, const struct phi_pca *pca,
                                     struct ph_error *reterr)
{
    size_t n_features = pca->n_features;
    size_t p = pca->n_components;
    struct phi_param *weight, *bias, *components;
    enum ph_status status =
        phi_weights_add(weights, "dand.g.fc.weight", PHI_SHAPE(n_features, p), &weight, reterr);

    if (status == PH_OK)
        status = phi_weights_add(weights, "dand.g.fc.bias", PHI_SHAPE(n_features), &bias, reterr);
    if (status == PH_OK)
        status = phi_weights_add(weights, "dand.p.whiten", PHI_SHAPE(p, n_features), &components,
                                 reterr);
    if (status != PH_OK)
        return status;
    for (size_t i = 0; i < n_features; i++) {
        bias->value.data[i] = (float)pca->mean[i];
        for (size_t k = 0; k < p; k++) {
            double loading = pca->components[k * n_features + i];

            weight->value.data[i * p + k] = (float)(loading * pca->sd[k]);
            components->value.data[k * n_features + i] = (float)(loading / pca->sd[k]);
        }
    }
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
