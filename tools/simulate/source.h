/* SPDX-License-Identifier: MIT
 *
 * The real run that a simulated session is made of: its anatomy (the mean volume), the brain, and
 * what is left of each brain voxel's time course when slow drifts (and, on request, the responses
 * to its own task) are taken out. Read-only once opened.
 */
#ifndef TOOLS_SIMULATE_SOURCE_H
#define TOOLS_SIMULATE_SOURCE_H

#include "io/nifti.h"
#include "signal/mask.h"

#define PHI_SIM_MAX_BYTES ((size_t)8 << 30) /* of a run's brain voxels in memory */

struct phi_sim_source {
    struct phi_nifti_info info; /* of the run; n_volumes as found */
    struct phi_grid grid;
    double tr_s;
    size_t n_volumes;
    size_t n_all;          /* voxels of a volume */
    float *mean;           /* [n_all] */
    float *sd;             /* [n_all] over time; inside the brain after taking out drifts */
    struct phi_mask *mask; /* the brain */
    float *series;         /* [n_volumes][mask->n_voxels], drifts and mean taken out */
};

/* Reads the run at `path`. Drifts slower than 128 s are taken out; `events_path` (NULL for none)
 * names its events, whose responses, one column a trial type through the SPM response, go too.
 * `tr_s` 0 takes the header's or the sidecar's TR. PH_E_LIMIT if the run needs too much memory,
 * PH_E_SHAPE if it is too short (16 volumes at least). Owned by the caller. */
PH_NODISCARD enum ph_status phi_sim_source_open(const char *path, const char *events_path,
                                                double tr_s, struct phi_sim_source **ret_source,
                                                struct ph_error *reterr);

/* Frees; accepts NULL and *source == NULL. */
void phi_sim_source_close(struct phi_sim_source **source);

#endif
