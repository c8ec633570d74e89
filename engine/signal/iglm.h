/* SPDX-License-Identifier: MIT
 *
 * The general linear model, exact after every volume. Givens rotations take each new row of the
 * design into one triangular factor R that all voxels share, and the same rotations take the new
 * volume into Z = Q'Y; betas, residual sums and t values follow from R and Z. Equal to the batch
 * fit to 1e-9, with no loss of digits for large baselines, and the cost of a volume does not depend
 * on how many came before.
 *
 * A volume is taken in two steps, so that the second may be shared among workers: phi_iglm_begin
 * (design only), then phi_iglm_block for every block of voxels, in any order or thread. All else is
 * one caller at a time. Nothing but create allocates.
 *
 * Sources: Gentleman 1974 (AS 75); Golub and Van Loan section 12.5; AR(1) as generalised least
 * squares by whitening.
 */
#ifndef PHI_SIGNAL_IGLM_H
#define PHI_SIGNAL_IGLM_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

/* Voxels that are processed together. */
#define PHI_IGLM_BLOCK 256

/* Limits of a model. */
#define PHI_IGLM_MAX_REGRESSORS 256
#define PHI_IGLM_MAX_VECTORS    32

struct phi_iglm;

struct phi_iglm_config {
    size_t n_voxels;
    size_t n_regressors; /* 1 to PHI_IGLM_MAX_REGRESSORS */
    size_t n_vectors;    /* linear combinations of the betas to report, to PHI_IGLM_MAX_VECTORS */
    double rho;          /* lag-1 autocorrelation of the noise, above -1, below 1; 0 is white */
};

/* Where a volume's maps go; NULL fields are not computed. */
struct phi_iglm_maps {
    float *value[PHI_IGLM_MAX_VECTORS]; /* [n_voxels] vector . beta */
    float *t[PHI_IGLM_MAX_VECTORS]; /* [n_voxels] value over its standard error; 0 without degrees
                                       of freedom, or where vector or voxel has no variance */
    float *residual; /* [n_voxels] of the newest row (whitened where rho is not 0); 0 for rows that
                        are not learnt from */
};

/* A model without data. Owned by the caller. PH_E_INVAL for sizes or rho out of range. */
PH_NODISCARD enum ph_status phi_iglm_create(const struct phi_iglm_config *config,
                                            struct phi_iglm **ret_glm, struct ph_error *reterr);

/* Frees; accepts NULL and *glm == NULL, clears *glm. */
void phi_iglm_destroy(struct phi_iglm **glm);

/* Back to the state after create; vectors are kept. */
void phi_iglm_reset(struct phi_iglm *glm);

/* Another number of voxels, at most that of create, for a mask that is known only later; the model
 * begins anew. PH_E_SHAPE if there is no memory for so many. */
PH_NODISCARD enum ph_status phi_iglm_resize(struct phi_iglm *glm, size_t n_voxels);

/* Another autocorrelation, above -1 and below 1; the model begins anew, vectors are kept.
 * PH_E_INVAL, nothing changed, outside. */
PH_NODISCARD enum ph_status phi_iglm_set_rho(struct phi_iglm *glm, double rho);

/* Sets vector `k` [n_regressors], a contrast or a row of the design: the maps of the next volume
 * use it. PH_E_INVAL if k is out of range or a weight is not finite. */
PH_NODISCARD enum ph_status phi_iglm_set_vector(struct phi_iglm *glm, size_t k,
                                                const double *vector);

/* Begins a volume with row x[n_regressors] of the design. `learn` false keeps the model as it is (a
 * censored volume); maps are still made. PH_E_INVAL, nothing changed, if x is not finite. */
PH_NODISCARD enum ph_status phi_iglm_begin(struct phi_iglm *glm, const double *x, bool learn);

/* A volume is missing altogether: only its place in time counts (for whitening). */
void phi_iglm_skip(struct phi_iglm *glm);

/* Blocks of a volume: n_voxels / PHI_IGLM_BLOCK, rounded up. */
size_t phi_iglm_n_blocks(const struct phi_iglm *glm);

/* Takes block `block` of the begun volume y[n_voxels], which must be finite, and writes its part of
 * `maps` (may be NULL). Once per block and volume. */
void phi_iglm_block(struct phi_iglm *glm, size_t block, const float *y,
                    const struct phi_iglm_maps *maps);

/* Begins and takes all blocks of a volume. A y with values that are not finite is refused with
 * PH_E_INVAL and changes nothing. */
PH_NODISCARD enum ph_status phi_iglm_add(struct phi_iglm *glm, const double *x, const float *y,
                                         const struct phi_iglm_maps *maps);

/* Rows learnt so far. */
size_t phi_iglm_n_rows(const struct phi_iglm *glm);

/* Columns that can be told apart so far: below n_regressors while there are too few rows, or where
 * regressors are collinear or zero. */
size_t phi_iglm_rank(const struct phi_iglm *glm);

/* True if the rows so far determine vector `k`. */
bool phi_iglm_estimable(const struct phi_iglm *glm, size_t k);

/* Variance of vector `k` times the betas over the variance of the noise, as the rows so far
 * determine it; infinity where they do not. */
double phi_iglm_variance(const struct phi_iglm *glm, size_t k);

/* The betas [n_regressors] of one voxel; columns that cannot be told apart from earlier ones get
 * 0. */
void phi_iglm_beta(const struct phi_iglm *glm, size_t voxel, double *ret_beta);

/* Residual sum of squares of one voxel, and the residual degrees of freedom of all. */
double phi_iglm_rss(const struct phi_iglm *glm, size_t voxel);
size_t phi_iglm_dof(const struct phi_iglm *glm);

/* t value of vector `k` (as it was when the last volume began) in one voxel. */
double phi_iglm_t(const struct phi_iglm *glm, size_t k, size_t voxel);

#endif
