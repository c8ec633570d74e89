/* SPDX-License-Identifier: MIT
 *
 * The compact face encoder (models/stack.h) as trainers and commands use it: pictures in 0..1 to
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

/* x [n][3][64][64] in 0..1 -> relu features [n][n_features]. Returns the node. */
int train_encoder_build(struct phi_graph *graph, int x, size_t n_features);

/* Features of all pictures of `data`: ret_features[data->n][n_features], a new block freed with
 * phi_free. `progress` as in train_data_load. */
PH_NODISCARD enum ph_status train_encoder_run(struct phi_weights *weights,
                                              const struct train_data *data, size_t n_features,
                                              train_progress_fn *progress, void *context,
                                              float **ret_features, struct ph_error *reterr);

/* PH_E_FORMAT unless `weights`, read from `path`, hold an encoder and its components. */
PH_NODISCARD enum ph_status train_encoder_check(const struct phi_weights *weights, const char *path,
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
