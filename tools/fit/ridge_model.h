/* SPDX-License-Identifier: MIT
 *
 * Writing a ridge model while it is being fitted. Tensors, for t targets, q voxels, L lags:
 * `weights` F32 [L][t][q] and `intercept` F32 [t] for voxels as they are in the run, so that
 * estimate = intercept + sum_l weights[l] x(volume + lag l); or, with coefficients kept dual,
 * `dual` F32 [n][t] and `train` F32 [n][q] (standardised). Besides `lags` I32 [L], `voxel_mean` and
 * `voxel_scale` F32 [q] (scale 0: not used), `lambda`, `cv_r2` and `residual_sd` (out of fold)
 * F32 [t], with bands `band_share` F32 [t][bands], and `voxel_index` I32 [q] with the grid in the
 * metadata, `chain` with the filters of the run file. phosphene.kind is "ridge". Set-up code; one
 * thread.
 */
#ifndef TOOLS_FIT_RIDGE_MODEL_H
#define TOOLS_FIT_RIDGE_MODEL_H

#include <stdbool.h>

#include "decode/lags.h"
#include "decode/ridge_fit.h"
#include "fit/voxels.h"

/* Makes the weights of one lag, ret[n][q_all], of standardised voxels, from coefficients of the
 * rows: where the voxels lie in several processes. */
struct ridge_model_product {
    enum ph_status (*make)(void *ctx, size_t lag, const float *coef /* [n_rows][n] */, size_t n,
                           float *ret, struct ph_error *reterr);
    void *ctx;
};

struct ridge_model_from {
    const char *path;
    const struct fit_voxels *voxels; /* x standardised already */
    const double *mean, *scale;      /* [q_all] */
    const float *lag_mean;           /* [L][q_all], where the voxels lie in several processes */
    const struct ridge_model_product *product; /* likewise; else NULL */
    bool weights;                /* the fit's coefficients are weights already (primal form) */
    const double *share;         /* [t][n_bands] factors of banded ridge, or NULL */
    size_t n_bands;              /* the lags where band is NULL */
    const uint32_t *band;        /* [q] band of each voxel */
    const struct phi_lags *lags; /* those of the rows of x: all 0 where shifted beforehand */
    const int *lag_volumes;      /* [L] to be stored */
    const uint32_t *rows;        /* [n_rows] */
    size_t n_rows, t;
    bool dual;
    const struct phi_columns *targets; /* read again for the estimates' file */
    const char *estimates;             /* file for out-of-fold estimates, or NULL */
    const char *how;                   /* one line on preprocessing and folds, for the metadata */
};

struct ridge_model;

/* Starts the file. Owned by the caller. */
PH_NODISCARD enum ph_status ridge_model_create(const struct ridge_model_from *from,
                                               struct ridge_model **ret_model,
                                               struct ph_error *reterr);

/* ret[L][q]: mean over the fitted rows of each lag's voxels, of this process. */
void ridge_model_lag_means(const struct ridge_model_from *from, float *ret);

/* ret[n][q] = weights of one lag for the voxels of this process; spread[voxels->n][n] is scratch.
 */
void ridge_model_multiply(const struct ridge_model_from *from, size_t lag, const float *coef,
                          size_t n, float *spread, float *ret);

/* Writes rows first .. first+n-1 of the standardised voxels of a dual file, rows[n][q_all]; needed
 * where they lie in several processes. */
PH_NODISCARD enum ph_status ridge_model_put_train(struct ridge_model *model, size_t first, size_t n,
                                                  const float *rows, struct ph_error *reterr);

/* Where the fit hands its blocks. */
struct phi_ridge_sink ridge_model_sink(struct ridge_model *model);

/* Writes what is known only at the end, and renames the file into place. */
PH_NODISCARD enum ph_status ridge_model_commit(struct ridge_model *model, struct ph_error *reterr);

/* Penalties and out-of-fold R2 as found so far, [t]. */
const float *ridge_model_lambda(const struct ridge_model *model);
const float *ridge_model_cv_r2(const struct ridge_model *model);

/* Frees; removes the file if it was not committed. */
void ridge_model_destroy(struct ridge_model **model);

#endif
