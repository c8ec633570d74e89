/* SPDX-License-Identifier: MIT
 *
 * A whole semi-synthetic session: runs of training and test stimuli as a BIDS folder, and the truth
 * beside them. The noise and the anatomy are a real run's; the response is simulated, and every
 * file says so. One thread.
 */
#ifndef TOOLS_SIMULATE_SESSION_H
#define TOOLS_SIMULATE_SESSION_H

#include "tools/simulate/run.h"
#include "tools/simulate/schedule.h"

#define PHI_SIM_MAX_LATENTS 8 /* files for one set */

#define PHI_SIM_LABEL "noise of a real run, simulated response"

/* One set of stimuli and how it is shown; `stimuli` NULL leaves it out. */
struct phi_sim_set_options {
    const char *stimuli; /* as phi_stimuli_open */
    /* Files with the tensor "latents", taken side by side; none: components of the pixels. */
    const char *latents[PHI_SIM_MAX_LATENTS];
    size_t n_latents;
    size_t n_runs;
    size_t n_repeats; /* of each stimulus, over all runs; films are shown once */
    size_t n_group;   /* see phi_sim_deck */
};

enum { PHI_SIM_TRAIN, PHI_SIM_TEST, PHI_SIM_N_SETS };

struct phi_sim_options {
    const char *source;        /* the real run */
    const char *source_events; /* its events, taken out of the noise; NULL for none */
    const char *out;           /* folder to make */
    struct phi_sim_set_options sets[PHI_SIM_N_SETS];
    struct phi_sim_timing timing; /* tr_s 0: the run's own */
    bool film;                    /* frames in order at `fps` instead of trials */
    double fps;
    double snr;   /* see phi_sim_response_snr, over the training runs */
    double decay; /* strength of component k is (sd_k / sd_0)^decay; 0: all equal */
    struct phi_sim_response_config response; /* gains and seed are set here */
    struct phi_sim_noise_config noise;       /* seed is set here */
    struct phi_sim_effects_config effects;   /* seed is set here */
    bool parts;                              /* keeps the region's noise in the truth */
    bool plain;                              /* .nii instead of .nii.gz */
    uint64_t seed;
    bool (*progress)(void *ctx, const char *what, size_t n_done, size_t n_all); /* or NULL */
    void *progress_ctx;
};

struct phi_sim_report {
    size_t n_runs, n_volumes, n_brain, n_region, p;
    double tr_s;
    double snr; /* as measured from design, weights and noise */
};

/* Makes the session. PH_E_STATE if progress returned false. */
PH_NODISCARD enum ph_status phi_sim_session_make(const struct phi_sim_options *options,
                                                 struct phi_sim_report *ret_report,
                                                 struct ph_error *reterr);

#endif
