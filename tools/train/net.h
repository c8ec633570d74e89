/* SPDX-License-Identifier: MIT
 *
 * What the trainers share: a graph with its tape, a running average of weights, and
 * pictures placed on a sheet.
 */
#ifndef TOOLS_TRAIN_NET_H
#define TOOLS_TRAIN_NET_H

#include "nn/tape.h"
#include "nn/weights.h"
#include "phosphene/status.h"

struct train_net {
    struct phi_graph *graph;
    struct phi_tape *tape;
};

/* A copy of all weights, to be averaged into. Owned by the caller. */
PH_NODISCARD enum ph_status train_average_create(const struct phi_weights *weights,
                                                 struct phi_weights **ret_average,
                                                 struct ph_error *reterr);

/* Checks and completes a built graph: makes missing weights by He's rule (value times it) and the
 * tape. */
PH_NODISCARD enum ph_status train_net_finish(struct train_net *net, struct phi_weights *weights,
                                             const struct phi_tape_options *options, uint64_t seed,
                                             struct ph_error *reterr);

/* Frees both; accepts half-made ones. */
void train_net_fini(struct train_net *net);

/* Picture `i` of a sheet of n x n, from chw[3][h][w] (`size`: h, w) in [low, high], into
 * rgb[n * h][n * w][3]. */
void train_place(uint8_t *rgb, size_t n, size_t i, const float *chw, const size_t size[2],
                 const float low_high[2]);

#endif
