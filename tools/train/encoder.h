/* SPDX-License-Identifier: MIT
 *
 * The face encoder (models/stack.h) as trainers and commands use it: pictures in 0..1 to
 * features, and from features to whitened latents by principal components. Its layers are called
 * dand.f.conv.N and dand.f.fc, so that its first layers serve as the feature network of DAND.
 */
#ifndef TOOLS_TRAIN_ENCODER_H
#define TOOLS_TRAIN_ENCODER_H

#include "decode/pca.h"
#include "models/dand.h"
#include "nn/graph.h"
#include "nn/weights.h"
#include "train/data.h"

/* An encoder's convolutions and the size of the pictures it sees: the compact one at 64, or one of
 * VGG-16's shape (phos convert --as vgg-face) at what its fully connected layer takes, 224. */
struct train_encoder_layout {
    struct phi_stack_layer layers[PHI_VGG16_LAYERS];
    int n_layers;
    size_t side; /* pixels after resizing; 0: 64 as they are */
};

/* The compact encoder's. */
struct train_encoder_layout train_encoder_compact(void);

/* The layout of the encoder in `weights`, by the number and widths of its convolutions. PH_E_FORMAT
 * if it is neither; `path` names the file. */
PH_NODISCARD enum ph_status train_encoder_layout(const struct phi_weights *weights,
                                                 const char *path,
                                                 struct train_encoder_layout *ret_layout,
                                                 struct ph_error *reterr);

/* x [n][3][64][64] in 0..1 -> relu features [n][n_features]. Returns the node. */
int train_encoder_build(struct phi_graph *graph, const struct train_encoder_layout *layout, int x,
                        size_t n_features);

/* Features of all pictures of `data`: ret_features[data->n][n_features], a new block freed with
 * phi_free. `progress` as in train_data_load. */
PH_NODISCARD enum ph_status train_encoder_run(struct phi_weights *weights,
                                              const struct train_data *data, size_t n_features,
                                              train_progress_fn *progress, void *context,
                                              float **ret_features, struct ph_error *reterr);

/* PH_E_FORMAT unless `weights`, read from `path`, hold an encoder and its components. */
PH_NODISCARD enum ph_status train_encoder_check(const struct phi_weights *weights, const char *path,
                                                struct ph_error *reterr);

/* Adds the components of features to `weights`: whitening (dand.p.whiten), centre (dand.g.fc.bias),
 * and the inverse (dand.g.fc.weight), the generator's frozen first layer. */
PH_NODISCARD enum ph_status train_encoder_put_pca(struct phi_weights *weights,
                                                  const struct phi_pca *pca,
                                                  struct ph_error *reterr);

/* Whitened latents ret[n][p] of features[n][n_features]; weights as checked. */
void train_encoder_whiten(const struct phi_weights *weights, const float *features, size_t n,
                          float *ret);

/* Names the latent space of `weights`, as checked: a hash of the components and their centre.
 * Latents of models that differ in it must not be mixed, however many they are. */
#define TRAIN_SPACE PHI_DAND_SPACE
void train_encoder_space(const struct phi_weights *weights, char ret_space[TRAIN_SPACE]);

/* The number of features of an encoder in `weights`; 0 if there is none. */
size_t train_encoder_features(const struct phi_weights *weights);

#endif
