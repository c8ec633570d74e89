/* SPDX-License-Identifier: MIT
 *
 * The rows of a live model: constant | drift | motion | extra | conditions, filled volume by volume
 * from events as they become known. The cost of a row does not grow with the run: events whose
 * response is over are left behind. One owner at a time; only create allocates.
 */
#ifndef PHI_SIGNAL_REGRESSORS_H
#define PHI_SIGNAL_REGRESSORS_H

#include <stddef.h>

#include "phosphene/status.h"
#include "signal/design.h"

#define PHI_REGRESSORS_MAX_DRIFT      64
#define PHI_REGRESSORS_MAX_CONDITIONS 64
#define PHI_REGRESSORS_MAX_FIR        32

enum phi_drift {
    PHI_DRIFT_NONE = 0,
    PHI_DRIFT_LEGENDRE = 1, /* orders 1 to n_drift on the planned run */
    PHI_DRIFT_DCT = 2       /* cosines 1 to n_drift on the planned run */
};

struct phi_regressors_config {
    struct phi_design_timing timing;
    enum phi_drift drift;
    size_t n_drift;  /* columns besides the constant, to PHI_REGRESSORS_MAX_DRIFT */
    size_t n_motion; /* 0, 6, 12 or 24 */
    size_t n_extra;  /* columns the caller fills: tissue signals, noise components */
    size_t n_conditions;
    size_t n_parts; /* 1: response; 2: and time derivative; 3: and dispersion derivative */
    struct phi_hrf hrf;
    size_t max_events;
    size_t n_fir; /* above 0: no response but so many delays of whole volumes a condition, to
                     PHI_REGRESSORS_MAX_FIR; n_parts and hrf then mean nothing */
};

struct phi_regressors;

/* Owned by the caller. PH_E_INVAL if the configuration makes no sense, by name. */
PH_NODISCARD enum ph_status phi_regressors_create(const struct phi_regressors_config *config,
                                                  struct phi_regressors **ret_regressors,
                                                  struct ph_error *reterr);

/* Frees; accepts NULL and *regressors == NULL, clears *regressors. */
void phi_regressors_destroy(struct phi_regressors **regressors);

/* Forgets events and motion. */
void phi_regressors_reset(struct phi_regressors *regressors);

/* Columns of a row, the first of condition `condition`, and how many each condition has. */
size_t phi_regressors_n_columns(const struct phi_regressors *regressors);
size_t phi_regressors_column_of(const struct phi_regressors *regressors, size_t condition);
size_t phi_regressors_width(const struct phi_regressors *regressors);

/* Makes an event known; trial_type is the number of its condition. PH_E_INVAL if a number is not
 * finite, the duration is negative or there is no such condition; PH_E_LIMIT once max_events are
 * active. */
PH_NODISCARD enum ph_status phi_regressors_event(struct phi_regressors *regressors,
                                                 const struct phi_event *event);

/* Fills ret_row[n_columns] for volume `k`, sampled at t_s (volume start plus ref * TR). `motion`[6]
 * and `extra`[n_extra] may be NULL where the model has none. The row may hold what motion and extra
 * hold, NaN included. */
void phi_regressors_row(struct phi_regressors *regressors, size_t k, double t_s,
                        const double *motion, const double *extra, double *ret_row);

/* Reads a contrast such as "face-house" or "0.5*face+0.5*place-house" over names[n_names] into
 * ret_weights[n_names]. Names may hold any sign; the longest name that fits is taken. PH_E_INVAL
 * with the place where it stops making sense. */
PH_NODISCARD enum ph_status phi_contrast_parse(const char *text, const char *const *names,
                                               size_t n_names, double *ret_weights,
                                               struct ph_error *reterr);

#endif
