/* SPDX-License-Identifier: MIT
 *
 * Deep adversarial neural decoding (Gucluturk et al. 2017): the networks and one training step. The
 * generator maps a whitened latent through a frozen inverse-PCA layer (or not) and five transposed
 * convolutions to a 64x64 picture in [-1, 1]; the discriminator mirrors it; a feature network
 * compares pictures. Parameters: dand.g.*, dand.d.*, dand.f.*; layouts in nn/layers.h.
 */
#ifndef PHI_MODELS_DAND_H
#define PHI_MODELS_DAND_H

#include "models/stack.h"
#include "nn/optim.h"
#include "nn/tape.h"

#define PHI_DAND_SIDE 64 /* pixels; channels 3 */

struct phi_dand_config {
    size_t n_latent;   /* whitened components: 699 in the paper */
    size_t n_code;     /* outputs of the inverse-PCA layer: 4096; 0 leaves the layer out */
    size_t width;      /* channels before the last layer: 64 in the paper, 8 times that first */
    float bn_eps;      /* 0 means Chainer's 2e-5 */
    float bn_momentum; /* 0 means 0.1 */
};

/* z [n][n_latent] -> picture [n][3][64][64]. *ret_code (may be NULL) gets the node of the
 * inverse-PCA layer's output, or z's without it. */
int phi_dand_generator(struct phi_graph *graph, const struct phi_dand_config *config, int z,
                       int *ret_code);

/* picture [n][3][64][64] -> logit [n][1]; psi is its sigmoid. */
int phi_dand_discriminator(struct phi_graph *graph, const struct phi_dand_config *config, int x);

/* Names the latent space of a model: a hash of the whitened components dand.p.whiten and their
 * centre dand.g.fc.bias in `weights`. False, and "" in ret_space, where these are not there. */
#define PHI_DAND_SPACE 16
bool phi_dand_space(const struct phi_weights *weights, char ret_space[PHI_DAND_SPACE]);

/* The network of the feature loss, and the resolution it works at; no layers, no feature loss. */
struct phi_dand_features {
    const struct phi_stack_layer *layers;
    int n_layers;
    size_t side; /* pixels after resizing, 0 keeps 64 */
};

/* picture in [-1, 1] -> features of dand.f.*, after the last ReLU. */
int phi_dand_feature_network(struct phi_graph *graph, const struct phi_dand_features *features,
                             int x);

struct phi_dand_loss {
    float lambda_dis, lambda_adv, lambda_fea, lambda_sti;
    bool sum;                       /* squared norms summed per picture, not averaged */
    float target_real, target_fake; /* labels for the discriminator: 1 and 0, or 0.99 and 0.01 */
};

enum phi_dand_term {
    PHI_DAND_DIS, /* weighted, real + fake */
    PHI_DAND_ADV, /* unweighted, as the next two */
    PHI_DAND_FEA,
    PHI_DAND_STI,
    PHI_DAND_GEN, /* weighted sum */
    PHI_DAND_N_TERMS
};

struct phi_dand_trainer;

struct phi_dand_training {
    struct phi_dand_config net;
    struct phi_dand_features features;
    struct phi_dand_loss loss;
    struct phi_optim_config optim; /* of both networks */
    size_t batch;
    uint64_t seed; /* of initial values */
};

/* A trainer over `params`, which outlives it; parameters that are not there yet are made: weights
 * N(0, 0.02^2), gains N(1, 0.02^2), and the feature network and inverse-PCA layer likewise, frozen
 * (load the real ones first). All of what a run carries over is in `params` and the two optimisers.
 */
PH_NODISCARD enum ph_status phi_dand_trainer_create(struct phi_weights *params,
                                                    const struct phi_dand_training *training,
                                                    struct phi_dand_trainer **ret_trainer,
                                                    struct ph_error *reterr);

/* Accepts NULL and *trainer == NULL, clears *trainer. */
void phi_dand_trainer_destroy(struct phi_dand_trainer **trainer);

/* One step on latents z [batch][n_latent] and pictures x [batch][3][64][64]: one generator pass;
 * the discriminator on x, then on the fake held constant, and its Adam step; the updated
 * discriminator on the fake, and the generator's Adam step. ret_terms[PHI_DAND_N_TERMS]. */
PH_NODISCARD enum ph_status phi_dand_trainer_step(struct phi_dand_trainer *trainer, const float *z,
                                                  const float *x, float factor, float *ret_terms);

/* Pictures of the last step, [batch][3][64][64]. */
const float *phi_dand_trainer_fake(const struct phi_dand_trainer *trainer);

/* The optimisers, for checkpoints: discriminator and generator. */
struct phi_optim *phi_dand_trainer_optim_d(struct phi_dand_trainer *trainer);
struct phi_optim *phi_dand_trainer_optim_g(struct phi_dand_trainer *trainer);

/* The tape of the generator's loss, for tests and reports: inputs "fake" and "real", nodes "logit",
 * "adv", "fea", "sti", "gen". */
struct phi_tape *phi_dand_trainer_critic(struct phi_dand_trainer *trainer,
                                         const struct phi_graph **ret_graph);

#endif
