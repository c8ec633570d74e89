/* SPDX-License-Identifier: MIT
 *
 * Banded ridge over regions of voxels or over lags.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/banded.h"
#include "fit/ridge.h"
#include "io/nifti_file.h"
#include "io/safetensors.h"

#define MAX_BANDS 64

/* Labels as they stand in the file, [q]. */
static enum ph_status labels_of_tensor(const struct ridge_fit *fit, float *labels,
                                       struct ph_error *reterr)
{
    const char *path = fit->args->bands;
    size_t shape[1] = {fit->voxels.q};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status)
        return status;
    status = phi_safetensors_expect(file, "bands", 1, shape, &tensor, reterr);
    if (!status)
        status = phi_safetensors_read_f32(file, tensor, fit->voxels.q, labels, reterr);
    phi_safetensors_close(&file);
    return status;
}

/* Labels of the mask's voxels in a volume on the same grid. */
static enum ph_status labels_of_volume(const struct ridge_fit *fit, float *labels,
                                       struct ph_error *reterr)
{
    const struct fit_voxels *v = &fit->voxels;
    struct phi_nifti_info info;
    float *values = NULL;
    enum ph_status status = phi_nifti_read_float32(fit->args->bands, PHI_NIFTI_MAX_VOLUME_BYTES,
                                                   &info, &values, reterr);

    if (status)
        return status;
    if (info.n_x != v->grid.n[0] || info.n_y != v->grid.n[1] || info.n_z != v->grid.n[2])
        status = phi_error(reterr, PH_E_SHAPE,
                           "bands %s are on another grid than the runs: resample them first",
                           fit->args->bands);
    for (size_t j = 0; !status && j < v->q; j++)
        labels[j] = values[v->index[j]];
    phi_free(values);
    return status;
}

/* Labels 1, 2 ... to bands 0, 1 ...; every band must have voxels and every voxel a band. */
static enum ph_status bands_of_labels(struct ridge_fit *fit, const float *labels,
                                      struct ph_error *reterr)
{
    size_t count[MAX_BANDS] = {0};

    for (size_t j = 0; j < fit->voxels.q; j++) {
        float label = labels[j];

        if (!(label >= 1 && label <= MAX_BANDS) || rintf(label) < label || rintf(label) > label)
            return phi_error(reterr, PH_E_INVAL,
                             "%s: voxel %zu has band %g; bands are whole numbers from 1 to %d",
                             fit->args->bands, j, (double)label, MAX_BANDS);
        fit->band[j] = (uint32_t)label - 1;
        count[fit->band[j]]++;
        if ((size_t)label > fit->n_bands)
            fit->n_bands = (size_t)label;
    }
    for (size_t b = 0; b < fit->n_bands; b++)
        if (!count[b])
            return phi_error(reterr, PH_E_INVAL, "%s: no voxel has band %zu of 1 to %zu",
                             fit->args->bands, b + 1, fit->n_bands);
    return PH_OK;
}

enum ph_status ridge_read_bands(struct ridge_fit *fit, struct ph_error *reterr)
{
    float *labels;
    enum ph_status status;

    if (!fit->args->bands)
        return PH_OK;
    if (strcmp(fit->args->bands, "lags") == 0) {
        fit->n_bands = fit->lags.n_lags;
        return PH_OK;
    }
    labels = phi_calloc(fit->voxels.q, sizeof *labels);
    fit->band = phi_calloc(fit->voxels.q, sizeof *fit->band);
    if (!labels || !fit->band)
        status = phi_error_nomem(reterr, "bands of the voxels", fit->voxels.q * sizeof *labels);
    else
        status = fit->voxels.index ? labels_of_volume(fit, labels, reterr)
                                   : labels_of_tensor(fit, labels, reterr);
    if (!status)
        status = bands_of_labels(fit, labels, reterr);
    phi_free(labels);
    return status;
}

/* The voxels are standardised already, so each band's products are of what stands in x. */
static enum ph_status gram_of_voxels(struct ridge_fit *fit, size_t b, double *ret_k,
                                     struct ph_error *reterr)
{
    unsigned char *keep = phi_calloc(fit->voxels.q, 1);
    double *mean = fit->mean, *scale = fit->scale;
    enum ph_status status = PH_OK;

    fit->mean = phi_calloc(fit->voxels.q, sizeof *mean);
    fit->scale = phi_calloc(fit->voxels.q, sizeof *scale);
    if (!keep || !fit->mean || !fit->scale)
        status = phi_error_nomem(reterr, "voxels of a band", fit->voxels.q * sizeof *mean);
    for (size_t j = 0; keep && j < fit->voxels.q; j++)
        keep[j] = fit->band[j] == b && scale[j] > 0;
    if (!status)
        status = ridge_gram(fit, keep, ret_k, reterr);
    phi_free(keep);
    phi_free(fit->mean);
    phi_free(fit->scale);
    fit->mean = mean;
    fit->scale = scale;
    return status;
}

/* Each lag alone, all from the same products of the volumes. */
static enum ph_status grams_of_lags(struct ridge_fit *fit, struct ph_error *reterr)
{
    struct phi_lags one = fit->lags;
    size_t n = fit->voxels.n;
    double *k1 = phi_calloc2(n, n, sizeof *k1), *mean = phi_calloc2(2, fit->voxels.q, sizeof *mean);
    struct phi_gram_options options = {.dtype = fit->args->float64 ? PHI_DTYPE_F64 : PHI_DTYPE_F32,
                                       .n_threads = ridge_threads(fit),
                                       .allow_constant = true};
    enum ph_status status;

    if (k1 && mean)
        status = phi_gram(&fit->voxel_columns, &options, k1, mean, mean + fit->voxels.q, reterr);
    else
        status = phi_error_nomem(reterr, "products of the volumes", n * n * sizeof *k1);
    one.n_lags = 1;
    for (size_t b = 0; !status && b < fit->n_bands; b++) {
        one.lag = fit->lags.lag + b;
        phi_lag_gram(&one, k1, n, fit->rows, fit->n, fit->k_of_band[b]);
        phi_gram_centre(fit->k_of_band[b], fit->n);
    }
    phi_free(mean);
    phi_free(k1);
    return status;
}

enum ph_status ridge_band_grams(struct ridge_fit *fit, struct ph_error *reterr)
{
    size_t n = fit->n;
    enum ph_status status = PH_OK;

    fit->k_of_band = phi_calloc(fit->n_bands, sizeof *fit->k_of_band);
    fit->share = phi_calloc2(fit->targets.t, fit->n_bands, sizeof *fit->share);
    if (!fit->k_of_band || !fit->share)
        return phi_error_nomem(reterr, "shares of the bands",
                               fit->targets.t * fit->n_bands * sizeof *fit->share);
    for (size_t b = 0; b < fit->n_bands; b++) {
        fit->k_of_band[b] = phi_calloc2(n, n, sizeof **fit->k_of_band);
        if (!fit->k_of_band[b])
            return phi_error_nomem(reterr, "products of a band", n * n * sizeof **fit->k_of_band);
    }
    if (!fit->band)
        return grams_of_lags(fit, reterr);
    for (size_t b = 0; !status && b < fit->n_bands; b++)
        status = gram_of_voxels(fit, b, fit->k_of_band[b], reterr);
    return status;
}

struct band_fit {
    double *lambda, *r2; /* [t] */
    double *dual;        /* [n][t] */
    double *y, *coef;    /* [n][n_block] */
    double *mean, *sd;   /* [n_block] */
    size_t n_block;
};

static enum ph_status write_block(struct ridge_fit *fit, struct band_fit *b, size_t first, size_t n,
                                  const struct phi_ridge_sink *sink, struct ph_error *reterr)
{
    struct phi_columns_block read = {PHI_DTYPE_F64, b->y, b->mean, b->sd};
    struct phi_ridge_block block = {.first = first,
                                    .n = n,
                                    .n_out = fit->n,
                                    .dtype = PHI_DTYPE_F64,
                                    .coef = b->coef,
                                    .mean = b->mean,
                                    .sd = b->sd,
                                    .lambda = b->lambda + first,
                                    .cv_r2 = b->r2 + first};
    enum ph_status status = phi_columns_read_centred(&fit->target_columns, first, n, &read, reterr);

    for (size_t i = 0; !status && i < fit->n; i++)
        memcpy(b->coef + i * n, b->dual + i * fit->targets.t + first, n * sizeof *b->coef);
    return status ? status : sink->write(sink->ctx, &block, reterr);
}

static enum ph_status search_and_write(struct ridge_fit *fit, struct band_fit *b,
                                       const struct phi_ridge_sink *sink,
                                       struct phi_ridge_report *report, struct ph_error *reterr)
{
    struct phi_bands bands = {(const double *const *)fit->k_of_band, fit->n_bands, fit->n};
    struct phi_banded_options options = {.lambdas = fit->lambdas,
                                         .n_lambdas = fit->n_lambdas,
                                         .folds = &fit->folds,
                                         .n_draws = (size_t)fit->args->n_draws,
                                         .seed = (uint64_t)fit->args->seed,
                                         .dtype =
                                             fit->args->float64 ? PHI_DTYPE_F64 : PHI_DTYPE_F32,
                                         .n_threads = ridge_threads(fit),
                                         .progress = &fit->progress};
    struct phi_banded_result result = {fit->share, b->lambda, b->r2, b->dual};
    size_t t = fit->targets.t;
    enum ph_status status = phi_banded_fit(&bands, &fit->target_columns, &options, &result, reterr);

    for (size_t first = 0; !status && first < t; first += b->n_block)
        status = write_block(fit, b, first, t - first < b->n_block ? t - first : b->n_block, sink,
                             reterr);
    for (size_t k = 0; k < t; k++)
        report->mean_cv_r2 += b->r2[k] / (double)t;
    report->n_targets = t;
    return status;
}

enum ph_status ridge_write_bands(struct ridge_fit *fit, const struct phi_ridge_sink *sink,
                                 struct phi_ridge_report *report, struct ph_error *reterr)
{
    size_t n = fit->n, t = fit->targets.t, width = t < 1024 ? t : 1024;
    struct band_fit b = {.lambda = phi_calloc(t, sizeof *b.lambda),
                         .r2 = phi_calloc(t, sizeof *b.r2),
                         .dual = phi_calloc2(n, t, sizeof *b.dual),
                         .y = phi_calloc2(n, width, sizeof *b.y),
                         .coef = phi_calloc2(n, width, sizeof *b.coef),
                         .mean = phi_calloc(width, sizeof *b.mean),
                         .sd = phi_calloc(width, sizeof *b.sd),
                         .n_block = width};
    enum ph_status status;

    if (b.lambda && b.r2 && b.dual && b.y && b.coef && b.mean && b.sd)
        status = search_and_write(fit, &b, sink, report, reterr);
    else
        status = phi_error_nomem(reterr, "coefficients of the bands", n * t * sizeof *b.dual);
    phi_free(b.lambda);
    phi_free(b.r2);
    phi_free(b.dual);
    phi_free(b.y);
    phi_free(b.coef);
    phi_free(b.mean);
    phi_free(b.sd);
    return status;
}
