/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/resample.h"
#include "eval/block_data.h"
#include "eval/eval.h"
#include "eval/plot.h"

struct block_args {
    struct cli_list bold;
    const char *mask, *events, *out;
    double drift_s, delay_s, gap_s;
    int64_t n_top, n_lags, n_draws, seed;
    bool json;
};

struct block_eval {
    const struct block_args *args;
    struct blocks blocks;
    struct fit_voxels voxels;
    double *whole, *course; /* [n][n], [n_lags][n][n] */
    const double *sim;      /* [n][n] under test */
    double lag_s[BLOCKS_MAX_LAG], two_way[BLOCKS_MAX_LAG], q95[BLOCKS_MAX_LAG];
    double margin[BLOCKS_MAX_LAG], low[BLOCKS_MAX_LAG], high[BLOCKS_MAX_LAG];
};

/* Mean similarity of block i to the other blocks of a label, the labels being re-dealt by order. */
static double to_label(const struct block_eval *e, const uint32_t *order, size_t i, size_t label)
{
    double sum = 0;
    size_t n = 0;

    for (size_t j = 0; j < e->blocks.n; j++)
        if (j != i && e->blocks.items[order[j]].label == label) {
            sum += e->sim[i * e->blocks.n + j];
            n++;
        }
    return n ? sum / (double)n : -1;
}

/* Share of wrong labels that block i is less like than its own. */
static double block_two_way(const struct block_eval *e, const uint32_t *order, size_t i)
{
    size_t own = e->blocks.items[order[i]].label;
    double mine = to_label(e, order, i, own), n_right = 0;

    for (size_t l = 0; l < e->blocks.n_labels; l++)
        n_right += l != own && mine > to_label(e, order, i, l);
    return n_right / (double)(e->blocks.n_labels - 1);
}

static double two_way(void *ctx, const uint32_t *order, size_t n)
{
    const struct block_eval *e = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += block_two_way(e, order, i);
    return sum / (double)n;
}

static double accuracy(void *ctx, const uint32_t *order, size_t n)
{
    const struct block_eval *e = ctx;
    size_t n_right = 0;

    for (size_t i = 0; i < n; i++)
        n_right += block_two_way(e, order, i) > 1 - 0.5 / (double)e->blocks.n_labels;
    return (double)n_right / (double)n;
}

/* Similarity to the own label less the mean over the others, over the blocks drawn. */
static double margin(void *ctx, const uint32_t *drawn, size_t n)
{
    const struct block_eval *e = ctx;
    uint32_t order[BLOCKS_MAX];
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        size_t own = e->blocks.items[drawn[i]].label;

        for (size_t l = 0; l < e->blocks.n_labels; l++)
            sum += l == own ? to_label(e, order, drawn[i], l)
                            : -to_label(e, order, drawn[i], l) / (double)(e->blocks.n_labels - 1);
    }
    return sum / (double)n;
}

static enum ph_status load(struct block_eval *e, struct ph_error *reterr)
{
    const struct block_args *a = e->args;
    struct fit_voxels_from from = {.bold = &a->bold, .mask = a->mask, .drift_s = a->drift_s};
    struct phi_events events = {0};
    enum ph_status status = phi_events_read(a->events, &events, reterr);

    if (!status)
        status = blocks_from_events(&events, a->gap_s, &e->blocks, reterr);
    phi_events_free(&events);
    if (!status)
        status = fit_voxels_load(&from, &e->voxels, reterr);
    if (!status && !(e->voxels.tr_s > 0))
        return phi_error(reterr, PH_E_INVAL, "%s tells no TR", a->bold.items[0]);
    return status;
}

static enum ph_status compare(struct block_eval *e, struct ph_error *reterr)
{
    struct block_options options = {(size_t)e->args->n_top, e->args->delay_s,
                                    (size_t)e->args->n_lags};
    size_t n = e->blocks.n;

    e->whole = phi_calloc2(n, n, sizeof *e->whole);
    e->course = phi_calloc2(options.n_lags * n, n, sizeof *e->course);
    if (!e->whole || !e->course)
        return phi_error_nomem(reterr, "block similarities", n * n * sizeof *e->whole);
    return blocks_compare(&e->blocks, &e->voxels, &options, e->whole, e->course, reterr);
}

/* Scores at every lag, for the plots. */
static enum ph_status score_course(struct block_eval *e, struct ph_error *reterr)
{
    size_t n = e->blocks.n;
    enum ph_status status = PH_OK;

    for (size_t l = 0; !status && l < (size_t)e->args->n_lags; l++) {
        struct phi_resample what = {two_way, e, n, (size_t)e->args->n_draws,
                                    (uint64_t)e->args->seed};
        struct phi_null null;
        struct phi_interval ci;

        e->sim = e->course + l * n * n;
        status = phi_null_permute(&what, &null, reterr);
        what.score = margin;
        if (!status)
            status = phi_bootstrap(&what, 1, 0.95, &ci, reterr);
        if (status)
            break;
        e->lag_s[l] = (double)l * e->voxels.tr_s;
        e->two_way[l] = null.score;
        e->q95[l] = null.q95;
        e->margin[l] = ci.score;
        e->low[l] = ci.low;
        e->high[l] = ci.high;
    }
    return status;
}

static enum ph_status score_whole(struct block_eval *e, json_t *report, struct ph_error *reterr)
{
    struct phi_resample what = {two_way, e, e->blocks.n, (size_t)e->args->n_draws,
                                (uint64_t)e->args->seed};
    struct phi_null pairs, all;
    enum ph_status status;

    e->sim = e->whole;
    status = phi_null_permute(&what, &pairs, reterr);
    what.score = accuracy;
    if (!status)
        status = phi_null_permute(&what, &all, reterr);
    if (status)
        return status;
    return json_object_update_new(
               report,
               json_pack("{s:I, s:I, s:I, s:{s:f, s:f, s:f, s:f}, s:{s:f, s:f, s:f, s:f}}",
                         "blocks", (json_int_t)e->blocks.n, "labels",
                         (json_int_t)e->blocks.n_labels, "voxels", (json_int_t)e->args->n_top,
                         "two_way", "value", pairs.score, "chance", 0.5, "p", pairs.p, "null_q95",
                         pairs.q95, "accuracy", "value", all.score, "chance",
                         1 / (double)e->blocks.n_labels, "p", all.p, "null_q95", all.q95)) == 0
               ? PH_OK
               : phi_error_nomem(reterr, "report", 0);
}

static json_t *course_json(const struct block_eval *e)
{
    json_t *course = json_array();

    for (size_t l = 0; l < (size_t)e->args->n_lags && isfinite(e->margin[l]); l++)
        (void)json_array_append_new(
            course, json_pack("{s:f, s:f, s:f, s:f, s:[f, f]}", "after_onset_s", e->lag_s[l],
                              "two_way", e->two_way[l], "null_q95", e->q95[l], "evidence",
                              e->margin[l], "ci95", e->low[l], e->high[l]));
    return course;
}

static enum ph_status write_plots(const struct block_eval *e, struct ph_error *reterr)
{
    size_t n = (size_t)e->args->n_lags;
    const struct plot_curve evidence[] = {
        {"evidence for the shown label", e->lag_s, e->margin, e->low, e->high, n, false}};
    const struct plot_curve share[] = {{"two-way", e->lag_s, e->two_way, NULL, NULL, n, false},
                                       {"chance, 95 %", e->lag_s, e->q95, NULL, NULL, n, true}};
    const struct plot plots[] = {{"Evidence after onset, one volume at a time", "after onset (s)",
                                  "own less other similarity", evidence, 1, 0, 0},
                                 {"Two-way identification after onset", "after onset (s)",
                                  "share identified", share, 2, 0, 1}};
    const char *const names[] = {"evidence.png", "two_way.png"};
    enum ph_status status = PH_OK;
    char path[1024];

    for (size_t i = 0; !status && i < 2; i++)
        status = snprintf(path, sizeof path, "%s/%s", e->args->out, names[i]) < (int)sizeof path
                     ? plot_write(&plots[i], path, reterr)
                     : phi_error(reterr, PH_E_INVAL, "the path %s is too long", e->args->out);
    return status;
}

static enum ph_status write_report(const struct block_eval *e, const json_t *report,
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

static enum ph_status run_all(struct block_eval *e, json_t *report, struct ph_error *reterr)
{
    enum ph_status status = load(e, reterr);

    if (!status)
        status = compare(e, reterr);
    if (!status)
        status = score_whole(e, report, reterr);
    if (!status)
        status = score_course(e, reterr);
    if (status)
        return status;
    (void)json_object_set_new(report, "course", course_json(e));
    return e->args->out ? write_report(e, report, reterr) : PH_OK;
}

static void print_table(json_t *report)
{
    static const char *const names[] = {"two_way", "accuracy"};

    for (size_t i = 0; i < 2; i++) {
        json_t *one = json_object_get(report, names[i]);

        printf("%-10s %.3f  chance %.3f  p %.4f\n", names[i],
               json_real_value(json_object_get(one, "value")),
               json_real_value(json_object_get(one, "chance")),
               json_real_value(json_object_get(one, "p")));
    }
}

static int run_eval(const struct block_args *args)
{
    struct block_eval *e = phi_calloc(1, sizeof *e);
    json_t *report = json_object();
    struct ph_error err;
    enum ph_status status;
    int code = CLI_DONE;

    if (!e)
        return CLI_TRY_LATER;
    e->args = args;
    status = run_all(e, report, &err);
    if (status)
        code = status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err) : cli_fail(&err);
    else if (args->json)
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
    else
        print_table(report);
    json_decref(report);
    fit_voxels_free(&e->voxels);
    phi_free(e->whole);
    phi_free(e->course);
    phi_free(e);
    return code;
}

static int run_blocks(const struct cli_command *self, int argc, char **argv)
{
    struct block_args a = {
        .drift_s = 128, .delay_s = 4, .gap_s = 4, .n_top = 1500, .n_lags = 14, .n_draws = 1000};
    const struct cli_option options[] = {
        {CLI_LIST, "bold", &a.bold, "FILE", "the BOLD run (NIfTI)"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels to use; else the brain of the run"},
        {CLI_TEXT, "events", &a.events, "FILE", "events.tsv with trial_type"},
        {CLI_REAL, "drift", &a.drift_s, "S", "remove drifts slower than S seconds (128)"},
        {CLI_REAL, "delay", &a.delay_s, "S", "from stimulus to response (4)"},
        {CLI_REAL, "gap", &a.gap_s, "S", "events of a label nearer than this are one block (4)"},
        {CLI_INT, "top", &a.n_top, "N", "voxels most active in the other blocks (1500)"},
        {CLI_INT, "lags", &a.n_lags, "N", "volumes after onset to follow (14)"},
        {CLI_INT, "draws", &a.n_draws, "N", "draws of nulls and intervals (1000)"},
        {CLI_INT, "seed", &a.seed, "N", "of the draws (0)"},
        {CLI_TEXT, "out", &a.out, "DIR", "write report.json and plots there"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n || a.bold.n != 1 || !a.events)
        return cli_usage(self, "one --bold run and its --events are needed");
    if (a.n_top < 2 || a.n_lags < 1 || a.n_lags > BLOCKS_MAX_LAG || a.n_draws < 1)
        return cli_usage(self, "--top must be 2 or more, --lags 1 to %d, --draws 1 or more",
                         BLOCKS_MAX_LAG);
    return run_eval(&a);
}

const struct cli_command eval_blocks = {
    .name = "eval blocks",
    .summary = "which category a localizer block showed, leaving that block out",
    .operands = "",
    .text =
        "Correlates the pattern of each block with those of the others, with voxels chosen by "
        "activity in\nthe other blocks whatever their category, and follows the evidence volume "
        "by volume after onset.\nTested by dealing the labels anew.",
    .examples = "phos eval blocks --bold run.nii.gz --events events.tsv --out report",
    .run = run_blocks,
};
