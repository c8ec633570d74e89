/* SPDX-License-Identifier: MIT
 *
 * Making one run: mean volume + noise + response + effects, volume by volume into a NIfTI file.
 * Memory does not grow with the length of the run, except for the parts kept on request.
 */
#ifndef TOOLS_SIMULATE_RUN_H
#define TOOLS_SIMULATE_RUN_H

#include "tools/simulate/effects.h"
#include "tools/simulate/noise.h"
#include "tools/simulate/response.h"

/* Told after each volume; returns false to stop. */
typedef bool phi_sim_progress_fn(void *ctx, size_t n_done);

struct phi_sim_run {
    const struct phi_sim_source *source;
    const struct phi_sim_response *response;
    struct phi_sim_noise *noise;
    struct phi_sim_effects *effects;
    uint64_t number;      /* counts all runs of the session: chooses the noise */
    const double *design; /* [n_volumes][response->p + 1] */
    size_t n_volumes;
    float *ret_noise; /* [n_volumes][response->n_voxels] the noise in the region, or NULL */
    phi_sim_progress_fn *progress; /* or NULL */
    void *progress_ctx;
};

/* Writes the run to `path` (.nii or .nii.gz), int16. PH_E_STATE if progress stopped it. */
PH_NODISCARD enum ph_status phi_sim_run_write(const struct phi_sim_run *run, const char *path,
                                              struct ph_error *reterr);

#endif
