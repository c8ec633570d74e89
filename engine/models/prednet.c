/* SPDX-License-Identifier: MIT */
#include "models/prednet.h"

#include "base/error.h"
#include "base/mem.h"
#include "nn/layers.h"

struct phi_shape phi_prednet_shape(const struct phi_prednet_config *config, int layer)
{
    return PHI_SHAPE(config->batch, config->channels[layer], config->h >> layer,
                     config->w >> layer);
}

enum ph_status phi_prednet_check(const struct phi_prednet_config *config, struct ph_error *reterr)
{
    size_t unit;

    if (config->n_layers < 1 || config->n_layers > PHI_PREDNET_LAYERS || config->batch == 0)
        return phi_error(reterr, PH_E_INVAL,
                         "PredNet takes 1 to %d layers and a batch of 1 or more",
                         PHI_PREDNET_LAYERS);
    unit = (size_t)1 << (config->n_layers - 1);
    if (config->h == 0 || config->w == 0 || config->h % unit || config->w % unit)
        return phi_error(reterr, PH_E_SHAPE,
                         "frames of %zu x %zu cannot be halved %d times; crop or resize them to "
                         "multiples of %zu",
                         config->h, config->w, config->n_layers - 1, unit);
    return PH_OK;
}

struct phi_prednet_state phi_prednet_zero_state(struct phi_graph *graph,
                                                const struct phi_prednet_config *config)
{
    struct phi_prednet_state state = {0};

    for (int l = 0; l < config->n_layers; l++) {
        struct phi_shape shape = phi_prednet_shape(config, l);

        state.r[l] = phi_graph_constant(graph, shape, NULL);
        state.c[l] = state.r[l];
        shape.dim[1] *= 2;
        state.e[l] = phi_graph_constant(graph, shape, NULL);
    }
    return state;
}

/* A 3x3 convolution of the given kind and layer. */
static int conv(struct phi_graph *graph, const char *kind, int layer, int x, size_t n_out)
{
    size_t n_in = phi_graph_shape(graph, x).dim[1];
    int weight =
        phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in, 3, 3), "prednet.%s.%d.weight", kind, layer);
    int bias = phi_graph_paramf(graph, PHI_SHAPE(n_out), "prednet.%s.%d.bias", kind, layer);

    return phi_graph_conv2d(graph, x, weight, bias, 1, 1);
}

/* The four gates as one convolution, in the order i, f, c (the candidate), o. */
static int gates(struct phi_graph *graph, const struct phi_prednet_config *config, int layer, int x)
{
    static const char *const kind[4] = {"i", "f", "c", "o"};
    size_t n_in = phi_graph_shape(graph, x).dim[1], n_out = config->channels[layer];
    int weight[4], bias[4];

    for (int k = 0; k < 4; k++) {
        weight[k] = phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in, 3, 3), "prednet.%s.%d.weight",
                                     kind[k], layer);
        bias[k] = phi_graph_paramf(graph, PHI_SHAPE(n_out), "prednet.%s.%d.bias", kind[k], layer);
    }
    return phi_graph_conv2d(graph, x, phi_graph_concat(graph, 0, weight, 4),
                            phi_graph_concat(graph, 0, bias, 4), 1, 1);
}

/* R with what was given mixed in. */
static int mixed(struct phi_graph *graph, const struct phi_prednet_given *given, int layer, int r)
{
    int other = given ? given->r[layer] : -1;

    if (!given || other < 0)
        return r;
    if (given->mix < 0)
        return other;
    return phi_graph_add(graph, r,
                         phi_graph_mul(graph, given->mix, phi_graph_sub(graph, other, r)));
}

/* Pass 1 at one layer: the convolutional LSTM, which sees the new R of the layer above. */
static void top_down(struct phi_graph *graph, const struct phi_prednet_config *config, int l,
                     const struct phi_prednet_given *given, struct phi_prednet_state *state)
{
    int part[3] = {state->r[l], state->e[l], -1}, n_parts = 2, g;

    if (l < config->n_layers - 1)
        part[n_parts++] =
            phi_graph_resize_nearest(graph, state->r[l + 1], config->h >> l, config->w >> l);
    g = gates(graph, config, l, phi_graph_concat(graph, 1, part, n_parts));
    state->c[l] = phi_graph_lstm_cell(graph, g, state->c[l], true);
    state->r[l] = mixed(graph, given, l, phi_graph_lstm_output(graph, g, state->c[l], true));
}

struct phi_prednet_output phi_prednet_step(struct phi_graph *graph,
                                           const struct phi_prednet_config *config, int frame,
                                           const struct phi_prednet_given *given,
                                           struct phi_prednet_state *state)
{
    struct phi_prednet_output out = {.prediction = -1};

    for (int l = config->n_layers - 1; l >= 0; l--)
        top_down(graph, config, l, given, state);
    out.a[0] = frame;
    for (int l = 0; l < config->n_layers; l++) {
        int ahat = conv(graph, "ahat", l, state->r[l], config->channels[l]);

        out.ahat[l] =
            l == 0 ? phi_graph_unary(graph, PHI_CLIP, ahat, 0, 1) : phi_graph_relu(graph, ahat);
        state->e[l] = phi_graph_error_pair(graph, out.ahat[l], out.a[l]);
        if (l + 1 < config->n_layers)
            out.a[l + 1] = phi_graph_max_pool(
                graph,
                phi_graph_relu(graph, conv(graph, "a", l, state->e[l], config->channels[l + 1])), 2,
                2);
    }
    out.prediction = out.ahat[0];
    return out;
}

int phi_prednet_error_means(struct phi_graph *graph, const struct phi_prednet_config *config,
                            const struct phi_prednet_state *state)
{
    int mean[PHI_PREDNET_LAYERS];

    for (int l = 0; l < config->n_layers; l++)
        mean[l] = phi_graph_reshape(graph, phi_graph_mean(graph, state->e[l], 2 | 4 | 8),
                                    PHI_SHAPE(config->batch, 1));
    return phi_graph_concat(graph, 1, mean, config->n_layers);
}

struct phi_prednet_state phi_prednet_unroll(struct phi_graph *graph,
                                            const struct phi_prednet_config *config, int frames,
                                            const struct phi_prednet_unrolled *unrolled)
{
    struct phi_prednet_state state = phi_prednet_zero_state(graph, config);
    int prediction = -1;

    for (int t = 0; t < unrolled->n_frames; t++) {
        int frame = prediction;

        if (t < unrolled->first_guess)
            frame = phi_graph_reshape(graph, phi_graph_slice(graph, frames, 0, (size_t)t, 1),
                                      phi_prednet_shape(config, 0));
        prediction = phi_prednet_step(graph, config, frame, NULL, &state).prediction;
        if (unrolled->predictions)
            unrolled->predictions[t] = phi_graph_keep(graph, prediction);
        if (unrolled->errors)
            unrolled->errors[t] = phi_prednet_error_means(graph, config, &state);
        phi_graph_mark(graph);
    }
    return state;
}

int phi_prednet_loss(struct phi_graph *graph, const struct phi_prednet_config *config,
                     const int *errors, int n_frames, const float *lambda)
{
    int weights = phi_graph_constant(graph, PHI_SHAPE((size_t)config->n_layers), lambda);
    int sum = -1;

    for (int t = 1; t < n_frames; t++)
        sum = t == 1 ? errors[1] : phi_graph_add(graph, sum, errors[t]);
    sum = phi_graph_sum_all(graph, phi_graph_mul(graph, sum, weights));
    return phi_graph_scale(graph, sum, 1.0f / (float)((size_t)(n_frames - 1) * config->batch));
}
