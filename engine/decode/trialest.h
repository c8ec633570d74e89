/* SPDX-License-Identifier: MIT
 *
 * Single-trial responses by least squares, from sums over volumes that grow with the run: LSA (one
 * column a trial, jointly) and LSS (each trial against the sum of the others, Mumford 2012), both
 * beside nuisance columns. After any number of volumes the estimates are those of a batch fit.
 * Memory is taken by create; adding a volume costs n_trials * (n_trials + n_voxels); one thread.
 */
#ifndef PHI_DECODE_TRIALEST_H
#define PHI_DECODE_TRIALEST_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_trialest;

/* For at most shape = {n_trials, n_nuisance, n_voxels}. A trial takes part from the volume on at
 * which its regressor first exceeds `least_response` in magnitude (0: 1e-3), since before that it
 * would make the system singular. Owned by the caller. */
PH_NODISCARD enum ph_status phi_trialest_create(const size_t shape[3], double least_response,
                                                struct phi_trialest **ret_est,
                                                struct ph_error *reterr);

/* Frees the object; accepts NULL and *est == NULL, clears *est. */
void phi_trialest_destroy(struct phi_trialest **est);

/* Forgets all volumes. */
void phi_trialest_reset(struct phi_trialest *est);

/* Adds a volume: its trial regressors, nuisance values and voxels. No allocation. */
void phi_trialest_add(struct phi_trialest *est, const double *trials /* [n_trials] */,
                      const double *nuisance /* [n_nuisance] */, const float *y /* [n_voxels] */);

/* Trials that take part so far, by number, into ret_active[n_trials]; returns how many. */
size_t phi_trialest_active(const struct phi_trialest *est, size_t *ret_active);

/* Estimates of the active trials in their order, ret_beta[n_active][n_voxels]. No allocation.
 * PH_AGAIN while there are too few volumes for a solution. */
PH_NODISCARD enum ph_status phi_trialest_lsa(struct phi_trialest *est, double *ret_beta);

/* As lsa; a trial that cannot be told from the others (a11 a22 - a12^2 < 1e-10 a11 a22) is NaN. */
PH_NODISCARD enum ph_status phi_trialest_lss(struct phi_trialest *est, double *ret_beta);

#endif
