/* SPDX-License-Identifier: MIT
 *
 * PredNet (Lotter, Kreiman and Cox 2017), with the authors' code where it and the paper differ:
 * over-prediction half of E first, hard sigmoid gates, only the lowest prediction clamped. One step
 * appends to a graph; unrolled for training on a tape, or with its states carried for live runs
 * (models/prednet_live.h). Parameters: prednet.{a,ahat,i,f,c,o}.LAYER.{weight,bias}; the four gates
 * run as one convolution.
 */
#ifndef PHI_MODELS_PREDNET_H
#define PHI_MODELS_PREDNET_H

#include "nn/graph.h"

#define PHI_PREDNET_LAYERS 6 /* at most */

struct phi_prednet_config {
    int n_layers;
    size_t channels[PHI_PREDNET_LAYERS]; /* of A and R: 3, 48, 96, 192 for KITTI */
    size_t h, w;                         /* of frames; multiples of 2^(n_layers - 1) */
    size_t batch;
};

/* Nodes of the state between steps, one per layer. */
struct phi_prednet_state {
    int r[PHI_PREDNET_LAYERS], c[PHI_PREDNET_LAYERS], e[PHI_PREDNET_LAYERS];
};

/* What a step makes besides the new state. */
struct phi_prednet_output {
    int prediction;               /* of this step's frame, before it is seen: [n][3][h][w] */
    int ahat[PHI_PREDNET_LAYERS]; /* ahat[0] == prediction */
    int a[PHI_PREDNET_LAYERS];    /* a[0] is the frame */
};

/* R of one layer from elsewhere (decoded from the brain): R = (1 - mix) R + mix given right after
 * it is computed, before lower layers and this layer's prediction see it; the cell keeps its own
 * value. given[l] is a node or -1; mix a node of shape [1], or -1 for 1. */
struct phi_prednet_given {
    int r[PHI_PREDNET_LAYERS];
    int mix;
};

/* The shape of R (or A) of layer l. */
struct phi_shape phi_prednet_shape(const struct phi_prednet_config *config, int layer);

/* PH_OK, or why the sizes cannot be (frame not divisible, no layers). */
PH_NODISCARD enum ph_status phi_prednet_check(const struct phi_prednet_config *config,
                                              struct ph_error *reterr);

/* A state of zeros. */
struct phi_prednet_state phi_prednet_zero_state(struct phi_graph *graph,
                                                const struct phi_prednet_config *config);

/* One step on `frame` [n][c0][h][w], a node; for extrapolation pass the prediction of the step
 * before. Replaces *state. `given` may be NULL. */
struct phi_prednet_output phi_prednet_step(struct phi_graph *graph,
                                           const struct phi_prednet_config *config, int frame,
                                           const struct phi_prednet_given *given,
                                           struct phi_prednet_state *state);

/* Means of E of each layer over its units, [n][n_layers]. */
int phi_prednet_error_means(struct phi_graph *graph, const struct phi_prednet_config *config,
                            const struct phi_prednet_state *state);

/* `n_frames` steps from the zero state on frames [t][n][c0][h][w]; from step `first_guess` on the
 * frame is the prediction before (n_frames for none). errors[n_frames] and predictions[n_frames]
 * take the nodes of each step's error means and prediction; either may be NULL. */
struct phi_prednet_unrolled {
    int n_frames, first_guess;
    int *errors, *predictions;
};
struct phi_prednet_state phi_prednet_unroll(struct phi_graph *graph,
                                            const struct phi_prednet_config *config, int frames,
                                            const struct phi_prednet_unrolled *unrolled);

/* The authors' loss: mean over the batch of sum_t w_t sum_l lambda_l mean(E_l(t)), w_0 = 0 and
 * w_t = 1 / (n_frames - 1) after; lambda[n_layers]. */
int phi_prednet_loss(struct phi_graph *graph, const struct phi_prednet_config *config,
                     const int *errors, int n_frames, const float *lambda);

#endif
