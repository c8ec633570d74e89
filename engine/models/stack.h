/* SPDX-License-Identifier: MIT
 *
 * Stacks of 3x3 convolutions with ReLU and pooling between: VGG-16 (Simonyan and Zisserman 2015;
 * VGG-Face has its layout) and our compact encoder. Parameters are PREFIXconv.1.weight, .bias and
 * so on, counted through. Builders append to a graph (nn/graph.h).
 */
#ifndef PHI_MODELS_STACK_H
#define PHI_MODELS_STACK_H

#include "nn/graph.h"

struct phi_stack_layer {
    size_t width; /* output channels */
    bool pool;    /* 2x2 maximum after it */
};

/* The 13 convolutions of VGG-16; relu3_3 is after the first 7. */
#define PHI_VGG16_LAYERS 13
#define PHI_VGG_RELU3_3  7
extern const struct phi_stack_layer phi_vgg16[PHI_VGG16_LAYERS];

/* The compact encoder for 64x64 pictures: 8 x 8 x 64 at the end. */
#define PHI_COMPACT_LAYERS 5
extern const struct phi_stack_layer phi_compact[PHI_COMPACT_LAYERS];

/* The first `n_layers` of `layers` on x [n][c][h][w]; a pool after the last of them is left out if
 * `open_end`. Returns the ReLU or pool at the end. */
int phi_stack_build(struct phi_graph *graph, const char *prefix, int x,
                    const struct phi_stack_layer *layers, int n_layers, bool open_end);

/* relu(fc(x)) with x flattened in the order c, h, w: PREFIXfc.weight [n_out][c h w], .bias. */
int phi_stack_features(struct phi_graph *graph, const char *prefix, int x, size_t n_out);

/* Pictures in [-1, 1] to what VGG-Face expects: 127.5 (x + 1) - mean, resized to size x size
 * (bilinear); size 0 leaves the size. RGB means 129.1863, 104.7624, 93.5940. */
int phi_stack_vgg_input(struct phi_graph *graph, int x, size_t size);

#endif
