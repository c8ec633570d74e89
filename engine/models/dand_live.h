/* SPDX-License-Identifier: MIT
 *
 * DAND's generator for the live path: batch 1, running statistics folded into the weights, no
 * allocation per picture, stoppable between layers. One thread at a time.
 */
#ifndef PHI_MODELS_DAND_LIVE_H
#define PHI_MODELS_DAND_LIVE_H

#include "models/dand.h"
#include "nn/plan.h"

struct phi_dand_live;

/* A generator with the parameters dand.g.* of `weights`, which are copied. */
PH_NODISCARD enum ph_status phi_dand_live_create(const struct phi_weights *weights,
                                                 const struct phi_dand_config *config,
                                                 const struct phi_plan_options *options,
                                                 struct phi_dand_live **ret_live,
                                                 struct ph_error *reterr);

/* Accepts NULL and *live == NULL, clears *live. */
void phi_dand_live_destroy(struct phi_dand_live **live);

/* The picture [3][64][64] in [-1, 1] of z[n_latent]; valid until the next call. */
PH_NODISCARD enum ph_status phi_dand_live_run(struct phi_dand_live *live, const float *z,
                                              const float **ret_picture);

/* As phi_dand_live_run within a time budget: PH_AGAIN when `deadline_ns` (CLOCK_MONOTONIC) has
 * passed between two layers; call again with z NULL to go on, or with a new z to begin anew. */
PH_NODISCARD enum ph_status phi_dand_live_run_until(struct phi_dand_live *live, const float *z,
                                                    int64_t deadline_ns, const float **ret_picture);

/* The plan behind it, for reports. */
const struct phi_plan *phi_dand_live_plan(const struct phi_dand_live *live);

#endif
