/* SPDX-License-Identifier: MIT
 *
 * What a scan does to volumes besides noise: the head moves, intensities drift, single slabs spike,
 * the first volumes are bright. Every effect is drawn from the seed and told in the truth. One
 * object, one thread.
 */
#ifndef TOOLS_SIMULATE_EFFECTS_H
#define TOOLS_SIMULATE_EFFECTS_H

#include <stdbool.h>

#include "tools/simulate/source.h"

struct phi_sim_effects_config {
    double motion_mm;     /* slow wander to about this displacement, and as many degrees; 0: none */
    double drift_percent; /* of the mean, from end to end; 0: none */
    size_t n_spikes;      /* volumes with a bright slab and, with motion, a jerk */
    bool start_up;        /* bright first volumes, as before the T1 steady state */
    uint64_t seed;
};

struct phi_sim_effects;

/* PH_E_INVAL for negative or absurd sizes. `source` must outlive it. Owned by the caller. */
PH_NODISCARD enum ph_status phi_sim_effects_create(const struct phi_sim_source *source,
                                                   const struct phi_sim_effects_config *config,
                                                   struct phi_sim_effects **ret_effects,
                                                   struct ph_error *reterr);

/* Frees; accepts NULL and *effects == NULL. */
void phi_sim_effects_destroy(struct phi_sim_effects **effects);

/* Draws the effects of run `run`. */
PH_NODISCARD enum ph_status phi_sim_effects_start(struct phi_sim_effects *effects, uint64_t run,
                                                  size_t n_volumes, struct ph_error *reterr);

/* Applies them to volume t of the run, volume[n_all], in place. */
PH_NODISCARD enum ph_status phi_sim_effects_apply(struct phi_sim_effects *effects, size_t t,
                                                  float *volume, struct ph_error *reterr);

/* The poses of the run, [n_volumes][6], image -> source in SPM's parameters (mm, rad): what a
 * motion correction should find. And per volume 1 where it spikes. Valid until the next start. */
const double *phi_sim_effects_poses(const struct phi_sim_effects *effects);
const int32_t *phi_sim_effects_spikes(const struct phi_sim_effects *effects);

#endif
