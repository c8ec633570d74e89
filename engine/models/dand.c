/* SPDX-License-Identifier: MIT */
#include "models/dand.h"

#include <stdio.h>

#include "base/crc.h"
#include "nn/layers.h"

#define N_LAYERS 5
#define SLOPE    0.2f

static float eps_of(const struct phi_dand_config *config)
{
    return config->bn_eps > 0 ? config->bn_eps : 2e-5f;
}

static float momentum_of(const struct phi_dand_config *config)
{
    return config->bn_momentum > 0 ? config->bn_momentum : 0.1f;
}

static int norm(struct phi_graph *graph, const struct phi_dand_config *config, const char *net,
                int x, int i)
{
    char prefix[32];

    (void)snprintf(prefix, sizeof prefix, "dand.%s.bn.%d.", net, i);
    return phi_graph_batch_norm(graph, x, prefix, eps_of(config), momentum_of(config));
}

static int inverse_pca(struct phi_graph *graph, const struct phi_dand_config *config, int z)
{
    int weight =
        phi_graph_param(graph, "dand.g.fc.weight", PHI_SHAPE(config->n_code, config->n_latent));
    int bias = phi_graph_param(graph, "dand.g.fc.bias", PHI_SHAPE(config->n_code));

    return phi_graph_linear(graph, z, weight, bias);
}

int phi_dand_generator(struct phi_graph *graph, const struct phi_dand_config *config, int z,
                       int *ret_code)
{
    size_t n = phi_graph_shape(graph, z).dim[0];
    size_t n_in = config->n_code ? config->n_code : config->n_latent;
    int code = config->n_code ? inverse_pca(graph, config, z) : z;
    int h = phi_graph_reshape(graph, code, PHI_SHAPE(n, n_in, 1, 1));

    for (int i = 1; i <= N_LAYERS; i++) {
        size_t n_out = i < N_LAYERS ? config->width << (4 - i) : 3;
        int weight =
            phi_graph_paramf(graph, PHI_SHAPE(n_in, n_out, 4, 4), "dand.g.deconv.%d.weight", i);

        h = phi_graph_deconv2d(graph, h, weight, -1,
                               i == 1 ? PHI_GEOMETRY(1, 0, 0) : PHI_GEOMETRY(2, 1, 0));
        if (i < N_LAYERS)
            h = phi_graph_relu(graph, norm(graph, config, "g", h, i));
        n_in = n_out;
    }
    if (ret_code)
        *ret_code = code;
    return phi_graph_tanh(graph, h);
}

int phi_dand_discriminator(struct phi_graph *graph, const struct phi_dand_config *config, int x)
{
    size_t n = phi_graph_shape(graph, x).dim[0], n_in = 3;

    for (int i = 1; i <= N_LAYERS; i++) {
        size_t n_out = i < N_LAYERS ? config->width << (i - 1) : 1;
        int weight =
            phi_graph_paramf(graph, PHI_SHAPE(n_out, n_in, 4, 4), "dand.d.conv.%d.weight", i);

        x = i < N_LAYERS ? phi_graph_conv2d(graph, x, weight, -1, 2, 1)
                         : phi_graph_conv2d(graph, x, weight, -1, 1, 0);
        if (i > 1 && i < N_LAYERS)
            x = norm(graph, config, "d", x, i);
        if (i < N_LAYERS)
            x = phi_graph_unary(graph, PHI_LEAKY_RELU, x, SLOPE, 0);
        n_in = n_out;
    }
    return phi_graph_reshape(graph, x, PHI_SHAPE(n, 1));
}

int phi_dand_feature_network(struct phi_graph *graph, const struct phi_dand_features *features,
                             int x)
{
    x = phi_stack_vgg_input(graph, x, features->side);
    return phi_stack_build(graph, "dand.f.", x, features->layers, features->n_layers, true);
}

bool phi_dand_space(const struct phi_weights *weights, char ret_space[PHI_DAND_SPACE])
{
    const char *const names[] = {"dand.p.whiten", "dand.g.fc.bias"};
    uint32_t crc = 0;

    *ret_space = '\0';
    for (size_t i = 0; i < 2; i++) {
        const struct phi_param *param = phi_weights_find(weights, names[i]);
        size_t n = 1;

        if (!param)
            return false;
        for (int d = 0; d < param->value.shape.n_dims; d++)
            n *= param->value.shape.dim[d];
        crc = phi_crc32c(crc, param->value.data, n * sizeof(float));
    }
    (void)snprintf(ret_space, PHI_DAND_SPACE, "%08x", crc);
    return true;
}
