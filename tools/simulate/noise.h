/* SPDX-License-Identifier: MIT
 *
 * Noise of a real run, of any length. Surrogates give every Fourier component of the run one random
 * phase, the same in all voxels (Prichard and Theiler 1994): each voxel keeps its spectrum, each
 * pair its covariance at every frequency. A run longer than the source fades between independent
 * sets of phases.
 *
 * Surrogates are sums of as many spatial patterns as the source has volumes; a decoder that knows
 * the full covariance could null all of them. So a share of each voxel's variance is replaced by
 * independent white noise, as thermal noise is.
 *
 * One object, one thread.
 */
#ifndef TOOLS_SIMULATE_NOISE_H
#define TOOLS_SIMULATE_NOISE_H

#include <stdbool.h>

#include "tools/simulate/source.h"

#define PHI_SIM_BLOCK 16 /* volumes made at once */

struct phi_sim_noise_config {
    bool as_is;     /* the run itself instead of surrogates: no longer than the run, and the same in
                       every run */
    double thermal; /* share of the variance, 0 .. 1 */
    uint64_t seed;
};

struct phi_sim_noise;

/* Plans noise from `source`, which must outlive it. PH_E_INVAL for a share outside 0 .. 1. */
PH_NODISCARD enum ph_status phi_sim_noise_create(const struct phi_sim_source *source,
                                                 const struct phi_sim_noise_config *config,
                                                 struct phi_sim_noise **ret_noise,
                                                 struct ph_error *reterr);

/* Frees; accepts NULL and *noise == NULL. */
void phi_sim_noise_destroy(struct phi_sim_noise **noise);

/* Draws the phases of run `run` (any number; the same number gives the same noise). PH_E_SHAPE if
 * the run itself is asked for and too short. */
PH_NODISCARD enum ph_status phi_sim_noise_start(struct phi_sim_noise *noise, uint64_t run,
                                                size_t n_volumes, struct ph_error *reterr);

/* Noise of volumes first .. first + n - 1 (n <= PHI_SIM_BLOCK) in the brain:
 * ret[n][mask->n_voxels], mean about 0. */
void phi_sim_noise_fill(struct phi_sim_noise *noise, size_t first, size_t n, float *ret);

#endif
