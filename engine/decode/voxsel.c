/* SPDX-License-Identifier: MIT */
#include "decode/voxsel.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/resample.h"
#include "decode/ridge_fit.h"

/* Half decades around the mean eigenvalue; wide enough for encoding models of a few features as
 * well as of hundreds. */
#define N_PENALTIES   15
#define FIRST_PENALTY 1e-3

static enum ph_status read_train(void *ctx, size_t first, size_t n, enum phi_dtype dtype, void *out,
                                 struct ph_error *reterr)
{
    const struct phi_columns_train *train = ctx;
    size_t row = n * phi_dtype_size(dtype);
    char *all = phi_calloc2(train->whole->n_rows, row, 1);
    enum ph_status status;

    if (!all)
        return phi_error_nomem(reterr, "training rows", train->whole->n_rows * row);
    status = train->whole->read(train->whole->ctx, first, n, dtype, all, reterr);
    for (size_t i = 0; !status && i < phi_fold_n_train(&train->fold); i++)
        memcpy((char *)out + i * row, all + phi_fold_train_row(&train->fold, i) * row, row);
    phi_free(all);
    return status;
}

struct phi_columns phi_columns_of_train(struct phi_columns_train *train)
{
    struct phi_columns columns = *train->whole;

    columns.n_rows = phi_fold_n_train(&train->fold);
    columns.read = read_train;
    columns.ctx = train;
    return columns;
}

static enum ph_status keep_r2(void *ctx, const struct phi_ridge_block *block,
                              struct ph_error *reterr)
{
    double *r2 = ctx;

    (void)reterr;
    memcpy(r2 + block->first, block->cv_r2, block->n * sizeof *r2);
    return PH_OK;
}

/* Gram matrix of the training rows' features. */
static enum ph_status feature_gram(const double *features, size_t p, const struct phi_fold *fold,
                                   double *ret_k, struct ph_error *reterr)
{
    struct phi_columns_memory memory = {features, PHI_DTYPE_F64, fold->n_rows, p};
    struct phi_columns whole = phi_columns_over(&memory, p, "features");
    struct phi_columns_train train = {&whole, *fold};
    struct phi_columns rows = phi_columns_of_train(&train);
    struct phi_gram_options options = {
        .dtype = PHI_DTYPE_F64, .n_threads = 1, .allow_constant = true};
    double *mean = phi_calloc(p, sizeof *mean), *scale = phi_calloc(p, sizeof *scale);
    enum ph_status status;

    if (mean && scale)
        status = phi_gram(&rows, &options, ret_k, mean, scale, reterr);
    else
        status = phi_error_nomem(reterr, "feature means", p * sizeof *mean);
    phi_free(mean);
    phi_free(scale);
    return status;
}

static enum ph_status score_voxels(const struct phi_columns *voxels, const double *k, size_t n,
                                   const struct phi_voxsel_options *o, double *ret_r2,
                                   struct ph_error *reterr)
{
    double lambdas[N_PENALTIES], unit = phi_gram_mean_diagonal(k, n);
    struct phi_folds folds;
    struct phi_ridge_options options = {.lambdas = lambdas,
                                        .n_lambdas = N_PENALTIES,
                                        .folds = &folds,
                                        .n_threads = o->n_threads,
                                        .errors_only = true,
                                        .allow_constant = true,
                                        .progress = o->progress};
    struct phi_ridge_sink sink = {keep_r2, ret_r2};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan;
    enum ph_status status;

    for (size_t l = 0; l < N_PENALTIES; l++)
        lambdas[l] = unit * FIRST_PENALTY * pow(10, 0.5 * (double)l);
    status = phi_folds_contiguous(n, o->n_folds ? o->n_folds : 5, 0, &folds, reterr);
    if (!status)
        status = phi_ridge_plan_dual(k, NULL, n, &options, &plan, reterr);
    if (status)
        return status;
    status = phi_ridge_fit(plan, voxels, &sink, &report, reterr);
    phi_ridge_plan_destroy(&plan);
    return status;
}

/* The R2 that the n_top-th best voxel has. */
static enum ph_status threshold_of_top(const double *r2, size_t m, size_t n_top, double *ret,
                                       struct ph_error *reterr)
{
    double *sorted = phi_calloc(m, sizeof *sorted);

    if (!sorted)
        return phi_error_nomem(reterr, "voxel scores", m * sizeof *sorted);
    memcpy(sorted, r2, m * sizeof *sorted);
    phi_sort_doubles(sorted, m);
    *ret = n_top < m ? sorted[m - n_top] : sorted[0];
    phi_free(sorted);
    return PH_OK;
}

static enum ph_status mark(const double *r2, size_t m, const struct phi_voxsel_options *options,
                           unsigned char *ret_keep, struct ph_error *reterr)
{
    double limit = options->min_r2;
    size_t n_kept = 0;
    enum ph_status status = PH_OK;

    if (options->n_top)
        status = threshold_of_top(r2, m, options->n_top, &limit, reterr);
    for (size_t j = 0; !status && j < m; j++) {
        bool full = options->n_top && n_kept >= options->n_top;

        ret_keep[j] = !full && (options->n_top ? r2[j] >= limit : r2[j] > limit);
        n_kept += ret_keep[j];
    }
    if (!status && !n_kept)
        return phi_error(reterr, PH_E_INVAL,
                         "no voxel is predicted by the features above R2 %g: lower the limit or "
                         "check that features and volumes belong together",
                         limit);
    return status;
}

enum ph_status phi_voxsel(const struct phi_columns *voxels, const double *features, size_t p,
                          const struct phi_fold *fold, const struct phi_voxsel_options *options,
                          unsigned char *ret_keep, double *ret_r2, struct ph_error *reterr)
{
    struct phi_columns_train train = {voxels, *fold};
    struct phi_columns rows = phi_columns_of_train(&train);
    size_t n = phi_fold_n_train(fold);
    double *k = phi_calloc2(n, n, sizeof *k);
    enum ph_status status;

    if (!k)
        return phi_error_nomem(reterr, "products of the features", n * n * sizeof *k);
    status = feature_gram(features, p, fold, k, reterr);
    if (!status)
        status = score_voxels(&rows, k, n, options, ret_r2, reterr);
    if (!status)
        status = mark(ret_r2, voxels->n_cols, options, ret_keep, reterr);
    phi_free(k);
    return status;
}
