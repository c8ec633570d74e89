/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/gauss_score.h"
#include "eval/eval.h"
#include "eval/plot.h"
#include "eval/scores.h"
#include "io/safetensors.h"

#define MAX_LAGS 128
#define N_LEVELS 10

struct feature_args {
    const char *estimate, *truth, *tensor, *out;
    double tr_s;
    int64_t n_draws, seed, n_way;
    bool json;
};

/* The files' content and the scores of each lag. */
struct feature_eval {
    const struct feature_args *args;
    size_t n_lags, n, p;
    float *estimate, *sd; /* [n_lags][n][p]; sd NULL if the file has none */
    float *truth;         /* [n][p] */
    double lag_s[MAX_LAGS];
    struct eval_scores *scores; /* [n_lags] */
};

static void free_eval(struct feature_eval *e)
{
    phi_free(e->estimate);
    phi_free(e->sd);
    phi_free(e->truth);
    phi_free(e->scores);
}

/* "estimate" is [n][p] or [lags][n][p]. */
static enum ph_status read_estimate(const struct phi_safetensors *file, struct feature_eval *e,
                                    struct ph_error *reterr)
{
    const struct phi_safetensors_tensor *tensor = phi_safetensors_find(file, "estimate");
    const struct phi_safetensors_tensor *lags = phi_safetensors_find(file, "lags_s");
    const size_t any[3] = {0, 0, 0};
    size_t n_dims = tensor && tensor->n_dims == 2 ? 2 : 3, shape[3];
    enum ph_status status = phi_safetensors_expect(file, "estimate", n_dims, any, &tensor, reterr);

    if (status)
        return status;
    e->n_lags = n_dims == 3 ? tensor->shape[0] : 1;
    e->n = tensor->shape[n_dims - 2];
    e->p = tensor->shape[n_dims - 1];
    memcpy(shape, tensor->shape, n_dims * sizeof *shape);
    if (e->n_lags > MAX_LAGS || !e->n_lags || (lags && lags->n_values != e->n_lags))
        return phi_error(reterr, PH_E_SHAPE, "%s: %zu lags; 'lags_s' must have as many, at most %d",
                         phi_safetensors_path(file), e->n_lags, MAX_LAGS);
    for (size_t l = 0; l < e->n_lags; l++)
        e->lag_s[l] = (double)l * (e->args->tr_s > 0 ? e->args->tr_s : 1);
    if (lags)
        status = phi_safetensors_read_f64(file, lags, e->n_lags, e->lag_s, reterr);
    if (!status)
        status = phi_safetensors_load_f32(file, "estimate", n_dims, shape, &e->estimate, reterr);
    if (!status && phi_safetensors_find(file, "sd"))
        status = phi_safetensors_load_f32(file, "sd", n_dims, shape, &e->sd, reterr);
    return status;
}

static enum ph_status load(struct feature_eval *e, struct ph_error *reterr)
{
    struct phi_safetensors *file = NULL;
    size_t shape[2];
    enum ph_status status = phi_safetensors_open(e->args->estimate, &file, reterr);

    if (!status)
        status = read_estimate(file, e, reterr);
    phi_safetensors_close(&file);
    if (status)
        return status;
    shape[0] = e->n;
    shape[1] = e->p;
    status = phi_safetensors_open(e->args->truth, &file, reterr);
    if (!status)
        status = phi_safetensors_load_f32(file, e->args->tensor, 2, shape, &e->truth, reterr);
    phi_safetensors_close(&file);
    return status;
}

/* 30 s, in rows. */
static size_t rows_of_30_s(double tr_s)
{
    return (size_t)ceil(30 / tr_s);
}

static enum ph_status score_lags(struct feature_eval *e, struct ph_error *reterr)
{
    const struct feature_args *a = e->args;
    bool series = a->tr_s > 0;
    struct eval_options options = {.min_shift = series ? rows_of_30_s(a->tr_s) : 0,
                                   .n_block = series ? rows_of_30_s(a->tr_s) : 1,
                                   .n_draws = (size_t)a->n_draws,
                                   .seed = (uint64_t)a->seed,
                                   .n_way = (size_t)a->n_way};
    enum ph_status status = PH_OK;

    e->scores = phi_calloc(e->n_lags, sizeof *e->scores);
    if (!e->scores)
        return phi_error_nomem(reterr, "scores", e->n_lags * sizeof *e->scores);
    for (size_t l = 0; !status && l < e->n_lags; l++) {
        size_t at = l * e->n * e->p;
        struct eval_data data = {e->estimate + at, e->sd ? e->sd + at : NULL, e->truth, e->n, e->p};

        cli_progress("scores", l, e->n_lags);
        status = eval_scores_compute(&data, &options, &e->scores[l], reterr);
        if (status)
            (void)phi_error_prefix(reterr, "lag %g s", e->lag_s[l]);
    }
    cli_progress_end();
    return status;
}

/* The first lag whose feature correlation is 90 % of the last one's; NaN if that is not above 0. */
static double delay_to_90(const struct feature_eval *e)
{
    double last = eval_scores_find(&e->scores[e->n_lags - 1], "feature_r")->value;

    for (size_t l = 0; last > 0 && l < e->n_lags; l++)
        if (eval_scores_find(&e->scores[l], "feature_r")->value >= 0.9 * last)
            return e->lag_s[l];
    return (double)NAN;
}

static json_t *make_report(const struct feature_eval *e)
{
    json_t *lags = json_array();
    double delay = delay_to_90(e);
    json_t *report =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "estimate", e->args->estimate,
                  "truth", e->args->truth, "null",
                  e->args->tr_s > 0
                      ? "circular shifts of the truth by 30 s or more; intervals from 30 s blocks"
                      : "shuffled pairing; intervals from resampled rows",
                  "rows", (json_int_t)e->n, "features", (json_int_t)e->p, "draws",
                  (json_int_t)e->args->n_draws, "seed", (json_int_t)e->args->seed, "lags", lags);

    for (size_t l = 0; l < e->n_lags; l++)
        (void)json_array_append_new(lags, json_pack("{s:f, s:o}", "lag_s", e->lag_s[l], "scores",
                                                    eval_scores_json(&e->scores[l])));
    if (isfinite(delay))
        (void)json_object_set_new(report, "delay_to_90_percent_s", json_real(delay));
    return report;
}

/* One score over the lags, with its band and its chance as curves. */
struct lag_curve {
    double y[MAX_LAGS], low[MAX_LAGS], high[MAX_LAGS], level[MAX_LAGS];
};

static void fill_curve(const struct feature_eval *e, const char *name, bool q95,
                       struct lag_curve *curve)
{
    for (size_t l = 0; l < e->n_lags; l++) {
        const struct eval_score *s = eval_scores_find(&e->scores[l], name);

        curve->y[l] = s->value;
        curve->low[l] = s->low;
        curve->high[l] = s->high;
        curve->level[l] = q95 ? s->null_q95 : s->chance;
    }
}

static enum ph_status plot_scores(const struct feature_eval *e, const char *const *names, bool q95,
                                  const char *title, const char *file, struct ph_error *reterr)
{
    struct lag_curve curves[2];
    struct plot_curve drawn[4];
    struct plot plot = {.title = title,
                        .x_label = "delay after the moment (s)",
                        .y_label = q95 ? "correlation" : "share identified",
                        .curves = drawn};
    char path[1024];

    for (size_t c = 0; c < 2 && eval_scores_find(&e->scores[0], names[c]); c++) {
        fill_curve(e, names[c], q95, &curves[c]);
        drawn[plot.n_curves++] = (struct plot_curve){
            names[c], e->lag_s, curves[c].y, curves[c].low, curves[c].high, e->n_lags, false};
    }
    for (size_t c = 0, n = plot.n_curves; c < n; c++)
        drawn[plot.n_curves++] = (struct plot_curve){c ? "" : q95 ? "chance, 95 %" : "chance",
                                                     e->lag_s,
                                                     curves[c].level,
                                                     NULL,
                                                     NULL,
                                                     e->n_lags,
                                                     true};
    if (snprintf(path, sizeof path, "%s/%s", e->args->out, file) >= (int)sizeof path)
        return phi_error(reterr, PH_E_INVAL, "the path %s is too long", e->args->out);
    return plot_write(&plot, path, reterr);
}

/* Nominal against true coverage at the last lag, and at the first where there are several. */
static enum ph_status plot_calibration(const struct feature_eval *e, struct ph_error *reterr)
{
    double level[N_LEVELS], first[N_LEVELS], last[N_LEVELS];
    const struct plot_curve drawn[] = {{"last delay", level, last, NULL, NULL, N_LEVELS, false},
                                       {"first delay", level, first, NULL, NULL, N_LEVELS, false},
                                       {"honest", level, level, NULL, NULL, N_LEVELS, true}};
    struct plot plot = {.title = "Calibration",
                        .x_label = "interval said to hold",
                        .y_label = "share of truths inside",
                        .curves = drawn,
                        .n_curves = 3,
                        .y_min = 0,
                        .y_max = 1};
    size_t m = e->n * e->p, at = (e->n_lags - 1) * m;
    char path[1024];

    for (size_t i = 0; i < N_LEVELS; i++) {
        double z;

        level[i] = 0.05 + 0.1 * (double)i;
        z = phi_gauss_z(level[i]);
        first[i] = phi_gauss_coverage(&(struct phi_gauss_pair){e->estimate, e->sd, e->truth, m}, z);
        last[i] = phi_gauss_coverage(
            &(struct phi_gauss_pair){e->estimate + at, e->sd + at, e->truth, m}, z);
    }
    if (snprintf(path, sizeof path, "%s/calibration.png", e->args->out) >= (int)sizeof path)
        return phi_error(reterr, PH_E_INVAL, "the path %s is too long", e->args->out);
    return plot_write(&plot, path, reterr);
}

static enum ph_status write_plots(const struct feature_eval *e, struct ph_error *reterr)
{
    char n_way[32];
    const char *const correlations[] = {"feature_r", "pattern_r"};
    const char *const identifications[] = {"two_way", n_way};
    size_t way = (size_t)e->args->n_way < e->n ? (size_t)e->args->n_way : e->n;
    enum ph_status status;

    (void)snprintf(n_way, sizeof n_way, "%zu_way", way);
    status = plot_scores(e, correlations, true, "Correlation", "correlation.png", reterr);
    if (!status)
        status =
            plot_scores(e, identifications, false, "Identification", "identification.png", reterr);
    return !status && e->sd ? plot_calibration(e, reterr) : status;
}

static enum ph_status write_report(const struct feature_eval *e, const json_t *report,
                                   struct ph_error *reterr)
{
    char path[1024];

    if (mkdir(e->args->out, 0777) != 0 && errno != EEXIST)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make the folder %s", e->args->out);
    if (snprintf(path, sizeof path, "%s/report.json", e->args->out) >= (int)sizeof path)
        return phi_error(reterr, PH_E_INVAL, "the path %s is too long", e->args->out);
    if (json_dump_file(report, path, JSON_INDENT(2)) != 0)
        return phi_error(reterr, PH_E_IO, "cannot write %s", path);
    return write_plots(e, reterr);
}

static void print_table(const struct feature_eval *e)
{
    for (size_t l = 0; l < e->n_lags; l++) {
        printf("delay %g s\n", e->lag_s[l]);
        for (size_t i = 0; i < e->scores[l].n; i++) {
            const struct eval_score *s = &e->scores[l].scores[i];

            printf("  %-20s %8.4f", s->name, s->value);
            if (isfinite(s->chance))
                printf("  chance %.4f", s->chance);
            if (isfinite(s->low))
                printf("  95 %% interval %.4f to %.4f", s->low, s->high);
            if (isfinite(s->p))
                printf("  p %.4f", s->p);
            printf("\n");
        }
    }
}

static int run_eval(const struct feature_args *args)
{
    struct feature_eval e = {.args = args};
    json_t *report = NULL;
    struct ph_error err;
    enum ph_status status = load(&e, &err);
    int code = CLI_DONE;

    if (!status)
        status = score_lags(&e, &err);
    if (!status) {
        report = make_report(&e);
        if (args->out)
            status = write_report(&e, report, &err);
    }
    if (status == PH_E_INVAL)
        code = cli_fail_as(CLI_DATA, &err);
    else if (status)
        code = cli_fail(&err);
    else if (args->json)
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
    else
        print_table(&e);
    json_decref(report);
    free_eval(&e);
    return code;
}

static int run_features(const struct cli_command *self, int argc, char **argv)
{
    struct feature_args a = {.tensor = "targets", .n_draws = 1000, .n_way = 10};
    const struct cli_option options[] = {
        {CLI_TEXT, "estimate", &a.estimate, "FILE",
         "'estimate' [n][p] or [lags][n][p], 'sd', 'lags_s'"},
        {CLI_TEXT, "truth", &a.truth, "FILE", "safetensors with the truth, [n][p]"},
        {CLI_TEXT, "tensor", &a.tensor, "NAME", "the truth's tensor ('targets')"},
        {CLI_REAL, "series", &a.tr_s, "TR", "rows are volumes TR seconds apart, not trials"},
        {CLI_INT, "n-way", &a.n_way, "N", "candidates of the second identification score (10)"},
        {CLI_INT, "draws", &a.n_draws, "N", "draws of nulls and intervals (1000)"},
        {CLI_INT, "seed", &a.seed, "N", "of the draws (0)"},
        {CLI_TEXT, "out", &a.out, "DIR", "write report.json and plots there"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n)
        return cli_usage(self, "'%s' is not expected", rest.operands[0]);
    if (!a.estimate || !a.truth)
        return cli_usage(self, "--estimate and --truth are needed");
    if (a.n_draws < 1 || a.n_way < 2 || !(a.tr_s >= 0))
        return cli_usage(self, "--draws must be 1 or more, --n-way 2 or more, --series above 0");
    return run_eval(&a);
}

const struct cli_command eval_features = {
    .name = "eval features",
    .summary = "decoded features against the true ones, at each delay",
    .operands = "",
    .text =
        "Correlation of features and patterns, R2, identification, and where the estimate has an "
        "sd, NLL\nand coverage. Trials are tested by shuffling the pairing; volumes (--series) "
        "by circular shifts,\nsince neighbours are alike.",
    .examples = "phos eval features --estimate decoded.safetensors --truth latents.safetensors "
                "--series 1 --out report",
    .run = run_features,
};
