/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/gram.h"
#include "decode/lags.h"
#include "decode/linalg.h"
#include "decode/resample.h"
#include "decode/voxsel.h"
#include "fit/fit.h"
#include "fit/ridge_model.h"
#include "fit/targets.h"
#include "fit/voxels.h"
#include "types.h"

#define MAX_LAGS      32
#define MAX_PENALTIES 64
/* Features that choose voxels must fit into memory beside the voxels. */
#define MAX_SELECTING 8192

struct ridge_args {
    struct cli_list bold;
    struct cli_list plugins;
    const char *run, *mask, *voxels, *targets, *tensor, *out, *estimates, *lags, *penalties,
        *fold_starts;
    int64_t n_folds, gap, n_top, n_threads, n_block;
    double drift_s, min_r2;
    bool leave_run_out, shared, one_sd, raw, dual, float64, allow_constant, json;
};

/* Everything a fit holds, freed in one place. */
struct ridge_fit {
    const struct ridge_args *args;
    struct phi_registry *registry;
    struct fit_voxels voxels;
    struct fit_targets targets;
    struct phi_columns target_columns, voxel_columns;
    struct phi_columns_memory voxel_memory;
    int lag_volumes[MAX_LAGS], zero_lag;
    struct phi_lags lags;
    uint32_t *file_rows, *rows; /* [n] rows of the targets file; [n] rows of x */
    size_t n;                   /* rows fitted */
    struct phi_folds folds;
    double *k; /* [n][n] */
    double *k_of_fold[PHI_FOLDS_MAX];
    double *mean, *scale; /* [q] */
    unsigned char *keep;  /* [q] or NULL */
    double lambdas[MAX_PENALTIES];
    size_t n_lambdas;
    struct ridge_model *model;
    struct phi_progress progress;
    struct timespec stage_start;
    char stage[64];
};

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* Progress with the time left in this stage. */
static void show_progress(void *ctx, const char *stage, double fraction)
{
    struct ridge_fit *fit = ctx;
    char text[128];

    if (strcmp(stage, fit->stage) != 0) {
        (void)phi_str_copy(fit->stage, sizeof fit->stage, stage);
        clock_gettime(CLOCK_MONOTONIC, &fit->stage_start);
    }
    if (fraction > 0 && fraction < 1)
        (void)snprintf(text, sizeof text, "%s, %.0f s left", stage,
                       seconds_since(&fit->stage_start) * (1 - fraction) / fraction);
    else
        (void)phi_str_copy(text, sizeof text, stage);
    cli_progress(text, (uint64_t)(fraction * 1000), 1000);
}

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
    int64_t lags[MAX_LAGS];
    enum ph_status status = parse_list("lags", text, lags, MAX_LAGS, &fit->lags.n_lags, reterr);

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
        n > MAX_PENALTIES || !isfinite(from) || !isfinite(to) || (n > 1 && !(to > from)))
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

static enum ph_status open_inputs(struct ridge_fit *fit, struct ph_error *reterr)
{
    const struct ridge_args *a = fit->args;
    struct fit_voxels_from from = {.bold = &a->bold,
                                   .mask = a->mask,
                                   .matrix = a->voxels,
                                   .run_file = a->run,
                                   .drift_s = a->drift_s};
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
    return status;
}

/* Gram matrix of the fitted rows over the voxels in `keep`. */
static enum ph_status make_gram(struct ridge_fit *fit, const unsigned char *keep, double *ret_k,
                                struct ph_error *reterr)
{
    struct phi_gram_options options = {.dtype = fit->args->float64 ? PHI_DTYPE_F64 : PHI_DTYPE_F32,
                                       .n_threads = (size_t)fit->args->n_threads,
                                       .standardise = !fit->args->raw,
                                       .allow_constant = fit->args->allow_constant,
                                       .keep = keep,
                                       .progress = &fit->progress};
    size_t n = fit->voxels.n;
    double *k1;
    enum ph_status status;

    if (fit->lags.n_lags == 1)
        return phi_gram(&fit->voxel_columns, &options, ret_k, fit->mean, fit->scale, reterr);
    k1 = phi_calloc2(n, n, sizeof *k1);
    if (!k1)
        return phi_error_nomem(reterr, "products of the volumes", n * n * sizeof *k1);
    status = phi_gram(&fit->voxel_columns, &options, k1, fit->mean, fit->scale, reterr);
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
            status = make_gram(fit, fit->keep, k, reterr);
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

static enum ph_status prepare(struct ridge_fit *fit, struct ph_error *reterr)
{
    bool selecting = fit->args->n_top > 0 || fit->args->min_r2 > -1;
    enum ph_status status;
    double unit;

    fit->k = phi_calloc2(fit->n, fit->n, sizeof *fit->k);
    fit->mean = phi_calloc(fit->voxels.q, sizeof *fit->mean);
    fit->scale = phi_calloc(fit->voxels.q, sizeof *fit->scale);
    if (!fit->k || !fit->mean || !fit->scale)
        return phi_error_nomem(reterr, "products of the volumes", fit->n * fit->n * sizeof *fit->k);
    status = selecting ? gram_of_selected(fit, reterr) : make_gram(fit, NULL, fit->k, reterr);
    if (status)
        return status;
    standardise(fit);
    unit = phi_gram_mean_diagonal(fit->k, fit->n);
    for (size_t l = 0; l < fit->n_lambdas; l++)
        fit->lambdas[l] *= unit;
    return PH_OK;
}

static void describe(const struct ridge_fit *fit, char *out, size_t capacity)
{
    const struct ridge_args *a = fit->args;
    struct phi_str text = phi_str_over(out, capacity);

    phi_str_addf(&text, "%s; drift_s %g; voxels %s; %zu samples of %zu voxels; ",
                 a->run ? "behind a run file" : "as stored", a->drift_s,
                 a->raw ? "centred" : "standardised", fit->n, fit->voxels.q);
    phi_str_addf(&text, "%zu folds %s, gap %zu; penalties %s, %s", fit->folds.n_folds,
                 a->leave_run_out ? "of runs"
                 : a->fold_starts ? "of blocks"
                                  : "contiguous",
                 fit->folds.gap, a->penalties, a->shared ? "one for all" : "one a target");
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
                                        .n_threads = (size_t)a->n_threads,
                                        .n_block = (size_t)a->n_block,
                                        .progress = &fit->progress};
    const double *k_of_fold[PHI_FOLDS_MAX];
    struct phi_ridge_sink sink = ridge_model_sink(fit->model);
    struct phi_ridge_plan *plan;
    enum ph_status status;

    for (size_t f = 0; f < fit->folds.n_folds; f++)
        k_of_fold[f] = fit->k_of_fold[f];
    status = phi_ridge_plan_dual(fit->k, fit->k_of_fold[0] ? k_of_fold : NULL, fit->n, &options,
                                 &plan, reterr);
    if (status)
        return status;
    status = phi_ridge_fit(plan, &fit->target_columns, &sink, report, reterr);
    phi_ridge_plan_destroy(&plan);
    return status;
}

static enum ph_status write_model(struct ridge_fit *fit, struct phi_ridge_report *report,
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

    describe(fit, how, sizeof how);
    status = ridge_model_create(&from, &fit->model, reterr);
    if (!status)
        status = solve(fit, report, reterr);
    return status ? status : ridge_model_commit(fit->model, reterr);
}

static size_t count_kept(const struct ridge_fit *fit)
{
    size_t n = 0;

    for (size_t j = 0; j < fit->voxels.q; j++)
        n += fit->scale[j] > 0;
    return n;
}

static int print_report(const struct ridge_fit *fit, const struct phi_ridge_report *report)
{
    size_t t = fit->targets.t;
    const float *r2 = ridge_model_cv_r2(fit->model), *lambda = ridge_model_lambda(fit->model);
    double *sorted = phi_calloc(2 * t, sizeof *sorted);
    double unit = phi_gram_mean_diagonal(fit->k, fit->n);
    json_t *json;

    for (size_t k = 0; sorted && k < t; k++) {
        sorted[k] = (double)r2[k];
        sorted[t + k] = (double)lambda[k] / unit;
    }
    if (!sorted)
        return CLI_TRY_LATER;
    phi_sort_doubles(sorted, t);
    phi_sort_doubles(sorted + t, t);
    json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "model", fit->args->out,
                     "samples", (json_int_t)fit->n, "voxels", (json_int_t)count_kept(fit),
                     "targets", (json_int_t)t, "constant_targets", (json_int_t)report->n_constant,
                     "cv_r2_mean", report->mean_cv_r2, "cv_r2_median",
                     phi_quantile_sorted(sorted, t, 0.5), "cv_r2_best", sorted[t - 1],
                     "penalty_median", phi_quantile_sorted(sorted + t, t, 0.5));
    if (fit->args->json)
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
    else
        printf("%s: %zu targets from %zu voxels, %zu samples\nout-of-fold R2: mean %.4f, median "
               "%.4f, best %.4f\nmedian penalty: %.3g times the mean variance",
               fit->args->out, t, count_kept(fit), fit->n, report->mean_cv_r2,
               phi_quantile_sorted(sorted, t, 0.5), sorted[t - 1],
               phi_quantile_sorted(sorted + t, t, 0.5));
    (void)putchar('\n');
    json_decref(json);
    phi_free(sorted);
    return CLI_DONE;
}

static void free_fit(struct ridge_fit *fit)
{
    for (size_t f = 0; f < PHI_FOLDS_MAX; f++)
        phi_free(fit->k_of_fold[f]);
    phi_free(fit->k);
    phi_free(fit->mean);
    phi_free(fit->scale);
    phi_free(fit->keep);
    phi_free(fit->rows);
    phi_free(fit->file_rows);
    ridge_model_destroy(&fit->model);
    fit_targets_close(&fit->targets);
    fit_voxels_free(&fit->voxels);
    phi_registry_destroy(&fit->registry);
}

static int run_fit(const struct ridge_args *args)
{
    struct ridge_fit fit = {.args = args};
    struct phi_ridge_report report = {0};
    struct ph_error err;
    enum ph_status status;
    int code;

    fit.progress = (struct phi_progress){show_progress, &fit};
    status = parse_lags(args->lags, &fit, &err);
    if (!status)
        status = parse_penalties(args->penalties, &fit, &err);
    if (!status)
        status = open_inputs(&fit, &err);
    if (!status)
        status = prepare(&fit, &err);
    if (!status)
        status = write_model(&fit, &report, &err);
    cli_progress_end();
    if (status == PH_E_INVAL)
        code = cli_fail_as(CLI_DATA, &err);
    else
        code = status ? cli_fail(&err) : print_report(&fit, &report);
    free_fit(&fit);
    return code;
}

static int check_args(const struct cli_command *self, const struct ridge_args *a)
{
    if (!a->targets || !a->out)
        return cli_usage(self, "--targets and --out are needed");
    if (a->run && (a->voxels || a->drift_s > 0))
        return cli_usage(self, "--run takes --bold runs, and its filters remove the drifts");
    if ((a->bold.n > 0) == (a->voxels != NULL))
        return cli_usage(self, "give either --bold runs or a --voxels matrix");
    if (a->n_folds < 2 || a->n_folds > PHI_FOLDS_MAX || a->gap < 0)
        return cli_usage(self, "--folds must be 2 to %d and --gap not below 0", PHI_FOLDS_MAX);
    if (a->n_top < 0 || a->n_threads < 0 || a->n_block < 0 || !(a->drift_s >= 0))
        return cli_usage(self, "--top, --threads, --block and --drift must not be below 0");
    if (a->dual && strchr(a->lags, ','))
        return cli_usage(self, "--dual works with a single lag");
    if (a->dual && a->float64)
        return cli_usage(self, "--dual and --float64 do not go together");
    return -1;
}

static int run_ridge(const struct cli_command *self, int argc, char **argv)
{
    struct ridge_args a = {
        .tensor = "targets", .lags = "0", .penalties = "-1:6:15", .n_folds = 5, .min_r2 = -1};
    const struct cli_option options[] = {
        {CLI_LIST, "bold", &a.bold, "FILE", "a BOLD run (NIfTI); repeat for more runs"},
        {CLI_TEXT, "run", &a.run, "RUN.yaml", "run file whose filters the volumes go through"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels to use; else the brain of the first run"},
        {CLI_TEXT, "voxels", &a.voxels, "FILE", "instead: safetensors with 'voxels' [n][q]"},
        {CLI_TEXT, "targets", &a.targets, "FILE", "safetensors with one row a volume"},
        {CLI_TEXT, "tensor", &a.tensor, "NAME", "the targets' tensor ('targets')"},
        {CLI_TEXT, "out", &a.out, "FILE", "the model file to write"},
        {CLI_TEXT, "estimates", &a.estimates, "FILE", "also write out-of-fold estimates there"},
        {CLI_TEXT, "lags", &a.lags, "N,N", "decode a moment from the volumes this much later (0)"},
        {CLI_REAL, "drift", &a.drift_s, "S", "remove drifts slower than S seconds (0: none)"},
        {CLI_TEXT, "penalties", &a.penalties, "A:B:N", "powers of ten of the mean variance"},
        {CLI_INT, "folds", &a.n_folds, "N", "contiguous folds (5)"},
        {CLI_INT, "gap", &a.gap, "N", "volumes left out either side of a test block (0)"},
        {CLI_TEXT, "fold-starts", &a.fold_starts, "N,N", "folds that begin at these volumes"},
        {CLI_BOOL, "leave-run-out", &a.leave_run_out, NULL, "one fold a run"},
        {CLI_BOOL, "shared", &a.shared, NULL, "one penalty for all targets"},
        {CLI_BOOL, "one-sd", &a.one_sd, NULL, "the largest penalty within one sd of the best"},
        {CLI_INT, "top", &a.n_top, "N", "keep the N voxels the targets predict best, per fold"},
        {CLI_REAL, "min-r2", &a.min_r2, "X", "or those with out-of-fold R2 above X"},
        {CLI_BOOL, "raw", &a.raw, NULL, "do not standardise voxels"},
        {CLI_BOOL, "dual", &a.dual, NULL, "keep dual coefficients: smaller for many targets"},
        {CLI_BOOL, "float64", &a.float64, NULL, "products in float64"},
        {CLI_BOOL, "allow-constant", &a.allow_constant, NULL, "ignore constant voxels and targets"},
        {CLI_INT, "threads", &a.n_threads, "N", "threads (0: one a processor)"},
        {CLI_INT, "block", &a.n_block, "N", "targets read at once (4096)"},
        CLI_PLUGINS(&a.plugins),
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n)
        return cli_usage(self, "'%s' is not expected", rest.operands[0]);
    code = check_args(self, &a);
    return code >= 0 ? code : run_fit(&a);
}

const struct cli_command fit_ridge = {
    .name = "fit ridge",
    .summary = "voxels to features, one penalty a feature",
    .operands = "",
    .text =
        "Ridge regression from BOLD volumes to the features of what was shown, in the dual "
        "form, with\nthe penalty of each feature chosen over contiguous folds. Targets are read "
        "and weights written\nin blocks, so neither needs to fit into memory. With --run the "
        "volumes first go through "
        "the filters\nof a run file, as decoder/ridge will see them live.",
    .examples = "phos fit ridge --bold run-1.nii.gz --bold run-2.nii.gz --drift 128 --lags 3 "
                "--leave-run-out --targets latents.safetensors --out ridge.safetensors\n"
                "phos fit ridge --voxels x.safetensors --targets r1.safetensors --shared --dual "
                "--out r1-ridge.safetensors",
    .run = run_ridge,
};
