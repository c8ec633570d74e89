/* SPDX-License-Identifier: MIT
 *
 * Penalties, coefficients and the model file, alone or with the other processes.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/fork.h"
#include "fit/ridge.h"

static void describe(const struct ridge_fit *fit, char *out, size_t capacity)
{
    const struct ridge_args *a = fit->args;
    struct phi_str text = phi_str_over(out, capacity);

    phi_str_addf(&text, "%s; drift_s %g; voxels %s; %zu samples of %zu voxels; ",
                 a->run ? "behind a run file" : "as stored", a->drift_s,
                 a->raw ? "centred" : "standardised", fit->n, fit->voxels.q_all);
    if (a->choose != RIDGE_KFOLD)
        phi_str_addf(&text, "%s; penalties %s, %s", a->choose_name, a->penalties,
                     a->shared ? "one for all" : "one a target");
    else
        phi_str_addf(&text, "%zu folds %s, gap %zu; penalties %s, %s", fit->folds.n_folds,
                     a->leave_run_out ? "of runs"
                     : a->fold_starts ? "of blocks"
                                      : "contiguous",
                     fit->folds.gap, a->penalties, a->shared ? "one for all" : "one a target");
}

static struct phi_ridge_sink sink_of(struct ridge_fit *fit)
{
    return fit->team ? spread_sink(fit->spread, fit->part.first) : ridge_model_sink(fit->model);
}

static enum ph_status make_plan(struct ridge_fit *fit, const struct phi_ridge_options *options,
                                struct phi_ridge_plan **ret_plan, struct ph_error *reterr)
{
    size_t m = fit->lags.n_lags * fit->voxels.q;
    const double *k_of_fold[PHI_FOLDS_MAX];
    enum ph_status status;
    double *x;

    for (size_t f = 0; f < fit->folds.n_folds; f++)
        k_of_fold[f] = fit->k_of_fold[f];
    if (ridge_form_of(fit) != RIDGE_PRIMAL)
        return phi_ridge_plan_dual(fit->k, fit->k_of_fold[0] ? k_of_fold : NULL, fit->n, options,
                                   ret_plan, reterr);
    status = ridge_wide_columns(fit, &x, reterr);
    if (status)
        return status;
    status = phi_ridge_plan_primal(x, fit->n, m, options, ret_plan, reterr);
    phi_free(x);
    return status;
}

static enum ph_status solve(struct ridge_fit *fit, struct phi_ridge_report *report,
                            struct ph_error *reterr)
{
    const struct ridge_args *a = fit->args;
    struct phi_ridge_options options = {.lambdas = fit->lambdas,
                                        .n_lambdas = fit->n_lambdas,
                                        .folds = &fit->folds,
                                        .choice =
                                            a->shared ? PHI_RIDGE_SHARED : PHI_RIDGE_PER_TARGET,
                                        .within_one_sd = a->one_sd,
                                        .estimates = a->estimates != NULL,
                                        .allow_constant = a->allow_constant,
                                        .dtype = a->float64 ? PHI_DTYPE_F64 : PHI_DTYPE_F32,
                                        .n_threads = ridge_threads(fit),
                                        .n_block = (size_t)a->n_block,
                                        .progress = &fit->progress,
                                        .team = fit->team ? &fit->team->base : NULL};
    struct phi_ridge_sink sink = sink_of(fit);
    struct phi_ridge_plan *plan;
    enum ph_status status;

    if (fit->n_bands)
        return ridge_write_bands(fit, &sink, report, reterr);
    if (a->form == RIDGE_SVD)
        return ridge_solve_svd(fit, &sink, report, reterr);
    status = make_plan(fit, &options, &plan, reterr);
    if (status)
        return status;
    status = phi_ridge_fit(plan, &fit->own_columns, &sink, report, reterr);
    phi_ridge_plan_destroy(&plan);
    return status;
}

/* The reports of all processes as one. */
static enum ph_status sum_reports(const struct fit_team *team, struct phi_ridge_report *report,
                                  struct ph_error *reterr)
{
    double n_varying = (double)(report->n_targets - report->n_constant);
    double sums[] = {(double)report->n_targets, (double)report->n_constant,
                     report->mean_cv_r2 * n_varying};
    enum ph_status status = team->base.sum(team->base.ctx, sums, 3, reterr);

    report->n_targets = (size_t)sums[0];
    report->n_constant = (size_t)sums[1];
    report->mean_cv_r2 = sums[0] > sums[1] ? sums[2] / (sums[0] - sums[1]) : 0;
    return status;
}

/* The same with each process's part; memory that a single one lacks ends them all. */
static enum ph_status write_together(struct ridge_fit *fit, const struct ridge_model_from *from,
                                     struct phi_ridge_report *report, struct ph_error *reterr)
{
    enum ph_status status = spread_create(fit->team, from, &fit->spread, reterr);

    if (status)
        return status;
    status = solve(fit, report, reterr);
    if (status == PH_E_NOMEM) {
        (void)cli_fail(reterr);
        fit->team->give_up(fit->team->base.ctx, CLI_TRY_LATER);
    }
    status = spread_finish(fit->spread, status, reterr);
    fit->model = spread_model(fit->spread);
    return status ? status : sum_reports(fit->team, report, reterr);
}

enum ph_status ridge_write(struct ridge_fit *fit, struct phi_ridge_report *report,
                           struct ph_error *reterr)
{
    const struct ridge_args *a = fit->args;
    char how[512];
    struct ridge_model_from from = {.path = a->out,
                                    .voxels = &fit->voxels,
                                    .mean = fit->mean,
                                    .scale = fit->scale,
                                    .lags = &fit->lags,
                                    .lag_volumes = fit->lag_volumes,
                                    .rows = fit->rows,
                                    .n_rows = fit->n,
                                    .t = fit->targets.t,
                                    .dual = a->dual,
                                    .targets = &fit->target_columns,
                                    .estimates = a->estimates,
                                    .how = how};
    enum ph_status status;

    from.weights = ridge_form_of(fit) == RIDGE_PRIMAL || ridge_form_of(fit) == RIDGE_SVD;
    from.share = fit->share;
    from.n_bands = fit->n_bands;
    from.band = fit->band;
    describe(fit, how, sizeof how);
    if (fit->team)
        return write_together(fit, &from, report, reterr);
    status = ridge_model_create(&from, &fit->model, reterr);
    if (!status)
        status = solve(fit, report, reterr);
    return status ? status : ridge_model_commit(fit->model, reterr);
}

size_t ridge_threads(const struct ridge_fit *fit)
{
    size_t n = phi_fork_threads((size_t)fit->args->n_threads);

    if (fit->args->n_threads || !fit->team)
        return (size_t)fit->args->n_threads;
    return n > fit->team->n_here ? n / fit->team->n_here : 1;
}

enum ridge_form ridge_form_of(const struct ridge_fit *fit)
{
    const struct ridge_args *a = fit->args;
    bool dual = a->dual || fit->team || fit->n_bands || fit->k_of_fold[0];

    if (a->form != RIDGE_AUTO)
        return a->form;
    for (size_t j = 0; j < fit->voxels.q; j++) /* a column that does not act is no primal one */
        dual = dual || !(fit->scale[j] > 0);
    return !dual && fit->lags.n_lags * fit->voxels.q < fit->n ? RIDGE_PRIMAL : RIDGE_DUAL;
}
