/* SPDX-License-Identifier: MIT
 *
 * What session.c and truth.c share. Not for others.
 */
#ifndef TOOLS_SIMULATE_SESSION_PRIVATE_H
#define TOOLS_SIMULATE_SESSION_PRIVATE_H

#include "tools/simulate/latents.h"
#include "tools/simulate/session.h"

#define PHI_SIM_MAX_RUNS 99

/* One planned run. */
struct phi_sim_plan {
    char name[64];                    /* "task-train_run-01" */
    size_t set;                       /* PHI_SIM_TRAIN or PHI_SIM_TEST */
    struct phi_sim_schedule schedule; /* of trials; empty for films */
    size_t first_frame, n_frames;     /* of films */
    size_t n_volumes;
    double *design;  /* [n_volumes][p + 1] */
    double *poses;   /* [n_volumes][6] */
    int32_t *spikes; /* [n_volumes] */
    float *noise;    /* [n_volumes][region] or NULL */
};

struct phi_sim_session {
    const struct phi_sim_options *options;
    struct phi_sim_timing timing;
    struct phi_sim_source *source;
    struct phi_stimuli *stimuli[PHI_SIM_N_SETS];
    struct phi_sim_latents latents[PHI_SIM_N_SETS];
    struct phi_pca *pca; /* NULL when latents come from files */
    struct phi_sim_response *response;
    struct phi_sim_noise *noise;
    struct phi_sim_effects *effects;
    struct phi_sim_plan plans[2 * PHI_SIM_MAX_RUNS];
    size_t n_plans;
    double snr;
};

/* Writes truth.safetensors and region.nii.gz into the session's folder. */
PH_NODISCARD enum ph_status phi_sim_truth_write(const struct phi_sim_session *session,
                                                struct ph_error *reterr);

/* Writes dataset_description.json and README of the folder, and the sidecar of a run to `path`. */
PH_NODISCARD enum ph_status phi_sim_describe(const struct phi_sim_session *session,
                                             struct ph_error *reterr);
PH_NODISCARD enum ph_status phi_sim_describe_run(const struct phi_sim_session *session,
                                                 const struct phi_sim_plan *plan, const char *path,
                                                 struct ph_error *reterr);

#endif
