/* SPDX-License-Identifier: MIT */
#include "models/dcgan.h"

#include <stdio.h>

#include "nn/layers.h"

#define EPS      1e-8f
#define MOMENTUM 0.1f

static int norm_relu(struct phi_graph *graph, int x, int i)
{
    char prefix[32];

    (void)snprintf(prefix, sizeof prefix, "dcgan.g.bn.%d.", i);
    return phi_graph_relu(graph, phi_graph_batch_norm(graph, x, prefix, EPS, MOMENTUM));
}

int phi_dcgan_generator(struct phi_graph *graph, const struct phi_dcgan_config *config, int z)
{
    size_t n = phi_graph_shape(graph, z).dim[0];
    size_t channels = 4 * config->width;
    int weight =
        phi_graph_param(graph, "dcgan.g.fc.weight", PHI_SHAPE(channels * 16, config->n_latent));
    int h = norm_relu(graph, phi_graph_linear(graph, z, weight, -1), 0);

    h = phi_graph_reshape(graph, h, PHI_SHAPE(n, channels, 4, 4));
    for (int i = 1; i <= 3; i++) {
        size_t out = i < 3 ? channels / 2 : 3;

        weight =
            phi_graph_paramf(graph, PHI_SHAPE(channels, out, 5, 5), "dcgan.g.deconv.%d.weight", i);
        h = phi_graph_deconv2d(graph, h, weight, -1, PHI_GEOMETRY(2, 2, 1));
        if (i < 3)
            h = norm_relu(graph, h, i);
        channels = out;
    }
    return phi_graph_tanh(graph, h);
}
