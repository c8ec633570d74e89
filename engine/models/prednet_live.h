/* SPDX-License-Identifier: MIT
 *
 * PredNet for the live path: one step at a time with its state kept, R of any layer driven from
 * outside, extrapolation from its own predictions, no allocation per step, stoppable between
 * layers. Batch 1. One thread at a time.
 */
#ifndef PHI_MODELS_PREDNET_LIVE_H
#define PHI_MODELS_PREDNET_LIVE_H

#include "models/prednet.h"
#include "nn/plan.h"

struct phi_prednet_live;

/* A network with the parameters prednet.* of `weights`, which are copied; config->batch is taken as
 * 1. `want_errors` keeps the means of E, at the price of a pass over E; `want_units` keeps A and
 * Ahat of every layer, at the price of a copy of each. */
struct phi_prednet_live_options {
    struct phi_plan_options plan;
    bool want_errors, want_units;
};
PH_NODISCARD enum ph_status phi_prednet_live_create(const struct phi_weights *weights,
                                                    const struct phi_prednet_config *config,
                                                    const struct phi_prednet_live_options *options,
                                                    struct phi_prednet_live **ret_live,
                                                    struct ph_error *reterr);

/* Accepts NULL and *live == NULL, clears *live. */
void phi_prednet_live_destroy(struct phi_prednet_live **live);

/* R of `layer` replaced by r[shape of the layer] (mix 1), or blended (0 < mix < 1), right after it
 * is computed; see struct phi_prednet_given. */
struct phi_prednet_drive {
    int layer;
    float mix;
    const float *r;
};

/* One step on frame[c0][h][w] in [0, 1]; NULL extrapolates from the prediction before (zeros at
 * first). `drive` may be NULL. */
PH_NODISCARD enum ph_status phi_prednet_live_step(struct phi_prednet_live *live, const float *frame,
                                                  const struct phi_prednet_drive *drive);

/* As phi_prednet_live_step within a time budget: PH_AGAIN when `deadline_ns` (CLOCK_MONOTONIC) has
 * passed between two of its layers; then call phi_prednet_live_continue. `frame` is copied,
 * drive->r must stay as it is until the step is complete. A reset, or the next step, gives up one
 * that is under way. */
PH_NODISCARD enum ph_status phi_prednet_live_step_until(struct phi_prednet_live *live,
                                                        const float *frame,
                                                        const struct phi_prednet_drive *drive,
                                                        int64_t deadline_ns);
PH_NODISCARD enum ph_status phi_prednet_live_continue(struct phi_prednet_live *live,
                                                      int64_t deadline_ns);

/* The prediction [c0][h][w] of the last step; valid until the next. */
const float *phi_prednet_live_prediction(const struct phi_prednet_live *live);

/* Means of E per layer after the last step, [n_layers]; NULL unless asked for at creation. */
const float *phi_prednet_live_errors(const struct phi_prednet_live *live);

/* Copies units of `layer` as the last step left them, row-major: the state, kind 'r', 'c' or 'e',
 * or if they are kept its A and Ahat, kind 'a' or 'p' (the layer's prediction). PH_E_INVAL for
 * others.
 */
PH_NODISCARD enum ph_status phi_prednet_live_read(const struct phi_prednet_live *live, char kind,
                                                  int layer, float *ret_data);

/* Overwrites a part of the state, kind 'r', 'c' or 'e'. */
PH_NODISCARD enum ph_status phi_prednet_live_write(struct phi_prednet_live *live, char kind,
                                                   int layer, const float *data);

/* Back to the state before the first frame. */
void phi_prednet_live_reset(struct phi_prednet_live *live);

/* The plan behind it, for reports. */
const struct phi_plan *phi_prednet_live_plan(const struct phi_prednet_live *live);

#endif
