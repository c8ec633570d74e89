/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/resample.h"
#include "fit/fit.h"
#include "fit/ridge.h"
#include "types.h"

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

    if (fit->team && fit->team->base.rank)
        return;
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
static size_t count_kept(const struct ridge_fit *fit)
{
    const double *scale = fit->team ? spread_scale(fit->spread) : fit->scale;
    size_t n = 0;

    for (size_t j = 0; j < fit->voxels.q_all; j++)
        n += scale[j] > 0;
    return n;
}

static int print_report(const struct ridge_fit *fit, const struct phi_ridge_report *report)
{
    size_t t = fit->targets.t;
    const float *r2 = ridge_model_cv_r2(fit->model), *lambda = ridge_model_lambda(fit->model);
    double *sorted = phi_calloc(2 * t, sizeof *sorted);
    json_t *json;

    for (size_t k = 0; sorted && k < t; k++) {
        sorted[k] = (double)r2[k];
        sorted[t + k] = (double)lambda[k] / fit->unit;
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
    for (size_t b = 0; fit->k_of_band && b < fit->n_bands; b++)
        phi_free(fit->k_of_band[b]);
    phi_free(fit->k_of_band);
    phi_free(fit->band);
    phi_free(fit->share);
    phi_free(fit->k);
    phi_free(fit->mean);
    phi_free(fit->scale);
    phi_free(fit->keep);
    phi_free(fit->rows);
    phi_free(fit->file_rows);
    if (!fit->team)
        ridge_model_destroy(&fit->model);
    spread_destroy(&fit->spread);
    if (fit->team)
        fit->team->close(fit->team->base.ctx);
    fit_targets_close(&fit->targets);
    fit_voxels_free(&fit->voxels);
    phi_registry_destroy(&fit->registry);
}

/* Of several processes the first speaks, and has the exit code that mpirun gives back. */
static int finish(const struct ridge_fit *fit, enum ph_status status,
                  const struct phi_ridge_report *report, struct ph_error *err)
{
    bool speaks = !fit->team || fit->team->base.rank == 0;

    if (!speaks)
        return CLI_DONE;
    if (status == PH_E_INVAL || status == PH_E_STATE)
        return cli_fail_as(CLI_DATA, err);
    return status ? cli_fail(err) : print_report(fit, report);
}

static int run_fit(const struct ridge_args *args)
{
    struct ridge_fit fit = {.args = args};
    struct phi_ridge_report report = {0};
    struct ph_error err;
    enum ph_status status;
    int code;

    fit.progress = (struct phi_progress){show_progress, &fit};
    if (args->mpi) {
        status = fit_team_open(&fit.own_team, &err);
        if (status)
            return cli_fail_as(CLI_UNAVAILABLE, &err);
        fit.team = &fit.own_team;
    }
    status = ridge_parse(&fit, &err);
    status = fit_team_agree(fit.team, status, &err);
    if (!status)
        status = ridge_open_inputs(&fit, &err);
    if (!status)
        status = ridge_read_bands(&fit, &err);
    if (!status)
        status = ridge_prepare(&fit, &err);
    if (!status && fit.n_bands)
        status = ridge_band_grams(&fit, &err);
    if (!status)
        status = ridge_write(&fit, &report, &err);
    cli_progress_end();
    code = finish(&fit, status, &report, &err);
    free_fit(&fit);
    return code;
}

/* Number of `text` in names, which end with NULL; -1: none of them. */
static int place_of(const char *const *names, const char *text)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

/* What goes with which form. */
static int check_form(const struct cli_command *self, struct ridge_args *a)
{
    static const char *const forms[] = {"auto", "dual", "primal", "svd", NULL};
    static const char *const ways[] = {"kfold", "loo", "gcv", NULL};
    int form = place_of(forms, a->form_name), way = place_of(ways, a->choose_name);
    bool selecting = a->n_top > 0 || a->min_r2 > -1, dual_only = a->mpi || a->bands || selecting;

    if (form < 0 || way < 0)
        return cli_usage(self,
                         "--form is auto, dual, primal or svd; --choose is kfold, loo or gcv");
    a->form = (enum ridge_form)form;
    a->choose = (enum ridge_choose)way;
    if (a->choose != RIDGE_KFOLD && a->form == RIDGE_AUTO)
        a->form = RIDGE_SVD;
    if (a->choose != RIDGE_KFOLD && a->form != RIDGE_SVD)
        return cli_usage(self, "--choose loo and gcv go with --form svd");
    if (a->choose != RIDGE_KFOLD && (a->one_sd || a->estimates || a->fold_starts))
        return cli_usage(self, "--one-sd, --estimates and --fold-starts need folds");
    if (a->separate && (!a->voxels || strcmp(a->lags, "0") != 0))
        return cli_usage(self,
                         "--separate is for a --voxels matrix whose rows are trials, no lags");
    if (a->form > RIDGE_DUAL && (a->dual || dual_only))
        return cli_usage(self, "--dual, --mpi, --bands, --top and --min-r2 need the dual form");
    if (a->form == RIDGE_SVD && a->estimates)
        return cli_usage(self, "--estimates do not go with --form svd");
    if (a->bands && (a->mpi || a->dual || selecting || a->shared || a->one_sd || a->estimates))
        return cli_usage(self, "--bands goes without --mpi, --dual, --top, --min-r2, --shared, "
                               "--one-sd and --estimates");
    if (a->n_draws < 1 || a->n_draws > 100000 || a->seed < 0)
        return cli_usage(self, "--draws must be 1 to 100000 and --seed not below 0");
    return -1;
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
    if (a->mpi && (a->n_top > 0 || a->min_r2 > -1))
        return cli_usage(self, "--mpi does not select voxels: give a --mask instead");
    if (a->dual && a->float64)
        return cli_usage(self, "--dual and --float64 do not go together");
    return -1;
}

static int run_ridge(const struct cli_command *self, int argc, char **argv)
{
    struct ridge_args a = {.tensor = "targets",
                           .lags = "0",
                           .penalties = "-1:6:15",
                           .form_name = "auto",
                           .choose_name = "kfold",
                           .n_folds = 5,
                           .n_draws = 100,
                           .min_r2 = -1};
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
        {CLI_TEXT, "form", &a.form_name, "FORM", "auto, dual, primal or svd (auto)"},
        {CLI_TEXT, "choose", &a.choose_name, "WAY", "penalties by kfold, loo or gcv (kfold)"},
        {CLI_BOOL, "separate", &a.separate, NULL, "rows are trials apart: allows loo and gcv"},
        {CLI_TEXT, "bands", &a.bands, "FILE", "a penalty a band: labels of the voxels, or 'lags'"},
        {CLI_INT, "draws", &a.n_draws, "N", "shares of the bands to try (100)"},
        {CLI_INT, "seed", &a.seed, "N", "of those draws (0)"},
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
        {CLI_BOOL, "mpi", &a.mpi, NULL, "spread over the processes that mpirun started"},
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
    if (code < 0)
        code = check_form(self, &a);
    return code >= 0 ? code : run_fit(&a);
}

const struct cli_command fit_ridge = {
    .name = "fit ridge",
    .summary = "voxels to features, one penalty a feature",
    .operands = "",
    .text =
        "Ridge regression from BOLD volumes to the features of what was shown, with the penalty "
        "of\n"
        "each feature (or one for all) chosen over contiguous folds. Targets are read and weights\n"
        "written in blocks, so neither needs to fit into memory. With --run the volumes first go\n"
        "through the filters of a run file, as decoder/ridge will see them live. Features to "
        "voxels\n"
        "is the same command with the two exchanged and --lags below zero.\n\n"
        "With --mpi under mpirun each process holds a part of the voxels and fits a part of the\n"
        "targets; the first writes the file. Processes of one machine share its processors unless\n"
        "--threads says otherwise.",
    .examples = "phos fit ridge --bold run-1.nii.gz --bold run-2.nii.gz --drift 128 --lags 3 "
                "--leave-run-out --targets latents.safetensors --out ridge.safetensors\n"
                "phos fit ridge --voxels x.safetensors --targets r1.safetensors --shared --dual "
                "--out r1-ridge.safetensors\n"
                "mpirun -n 4 phos fit ridge --mpi --voxels x.safetensors --targets r1.safetensors "
                "--shared --dual --out r1-ridge.safetensors",
    .run = run_ridge,
};
