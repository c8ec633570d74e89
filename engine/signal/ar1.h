/* SPDX-License-Identifier: MIT
 *
 * Lag-1 autocorrelation of the noise in a linear model, from the residuals of a least-squares fit.
 * Fitting takes autocorrelation away with the regressors; the estimate is the coefficient for which
 * the residuals are expected to be as they are, so that short windows and many regressors do not
 * bias it. Rows that are not
 * neighbours in time (a volume left out between them) count as independent. Set-up: create; the
 * rest allocates nothing. One owner at a time.
 *
 * Source: after Worsley 2002, "A general statistical analysis for fMRI data", appendix A.3, with
 * the whole AR(1) covariance in the place of its first two lags.
 */
#ifndef PHI_SIGNAL_AR1_H
#define PHI_SIGNAL_AR1_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_AR1_MAX_ROWS 256

struct phi_ar1;

/* Room for `n_rows` rows (4 to PHI_AR1_MAX_ROWS) of `n_regressors`. Owned by the caller. */
PH_NODISCARD enum ph_status phi_ar1_create(size_t n_rows, size_t n_regressors,
                                           struct phi_ar1 **ret_ar1, struct ph_error *reterr);

/* Frees; accepts NULL and *ar1 == NULL, clears *ar1. */
void phi_ar1_destroy(struct phi_ar1 **ar1);

/* Takes the design rows x[n][n_regressors] of volumes index[n] (ascending). PH_E_INVAL if n is too
 * large or fewer than four degrees of freedom are left. */
PH_NODISCARD enum ph_status phi_ar1_prepare(struct phi_ar1 *ar1, const double *x,
                                            const uint64_t *index, size_t n);

/* The estimate for one voxel's values y[n] at those rows, y[t] at y + t * stride; NaN where they
 * have no variance beyond the design; from -0.9 to 0.9. */
double phi_ar1_estimate(struct phi_ar1 *ar1, const float *y, size_t stride);

/* The same without the correction: the residuals' own lag-1 autocorrelation. */
double phi_ar1_plain(struct phi_ar1 *ar1, const float *y, size_t stride);

#endif
