/* SPDX-License-Identifier: MIT
 *
 * Ridge of a problem that fits into memory by one SVD a block of targets, float64 throughout: for
 * rows that may be left out one by one, and for penalties so small that products lose their digits.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/ridge.h"
#include "fit/ridge.h"

#define BLOCK 1024

struct svd_fit {
    struct ridge_fit *fit;
    struct phi_ridge_path path;
    double *x;                               /* [n][m] */
    double *y;                               /* [n][BLOCK] */
    double *mean, *sd, *lambda, *r2, *score; /* [BLOCK] */
    double *predictions;                     /* [n][BLOCK] left out */
    double *weights, *intercept;             /* [m][BLOCK], [BLOCK] */
    double *errors;                          /* [n_lambdas][t], over the mean's */
    double *folds_lambda, *folds_r2;         /* [t] where folds choose */
};

static enum ph_status take_memory(struct svd_fit *s, struct ph_error *reterr)
{
    struct ridge_fit *fit = s->fit;
    size_t n = fit->n, m = fit->lags.n_lags * fit->voxels.q, t = fit->targets.t;
    size_t width = t < BLOCK ? t : BLOCK;

    s->y = phi_calloc2(n, width, sizeof *s->y);
    s->predictions = phi_calloc2(n, width, sizeof *s->predictions);
    s->weights = phi_calloc2(m, width, sizeof *s->weights);
    s->intercept = phi_calloc(width, sizeof *s->intercept);
    s->mean = phi_calloc(width, sizeof *s->mean);
    s->sd = phi_calloc(width, sizeof *s->sd);
    s->lambda = phi_calloc(width, sizeof *s->lambda);
    s->r2 = phi_calloc(width, sizeof *s->r2);
    s->score = phi_calloc(width, sizeof *s->score);
    s->errors = phi_calloc2(fit->n_lambdas, t, sizeof *s->errors);
    s->folds_lambda = phi_calloc(t, sizeof *s->folds_lambda);
    s->folds_r2 = phi_calloc(t, sizeof *s->folds_r2);
    if (s->y && s->predictions && s->weights && s->intercept && s->mean && s->sd && s->lambda &&
        s->r2 && s->score && s->errors && s->folds_lambda && s->folds_r2)
        return ridge_wide_columns(fit, &s->x, reterr);
    return phi_error_nomem(reterr, "a fit by singular values", (n + m) * width * sizeof(double));
}

static void free_memory(struct svd_fit *s)
{
    phi_ridge_path_fini(&s->path);
    phi_free(s->x);
    phi_free(s->y);
    phi_free(s->predictions);
    phi_free(s->weights);
    phi_free(s->intercept);
    phi_free(s->mean);
    phi_free(s->sd);
    phi_free(s->lambda);
    phi_free(s->r2);
    phi_free(s->score);
    phi_free(s->errors);
    phi_free(s->folds_lambda);
    phi_free(s->folds_r2);
}

/* Squared errors of the left-out rows over those of the mean of the others. */
static enum ph_status leave_out(struct svd_fit *s, double lambda, size_t n_targets, double *ret,
                                struct ph_error *reterr)
{
    size_t n = s->path.n;
    double out = (double)n / (double)(n - 1);
    enum ph_status status = phi_ridge_path_loo(
        &s->path, lambda, s->fit->args->separate ? PHI_ROWS_SEPARATE : PHI_ROWS_SERIES,
        s->predictions, reterr);

    for (size_t k = 0; !status && k < n_targets; k++) {
        double sse = 0, sst = 0;

        for (size_t i = 0; i < n; i++) {
            double y = s->path.yc[i * n_targets + k];
            double e = y + s->path.y_mean[k] - s->predictions[i * n_targets + k];

            sse += e * e;
            sst += out * out * y * y;
        }
        ret[k] = sst > 0 ? sse / sst : 1;
    }
    return status;
}

/* GCV over that of the mean alone. */
static enum ph_status generalised(struct svd_fit *s, double lambda, size_t n_targets, double *ret,
                                  struct ph_error *reterr)
{
    double n = (double)s->path.n;
    enum ph_status status = phi_ridge_path_gcv(
        &s->path, lambda, s->fit->args->separate ? PHI_ROWS_SEPARATE : PHI_ROWS_SERIES, s->score,
        reterr);

    for (size_t k = 0; !status && k < n_targets; k++) {
        double alone = s->sd[k] * s->sd[k] / ((1 - 1 / n) * (1 - 1 / n));

        ret[k] = alone > 0 ? s->score[k] / alone : 1;
    }
    return status;
}

/* Reads targets first .. first+n-1 and decomposes. */
static enum ph_status open_block(struct svd_fit *s, size_t first, size_t n_targets,
                                 struct ph_error *reterr)
{
    struct ridge_fit *fit = s->fit;
    struct phi_ridge_problem problem = {s->x, s->y, fit->n, fit->lags.n_lags * fit->voxels.q,
                                        n_targets};
    struct phi_columns_block block = {PHI_DTYPE_F64, s->y, s->mean, s->sd};
    enum ph_status status =
        phi_columns_read_centred(&fit->target_columns, first, n_targets, &block, reterr);

    for (size_t k = 0; !status && k < n_targets; k++)
        if (!fit->args->allow_constant && !(s->sd[k] > 1e-7 * fabs(s->mean[k])))
            return phi_error(reterr, PH_E_INVAL,
                             "target %zu is constant: leave it out, or allow constant targets",
                             first + k);
    phi_ridge_path_fini(&s->path);
    return status ? status : phi_ridge_path_create(&problem, true, &s->path, reterr);
}

static enum ph_status score_block(struct svd_fit *s, size_t first, size_t n_targets,
                                  struct ph_error *reterr)
{
    const struct ridge_fit *fit = s->fit;
    enum ph_status status = PH_OK;

    for (size_t l = 0; !status && l < fit->n_lambdas; l++) {
        double *to = s->errors + l * fit->targets.t + first;

        status = fit->args->choose == RIDGE_LOO
                     ? leave_out(s, fit->lambdas[l], n_targets, to, reterr)
                     : generalised(s, fit->lambdas[l], n_targets, to, reterr);
    }
    return status;
}

/* Number of the penalty for target t, or for all. */
static size_t best_of(const struct svd_fit *s, size_t t)
{
    size_t n = s->fit->targets.t, best = 0, from = t, to = t + 1;
    double least = INFINITY;

    if (s->fit->args->shared) {
        from = 0;
        to = n;
    }
    for (size_t l = 0; l < s->fit->n_lambdas; l++) {
        double sum = 0;

        for (size_t k = from; k < to; k++)
            sum += s->errors[l * n + k];
        if (sum < least) {
            least = sum;
            best = l;
        }
    }
    return best;
}

/* What phi_ridge_fit found by folds, kept for the solution here. */
static enum ph_status keep_choice(void *ctx, const struct phi_ridge_block *b,
                                  struct ph_error *reterr)
{
    struct svd_fit *s = ctx;

    (void)reterr;
    memcpy(s->folds_lambda + b->first, b->lambda, b->n * sizeof *b->lambda);
    memcpy(s->folds_r2 + b->first, b->cv_r2, b->n * sizeof *b->cv_r2);
    return PH_OK;
}

static enum ph_status choose_by_folds(struct svd_fit *s, struct ph_error *reterr)
{
    struct ridge_fit *fit = s->fit;
    struct phi_ridge_options options = {.lambdas = fit->lambdas,
                                        .n_lambdas = fit->n_lambdas,
                                        .folds = &fit->folds,
                                        .choice = fit->args->shared ? PHI_RIDGE_SHARED
                                                                    : PHI_RIDGE_PER_TARGET,
                                        .within_one_sd = fit->args->one_sd,
                                        .errors_only = true,
                                        .allow_constant = fit->args->allow_constant,
                                        .dtype = PHI_DTYPE_F64,
                                        .n_threads = ridge_threads(fit),
                                        .progress = &fit->progress};
    struct phi_ridge_sink sink = {keep_choice, s};
    struct phi_ridge_report report;
    struct phi_ridge_plan *plan;
    enum ph_status status = phi_ridge_plan_dual(fit->k, NULL, fit->n, &options, &plan, reterr);

    if (status)
        return status;
    status = phi_ridge_fit(plan, &fit->target_columns, &sink, &report, reterr);
    phi_ridge_plan_destroy(&plan);
    return status;
}

static enum ph_status score_all(struct svd_fit *s, struct ph_error *reterr)
{
    size_t t = s->fit->targets.t;
    enum ph_status status = PH_OK;

    for (size_t first = 0; !status && first < t; first += BLOCK) {
        size_t n = t - first < BLOCK ? t - first : BLOCK;

        status = open_block(s, first, n, reterr);
        if (!status)
            status = score_block(s, first, n, reterr);
        phi_progress_report(&s->fit->progress, "penalties", (double)(first + n) / (double)t);
    }
    return status;
}

static void settle(struct svd_fit *s, size_t first, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        size_t l = s->fit->args->choose == RIDGE_KFOLD ? 0 : best_of(s, first + k);
        bool folds = s->fit->args->choose == RIDGE_KFOLD;

        s->lambda[k] = folds ? s->folds_lambda[first + k] : s->fit->lambdas[l];
        s->r2[k] =
            folds ? s->folds_r2[first + k] : 1 - s->errors[l * s->fit->targets.t + first + k];
    }
}

static enum ph_status solve_block(struct svd_fit *s, size_t first, size_t n,
                                  const struct phi_ridge_sink *sink,
                                  struct phi_ridge_report *report, struct ph_error *reterr)
{
    struct phi_ridge_block block = {.first = first,
                                    .n = n,
                                    .n_out = s->path.m,
                                    .dtype = PHI_DTYPE_F64,
                                    .coef = s->weights,
                                    .mean = s->mean,
                                    .sd = s->sd,
                                    .lambda = s->lambda,
                                    .cv_r2 = s->r2};

    settle(s, first, n);
    phi_ridge_path_weights(&s->path, s->lambda, s->weights, s->intercept);
    for (size_t k = 0; k < n; k++) {
        bool varies = s->sd[k] > 1e-7 * fabs(s->mean[k]);

        report->n_targets++;
        report->n_constant += !varies;
        report->mean_cv_r2 += varies ? s->r2[k] : 0;
    }
    return sink->write(sink->ctx, &block, reterr);
}

static enum ph_status run(struct svd_fit *s, const struct phi_ridge_sink *sink,
                          struct phi_ridge_report *report, struct ph_error *reterr)
{
    size_t t = s->fit->targets.t;
    enum ph_status status =
        s->fit->args->choose == RIDGE_KFOLD ? choose_by_folds(s, reterr) : score_all(s, reterr);

    for (size_t first = 0; !status && first < t; first += BLOCK) {
        size_t n = t - first < BLOCK ? t - first : BLOCK;

        status = open_block(s, first, n, reterr);
        if (!status)
            status = solve_block(s, first, n, sink, report, reterr);
        phi_progress_report(&s->fit->progress, "targets", (double)(first + n) / (double)t);
    }
    if (report->n_targets > report->n_constant)
        report->mean_cv_r2 /= (double)(report->n_targets - report->n_constant);
    return status;
}

enum ph_status ridge_solve_svd(struct ridge_fit *fit, const struct phi_ridge_sink *sink,
                               struct phi_ridge_report *report, struct ph_error *reterr)
{
    struct svd_fit s = {.fit = fit};
    enum ph_status status = take_memory(&s, reterr);

    if (!status)
        status = run(&s, sink, report, reterr);
    free_memory(&s);
    return status;
}
