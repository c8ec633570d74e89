/* SPDX-License-Identifier: MIT
 *
 * DCGAN's generator for 32 x 32 pictures (Radford, Metz and Chintala 2016; the authors'
 * all-convolutional SVHN network): z -> linear -> 4 x 4 maps -> three transposed convolutions k5 s2
 * p2, batch norm and ReLU between, tanh at the end. The authors sample with the statistics of the
 * batch, so run it on a tape in training mode. Parameters dcgan.g.fc.weight,
 * dcgan.g.deconv.{1,2,3}.weight, dcgan.g.bn.{0,1,2}.*.
 */
#ifndef PHI_MODELS_DCGAN_H
#define PHI_MODELS_DCGAN_H

#include "nn/graph.h"

struct phi_dcgan_config {
    size_t n_latent; /* 100 */
    size_t width;    /* channels before the last layer: 64; the first has 4 times as many */
};

/* z [n][n_latent] -> picture [n][3][32][32] in [-1, 1]. Returns the node. */
int phi_dcgan_generator(struct phi_graph *graph, const struct phi_dcgan_config *config, int z);

#endif
