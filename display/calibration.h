/* SPDX-License-Identifier: MIT
 *
 * Do intervals hold as often as they say? Where the true latents of the stimuli are known (a
 * simulated session, a test run), the newest statement about every trial is held against them, and
 * the shares of true values inside the 50 and the 90 % intervals become curves over the trials.
 * All memory is taken by create; one thread.
 */
#ifndef PHI_DISPLAY_CALIBRATION_H
#define PHI_DISPLAY_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/frame.h"
#include "phosphene/status.h"
#include "rt/view.h"

#define PHI_CALIBRATION_TRIALS PH_MAX_POINTS /* the newest so many count */

/* True latents by stim_index. */
struct phi_truth {
    size_t n, p;
    const float *latents; /* [n][p] */
};

struct phi_calibration;

/* `truth` must outlive the object. Owned by the caller. */
PH_NODISCARD enum ph_status phi_calibration_create(const struct phi_truth *truth,
                                                   struct phi_calibration **ret_calibration);

/* Frees; accepts NULL and *calibration == NULL, clears *calibration. */
void phi_calibration_destroy(struct phi_calibration **calibration);

/* Takes a statement, [2 or more][p] mean and sd; a later one about the same trial replaces it.
 * False if it says nothing about a known stimulus. */
bool phi_calibration_add(struct phi_calibration *calibration, const struct ph_frame *latent);

/* Shares so far inside the 50 and the 90 % intervals; returns the number of trials. */
size_t phi_calibration_shares(const struct phi_calibration *calibration, double *ret_inside50,
                              double *ret_inside90);

/* The shares after each trial, and what is claimed, as curves for the operator; n_traces 0 before
 * the first trial. */
void phi_calibration_curves(const struct phi_calibration *calibration,
                            struct phi_shown_curves *ret_curves);

#endif
