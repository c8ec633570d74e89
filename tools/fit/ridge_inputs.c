/* SPDX-License-Identifier: MIT
 *
 * What a ridge fit is made from: options that are lists, rows that have all their lags, folds, and
 * this process's share of voxels and targets.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "fit/ridge.h"
#include "types.h"

/* Whole numbers separated by commas, to ret[capacity]. */
static enum ph_status parse_list(const char *option, const char *text, int64_t *ret,
                                 size_t capacity, size_t *ret_n, struct ph_error *reterr)
{
    char item[32];
    const char *at = text;
    size_t n_items = 0;

    while (*at) {
        size_t n = strcspn(at, ",");

        if (n >= sizeof item || n_items == capacity)
            return phi_error(reterr, PH_E_INVAL, "--%s '%s': at most %zu whole numbers", option,
                             text, capacity);
        memcpy(item, at, n);
        item[n] = 0;
        if (!phi_parse_i64(item, &ret[n_items]) || ret[n_items] < -1000000 ||
            ret[n_items] > 1000000)
            return phi_error(reterr, PH_E_INVAL, "--%s '%s': '%s' is no number of volumes", option,
                             text, item);
        n_items++;
        at += n + (at[n] == ',');
    }
    if (!n_items)
        return phi_error(reterr, PH_E_INVAL, "--%s is empty: give volumes, as 2 or 2,3,4", option);
    *ret_n = n_items;
    return PH_OK;
}

static enum ph_status parse_lags(const char *text, struct ridge_fit *fit, struct ph_error *reterr)
{
    int64_t lags[RIDGE_MAX_LAGS];
    enum ph_status status =
        parse_list("lags", text, lags, RIDGE_MAX_LAGS, &fit->lags.n_lags, reterr);

    for (size_t l = 0; !status && l < fit->lags.n_lags; l++)
        fit->lag_volumes[l] = (int)lags[l];
    fit->lags.lag = fit->lag_volumes;
    return status;
}

/* FROM:TO:COUNT in powers of ten of the mean eigenvalue; the unit is multiplied in later. */
static enum ph_status parse_penalties(const char *text, struct ridge_fit *fit,
                                      struct ph_error *reterr)
{
    double from, to;
    int n, used = 0;

    if (sscanf(text, "%lf:%lf:%d%n", &from, &to, &n, &used) != 3 || text[used] || n < 1 ||
        n > RIDGE_MAX_PENALTIES || !isfinite(from) || !isfinite(to) || (n > 1 && !(to > from)))
        return phi_error(reterr, PH_E_INVAL,
                         "--penalties '%s' is not FROM:TO:COUNT, as -1:6:15 for 15 penalties from "
                         "0.1 to a million times the mean variance",
                         text);
    fit->n_lambdas = (size_t)n;
    for (int l = 0; l < n; l++)
        fit->lambdas[l] = pow(10, n > 1 ? from + (to - from) * l / (n - 1) : from);
    return PH_OK;
}

/* With a single lag the voxels are moved once, so that the rest of the fit knows no lags. */
static void shift_voxels(struct ridge_fit *fit)
{
    struct fit_voxels *v = &fit->voxels;
    size_t left[FIT_MAX_RUNS];
    int lag = fit->lag_volumes[0];

    for (size_t i = 0; i < fit->n; i++) {
        size_t from = (size_t)((int64_t)fit->file_rows[i] + lag);

        memmove(v->x + i * v->q, v->x + from * v->q, v->q * sizeof *v->x);
        fit->rows[i] = (uint32_t)i;
    }
    for (size_t r = 0; r < v->n_runs; r++) {
        size_t cut = (size_t)(lag < 0 ? -lag : lag);

        left[r] = v->run_rows[r] > cut ? v->run_rows[r] - cut : 0;
    }
    memcpy(v->run_rows, left, v->n_runs * sizeof *left);
    v->n = fit->n;
    fit->lags = (struct phi_lags){&fit->zero_lag, 1, v->run_rows, v->n_runs};
}

static enum ph_status choose_rows(struct ridge_fit *fit, struct ph_error *reterr)
{
    size_t n_volumes = fit->voxels.n;

    fit->file_rows = phi_calloc(n_volumes, sizeof *fit->file_rows);
    fit->rows = phi_calloc(n_volumes, sizeof *fit->rows);
    if (!fit->file_rows || !fit->rows)
        return phi_error_nomem(reterr, "row numbers", n_volumes * sizeof *fit->rows);
    fit->lags.run_rows = fit->voxels.run_rows;
    fit->lags.n_runs = fit->voxels.n_runs;
    fit->n = phi_lag_rows(&fit->lags, fit->file_rows);
    if (fit->n < 4)
        return phi_error(reterr, PH_E_INVAL,
                         "only %zu of %zu volumes have all their lags inside the run", fit->n,
                         n_volumes);
    memcpy(fit->rows, fit->file_rows, fit->n * sizeof *fit->rows);
    if (fit->lags.n_lags == 1)
        shift_voxels(fit);
    return fit_targets_columns(&fit->targets, n_volumes, fit->file_rows, fit->n,
                               &fit->target_columns, reterr);
}

/* Fitted rows of each run, in order. */
static void rows_of_runs(const struct ridge_fit *fit, size_t *rows)
{
    size_t start = 0, i = 0;

    for (size_t r = 0; r < fit->voxels.n_runs; r++) {
        size_t end = start + fit->voxels.run_rows[r];

        rows[r] = 0;
        while (i < fit->n && fit->rows[i] < end) {
            rows[r]++;
            i++;
        }
        start = end;
    }
}

/* Folds that begin at given volumes: each start becomes the first fitted row at or after it. */
static enum ph_status folds_at_volumes(struct ridge_fit *fit, struct ph_error *reterr)
{
    int64_t volumes[PHI_FOLDS_MAX];
    size_t starts[PHI_FOLDS_MAX], n = 0;
    enum ph_status status =
        parse_list("fold-starts", fit->args->fold_starts, volumes, PHI_FOLDS_MAX, &n, reterr);

    for (size_t f = 0; !status && f < n; f++) {
        starts[f] = 0;
        while (f && starts[f] < fit->n && (int64_t)fit->file_rows[starts[f]] < volumes[f])
            starts[f]++;
    }
    return status
               ? status
               : phi_folds_starts(fit->n, starts, n, (size_t)fit->args->gap, &fit->folds, reterr);
}

static enum ph_status make_folds(struct ridge_fit *fit, struct ph_error *reterr)
{
    size_t rows[FIT_MAX_RUNS];

    if (fit->args->fold_starts)
        return folds_at_volumes(fit, reterr);

    if (!fit->args->leave_run_out)
        return phi_folds_contiguous(fit->n, (size_t)fit->args->n_folds, (size_t)fit->args->gap,
                                    &fit->folds, reterr);
    rows_of_runs(fit, rows);
    return phi_folds_runs(rows, fit->voxels.n_runs, &fit->folds, reterr);
}

/* The targets that this process fits. */
static void take_targets(struct ridge_fit *fit)
{
    const struct fit_team *team = fit->team;
    struct fit_part part =
        fit_part_of(fit->targets.t, team ? team->base.rank : 0, team ? team->base.n_ranks : 1);

    fit->part = (struct phi_columns_part){&fit->target_columns, part.first, part.n};
    fit->own_columns = phi_columns_of_part(&fit->part);
}

enum ph_status ridge_open_inputs(struct ridge_fit *fit, struct ph_error *reterr)
{
    const struct ridge_args *a = fit->args;
    struct fit_voxels_from from = {.bold = &a->bold,
                                   .mask = a->mask,
                                   .matrix = a->voxels,
                                   .run_file = a->run,
                                   .drift_s = a->drift_s,
                                   .rank = fit->team ? fit->team->base.rank : 0,
                                   .n_ranks = fit->team ? fit->team->base.n_ranks : 0};
    enum ph_status status = fit_targets_open(a->targets, a->tensor, &fit->targets, reterr);

    if (!status && a->run)
        status = types_open(&a->plugins, &fit->registry, reterr);
    from.registry = fit->registry;
    if (!status)
        status = fit_voxels_load(&from, &fit->voxels, reterr);
    if (!status)
        status = choose_rows(fit, reterr);
    if (!status)
        status = make_folds(fit, reterr);
    fit->voxel_memory =
        (struct phi_columns_memory){fit->voxels.x, PHI_DTYPE_F32, fit->voxels.n, fit->voxels.q};
    fit->voxel_columns = phi_columns_over(&fit->voxel_memory, fit->voxels.q, "voxels");
    fit->voxel_columns.first_number = fit->voxels.first;
    take_targets(fit);
    return fit_team_agree(fit->team, status, reterr);
}

enum ph_status ridge_parse(struct ridge_fit *fit, struct ph_error *reterr)
{
    enum ph_status status = parse_lags(fit->args->lags, fit, reterr);

    return status ? status : parse_penalties(fit->args->penalties, fit, reterr);
}
