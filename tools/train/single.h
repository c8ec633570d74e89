/* SPDX-License-Identifier: MIT
 *
 * What trainers of one network with one loss share: weights and their running average, graph and
 * tape, optimiser, one step. The trainer builds the graph between init and finish, and sets the
 * inputs before each step.
 */
#ifndef TOOLS_TRAIN_SINGLE_H
#define TOOLS_TRAIN_SINGLE_H

#include "train/model.h"
#include "train/net.h"

struct train_single {
    struct phi_weights *weights, *average; /* average NULL where the recipe asks for none */
    struct train_net net;
    struct phi_optim *optim;
    uint64_t seed;
    double clip_norm;
    float ema;
};

/* An empty store and graph, and the recipe's numbers. */
PH_NODISCARD enum ph_status train_single_init(struct train_single *single,
                                              const struct recipe *recipe, struct ph_error *reterr);

/* Makes missing weights, tape, average and optimiser for the graph that has been built. */
PH_NODISCARD enum ph_status train_single_finish(struct train_single *single,
                                                const struct recipe *recipe,
                                                struct ph_error *reterr);

/* Forward, back from node `loss`, clip, optimiser with its rate times `factor`, average. */
PH_NODISCARD enum ph_status train_single_step(struct train_single *single, int loss, float factor);

/* The weights that are saved and drawn with. */
struct phi_weights *train_single_best(const struct train_single *single);

/* Appends everything to a checkpoint's state. */
void train_single_state(const struct train_single *single, struct train_state *ret_state);

/* Frees all; accepts half-made ones. */
void train_single_fini(struct train_single *single);

#endif
