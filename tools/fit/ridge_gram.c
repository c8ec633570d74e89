/* SPDX-License-Identifier: MIT
 *
 * The products of the volumes with each other, which are all that a dual fit needs of the voxels.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/gram.h"
#include "decode/voxsel.h"
#include "fit/ridge.h"

/* Features that choose voxels must fit into memory beside the voxels. */
#define MAX_SELECTING 8192

/* Over the voxels of all processes. */
static enum ph_status gram_of_all(struct ridge_fit *fit, const struct phi_gram_options *options,
                                  double *ret_k, struct ph_error *reterr)
{
    const struct fit_team *team = fit->team;
    size_t n = fit->voxels.n;
    enum ph_status status = PH_OK;

    if (fit->voxels.q || !team)
        status = phi_gram(&fit->voxel_columns, options, ret_k, fit->mean, fit->scale, reterr);
    status = fit_team_agree(team, status, reterr);
    if (status || !team)
        return status;
    status = team->base.sum(team->base.ctx, ret_k, n * n, reterr);
    if (!status && !(phi_gram_mean_diagonal(ret_k, n) > 0))
        return phi_error(reterr, PH_E_INVAL, "none of the %zu voxels varies over the samples",
                         fit->voxels.q_all);
    return status;
}

enum ph_status ridge_gram(struct ridge_fit *fit, const unsigned char *keep, double *ret_k,
                          struct ph_error *reterr)
{
    struct phi_gram_options options = {.dtype = fit->args->float64 ? PHI_DTYPE_F64 : PHI_DTYPE_F32,
                                       .n_threads = ridge_threads(fit),
                                       .standardise = !fit->args->raw,
                                       .allow_constant = fit->args->allow_constant,
                                       .keep = keep,
                                       .progress = &fit->progress};
    size_t n = fit->voxels.n;
    double *k1;
    enum ph_status status;

    options.allow_none = fit->team != NULL;
    if (fit->lags.n_lags == 1)
        return gram_of_all(fit, &options, ret_k, reterr);
    k1 = phi_calloc2(n, n, sizeof *k1);
    if (!k1)
        return phi_error_nomem(reterr, "products of the volumes", n * n * sizeof *k1);
    status = gram_of_all(fit, &options, k1, reterr);
    if (!status) {
        phi_lag_gram(&fit->lags, k1, n, fit->rows, fit->n, ret_k);
        phi_gram_centre(ret_k, fit->n);
    }
    phi_free(k1);
    return status;
}

/* Chooses voxels from the training rows of `fold`. */
static enum ph_status select_in(struct ridge_fit *fit, const struct phi_fold *fold,
                                const double *features, struct ph_error *reterr)
{
    struct phi_voxsel_options options = {.n_top = (size_t)fit->args->n_top,
                                         .min_r2 = fit->args->min_r2,
                                         .n_threads = (size_t)fit->args->n_threads,
                                         .progress = &fit->progress};
    double *r2 = phi_calloc(fit->voxels.q, sizeof *r2);
    enum ph_status status;

    if (!r2)
        return phi_error_nomem(reterr, "voxel scores", fit->voxels.q * sizeof *r2);
    status = phi_voxsel(&fit->voxel_columns, features, fit->targets.t, fold, &options, fit->keep,
                        r2, reterr);
    phi_free(r2);
    return status;
}

static enum ph_status select_everywhere(struct ridge_fit *fit, const double *features,
                                        struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t f = 0; !status && f <= fit->folds.n_folds; f++) {
        bool whole = f == fit->folds.n_folds;
        struct phi_fold fold = whole ? phi_fold_whole(fit->n) : phi_fold_at(&fit->folds, f);
        double *k = whole ? fit->k : phi_calloc2(fit->n, fit->n, sizeof *k);

        if (!whole)
            fit->k_of_fold[f] = k;
        status = k ? select_in(fit, &fold, features, reterr)
                   : phi_error_nomem(reterr, "products of a fold", fit->n * fit->n * sizeof *k);
        if (!status)
            status = ridge_gram(fit, fit->keep, k, reterr);
    }
    return status;
}

static enum ph_status gram_of_selected(struct ridge_fit *fit, struct ph_error *reterr)
{
    double *features;
    enum ph_status status;

    if (fit->lags.n_lags > 1 || fit->targets.t > MAX_SELECTING)
        return phi_error(reterr, PH_E_INVAL,
                         "voxel selection works with a single lag and at most %d targets",
                         MAX_SELECTING);
    features = phi_calloc2(fit->n, fit->targets.t, sizeof *features);
    fit->keep = phi_calloc(fit->voxels.q, 1);
    if (!features || !fit->keep) {
        phi_free(features);
        return phi_error_nomem(reterr, "features", fit->n * fit->targets.t * sizeof *features);
    }
    status = fit->target_columns.read(fit->target_columns.ctx, 0, fit->targets.t, PHI_DTYPE_F64,
                                      features, reterr);
    if (!status)
        status = select_everywhere(fit, features, reterr);
    phi_free(features);
    return status;
}

/* (x - mean) / scale in place; 0 where a voxel does not act. */
static void standardise(struct ridge_fit *fit)
{
    struct fit_voxels *v = &fit->voxels;

    for (size_t i = 0; i < v->n; i++)
        for (size_t j = 0; j < v->q; j++) {
            double scale = fit->scale[j], x = (double)v->x[i * v->q + j];

            v->x[i * v->q + j] = scale > 0 ? (float)((x - fit->mean[j]) / scale) : 0;
        }
}

enum ph_status ridge_prepare(struct ridge_fit *fit, struct ph_error *reterr)
{
    bool selecting = fit->args->n_top > 0 || fit->args->min_r2 > -1;
    enum ph_status status;

    fit->k = phi_calloc2(fit->n, fit->n, sizeof *fit->k);
    fit->mean = phi_calloc(fit->voxels.q, sizeof *fit->mean);
    fit->scale = phi_calloc(fit->voxels.q, sizeof *fit->scale);
    status = fit->k && fit->mean && fit->scale ? PH_OK
                                               : phi_error_nomem(reterr, "products of the volumes",
                                                                 fit->n * fit->n * sizeof *fit->k);
    status = fit_team_agree(fit->team, status, reterr);
    if (status)
        return status;
    status = selecting ? gram_of_selected(fit, reterr) : ridge_gram(fit, NULL, fit->k, reterr);
    if (status)
        return status;
    standardise(fit);
    fit->unit = phi_gram_mean_diagonal(fit->k, fit->n);
    if (fit->n_bands)
        fit->unit /= (double)fit->n_bands;
    for (size_t l = 0; l < fit->n_lambdas; l++)
        fit->lambdas[l] *= fit->unit;
    return PH_OK;
}

enum ph_status ridge_wide_columns(const struct ridge_fit *fit, double **ret_x,
                                  struct ph_error *reterr)
{
    const struct fit_voxels *v = &fit->voxels;
    double *narrow = phi_calloc2(v->n, v->q, sizeof *narrow);
    double *wide = phi_calloc2(fit->n, fit->lags.n_lags * v->q, sizeof *wide);

    if (!narrow || !wide) {
        phi_free(narrow);
        phi_free(wide);
        return phi_error_nomem(reterr, "columns of all lags",
                               fit->n * fit->lags.n_lags * v->q * sizeof *wide);
    }
    for (size_t i = 0; i < v->n * v->q; i++)
        narrow[i] = (double)v->x[i];
    phi_lag_columns_f64(&fit->lags, narrow, v->q, fit->rows, fit->n, wide);
    phi_free(narrow);
    *ret_x = wide;
    return PH_OK;
}
