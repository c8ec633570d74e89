/* SPDX-License-Identifier: MIT */
#include "eval/categories.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "eval/eval.h"
#include "io/file.h"
#include "types.h"

#define N_TAUS       25 /* half octaves from 1 to 4096 */
#define LEAST_TAIL_S 10 /* before, the response to a left-out block stands in training volumes */

struct category_args {
    struct cli_list bold, events, plugins;
    const char *run, *mask, *out, *noise;
    double ref, apart_s;
    int64_t n_permutations, seed, n_voxels, n_threads;
    struct block_options options;
    bool json;
};

struct category_eval {
    const struct category_args *args;
    struct fit_rows rows;
    struct blocks blocks;
    struct block_fold *folds; /* [blocks.n] */
    struct category_scores scores, shuffled;
    uint32_t label[BLOCKS_MAX];
    double null_mean, p;
    size_t n_null;
};

/* ---- what scores say ---- */

static const double *scores_at(const struct category_scores *s, size_t b, size_t t)
{
    return s->score + (b * s->n_steps + t) * s->blocks->n_categories;
}

double category_probability(const struct category_scores *scores, size_t b, size_t s, size_t k,
                            double tau)
{
    const double *score = scores_at(scores, b, s);
    double sum = 0;

    for (size_t j = 0; j < scores->blocks->n_categories; j++)
        sum += exp((score[j] - score[k]) / tau);
    return 1 / sum;
}

uint32_t category_said(const struct category_scores *scores, size_t b, size_t s)
{
    const double *score = scores_at(scores, b, s);
    uint32_t best = 0;

    for (uint32_t k = 1; k < scores->blocks->n_categories; k++)
        best = score[k] > score[best] ? k : best;
    return best;
}

double category_accuracy(const struct category_scores *scores, size_t s, const uint32_t *label)
{
    size_t right = 0, n = scores->blocks->n;

    for (size_t b = 0; b < n; b++)
        right += category_said(scores, b, s) == label[b];
    return (double)right / (double)n;
}

/* Log probability of the categories shown after every step, of all blocks but one. */
static double log_likelihood(const struct category_scores *s, size_t but, double tau)
{
    double sum = 0;

    for (size_t b = 0; b < s->blocks->n; b++)
        for (size_t t = 0; b != but && t < s->n_steps; t++)
            sum += log(category_probability(s, b, t, s->blocks->block[b].category, tau));
    return sum;
}

static double choose_tau(const struct category_scores *s, size_t but)
{
    double best = -INFINITY, best_tau = 1;

    for (size_t i = 0; i < N_TAUS; i++) {
        double tau = exp2(0.5 * (double)i), sum = log_likelihood(s, but, tau);

        if (sum > best) {
            best = sum;
            best_tau = tau;
        }
    }
    return best_tau;
}

/* ---- decoding ---- */

static enum ph_status make_scores(const struct category_eval *e, struct category_scores *s,
                                  struct ph_error *reterr)
{
    size_t n = e->blocks.n, least = SIZE_MAX;

    for (size_t b = 0; b < n; b++)
        least = e->folds[b].n_steps < least ? e->folds[b].n_steps : least;
    s->blocks = &e->blocks;
    s->n_steps = least;
    s->score = phi_calloc2(n * least, e->blocks.n_categories, sizeof *s->score);
    s->delay_s = phi_calloc(least, sizeof *s->delay_s);
    if (!s->score || !s->delay_s)
        return phi_error_nomem(reterr, "scores", n * least * sizeof *s->score);
    for (size_t b = 0; b < n; b++)
        for (size_t t = 0; t < least; t++)
            s->delay_s[t] +=
                (e->rows.at_s[e->folds[b].step[t]] - e->blocks.block[b].onset_s) / (double)n;
    return PH_OK;
}

static enum ph_status decode_all(const struct category_eval *e, const uint32_t *label,
                                 struct category_scores *s, struct ph_error *reterr)
{
    size_t k = e->blocks.n_categories;
    enum ph_status status = PH_OK;

    for (size_t b = 0; status == PH_OK && b < e->blocks.n; b++) {
        double *all = phi_calloc2(e->folds[b].n_steps, k, sizeof *all);

        if (!all)
            return phi_error_nomem(reterr, "scores", e->folds[b].n_steps * k * sizeof *all);
        status = block_fold_decode(&e->folds[b], label, all, reterr);
        memcpy(s->score + b * s->n_steps * k, all, s->n_steps * k * sizeof *all);
        phi_free(all);
        s->said[b] = category_said(s, b, s->n_steps - 1);
    }
    s->accuracy = category_accuracy(s, s->n_steps - 1, label);
    return status;
}

static enum ph_status make_null(struct category_eval *e, struct ph_error *reterr)
{
    size_t n = (size_t)e->args->n_permutations, as_good = 0;
    struct phi_rng rng;
    enum ph_status status = PH_OK;

    phi_rng_init(&rng, (uint64_t)e->args->seed, 0);
    for (size_t i = 0; status == PH_OK && i < n; i++) {
        uint32_t order[BLOCKS_MAX], label[BLOCKS_MAX];

        cli_progress("shuffled labels", i, n);
        if (cli_interrupted())
            return phi_error(reterr, PH_E_STATE, "interrupted");
        phi_rng_permutation(&rng, order, e->blocks.n);
        for (size_t b = 0; b < e->blocks.n; b++)
            label[b] = e->label[order[b]];
        status = decode_all(e, label, &e->shuffled, reterr);
        as_good += e->shuffled.accuracy >= e->scores.accuracy - 1e-9;
        e->null_mean += e->shuffled.accuracy / (double)n;
    }
    e->n_null = n;
    e->p = (double)(1 + as_good) / (double)(1 + n);
    return status;
}

static enum ph_status load(struct category_eval *e, struct ph_error *reterr)
{
    const struct category_args *a = e->args;
    struct phi_registry *registry = NULL;
    enum ph_status status = types_open(&a->plugins, &registry, reterr);

    if (status == PH_OK) {
        const struct fit_rows_from from = {.registry = registry,
                                           .run_file = a->run,
                                           .bold = &a->bold,
                                           .events = &a->events,
                                           .mask = a->mask,
                                           .ref = a->ref};

        status = fit_rows_load(&from, &e->rows, reterr);
    }
    phi_registry_destroy(&registry);
    if (status == PH_OK)
        status = blocks_find(&e->rows, a->apart_s, &e->blocks, reterr);
    if (status)
        return status;
    for (size_t b = 0; b < e->blocks.n; b++)
        e->label[b] = e->blocks.block[b].category;
    e->folds = phi_calloc(e->blocks.n, sizeof *e->folds);
    return e->folds ? PH_OK : phi_error_nomem(reterr, "folds", e->blocks.n * sizeof *e->folds);
}

static enum ph_status work(struct category_eval *e, struct ph_error *reterr)
{
    enum ph_status status = load(e, reterr);

    for (size_t b = 0; status == PH_OK && b < e->blocks.n; b++) {
        cli_progress("leaving out block", b + 1, e->blocks.n);
        status = block_fold_make(&e->rows, &e->blocks, &e->args->options, b, &e->folds[b], reterr);
    }
    if (status == PH_OK)
        status = make_scores(e, &e->scores, reterr);
    if (status == PH_OK)
        status = make_scores(e, &e->shuffled, reterr);
    if (status == PH_OK)
        status = decode_all(e, e->label, &e->scores, reterr);
    if (status)
        return status;
    for (size_t b = 0; b < e->blocks.n; b++)
        e->scores.tau[b] = choose_tau(&e->scores, b);
    return make_null(e, reterr);
}

/* ---- report ---- */

static json_t *block_json(const struct category_eval *e, size_t b)
{
    const struct category_scores *s = &e->scores;
    json_t *course = json_array();

    for (size_t t = 0; t < s->n_steps; t++)
        (void)json_array_append_new(
            course, json_real(category_probability(s, b, t, e->label[b], s->tau[b])));
    return json_pack("{s:f, s:s, s:s, s:f, s:f, s:o}", "onset_s", e->blocks.block[b].onset_s,
                     "shown", e->blocks.category[e->label[b]], "decoded",
                     e->blocks.category[s->said[b]], "noise_rho", e->folds[b].rho, "temperature",
                     s->tau[b], "probability_of_shown", course);
}

static json_t *confusion_json(const struct category_eval *e)
{
    json_t *rows = json_array();

    for (size_t k = 0; k < e->blocks.n_categories; k++) {
        json_t *row = json_array();

        for (size_t j = 0; j < e->blocks.n_categories; j++) {
            json_int_t count = 0;

            for (size_t b = 0; b < e->blocks.n; b++)
                count += e->label[b] == k && e->scores.said[b] == j;
            (void)json_array_append_new(row, json_integer(count));
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *make_report(const struct category_eval *e)
{
    const struct category_scores *s = &e->scores;
    json_t *blocks = json_array(), *names = json_array(), *delays = json_array(),
           *right = json_array();

    for (size_t b = 0; b < e->blocks.n; b++)
        (void)json_array_append_new(blocks, block_json(e, b));
    for (size_t k = 0; k < e->blocks.n_categories; k++)
        (void)json_array_append_new(names, json_string(e->blocks.category[k]));
    for (size_t t = 0; t < s->n_steps; t++) {
        (void)json_array_append_new(delays, json_real(s->delay_s[t]));
        (void)json_array_append_new(right, json_real(category_accuracy(s, t, e->label)));
    }
    return json_pack("{s:f, s:f, s:f, s:I, s:f, s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:o}",
                     "accuracy", s->accuracy, "chance", 1 / (double)e->blocks.n_categories, "p",
                     e->p, "permutations", (json_int_t)e->n_null, "null_mean", e->null_mean,
                     "n_blocks", (json_int_t)e->blocks.n, "volumes", (json_int_t)e->rows.n,
                     "voxels", (json_int_t)e->folds[0].q, "filters", e->rows.chain, "categories",
                     names, "confusion", confusion_json(e), "delay_s", delays, "accuracy_by_delay",
                     right, "blocks", blocks);
}

static void print_table(const struct category_eval *e)
{
    const struct category_scores *s = &e->scores;

    for (size_t b = 0; b < e->blocks.n; b++)
        printf("%7.1f s  %-12s decoded as %-12s probability of the shown one %.3f\n",
               e->blocks.block[b].onset_s, e->blocks.category[e->label[b]],
               e->blocks.category[s->said[b]],
               category_probability(s, b, s->n_steps - 1, e->label[b], s->tau[b]));
    printf("accuracy %.3f of %zu blocks (chance %.3f), p %.4f from %zu shuffles (their mean "
           "%.3f)\n",
           s->accuracy, e->blocks.n, 1 / (double)e->blocks.n_categories, e->p, e->n_null,
           e->null_mean);
}

static enum ph_status write_report(const struct category_eval *e, const json_t *report,
                                   struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    enum ph_status status = phi_dir_make(e->args->out, reterr);

    if (status)
        return status;
    if (!phi_path_join(path, sizeof path, e->args->out, "report.json"))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", e->args->out);
    if (json_dump_file(report, path, JSON_INDENT(2)) != 0)
        return phi_error(reterr, PH_E_IO, "cannot write %s", path);
    return categories_plot(&e->scores, e->args->out, reterr);
}

static void free_eval(struct category_eval *e)
{
    for (size_t b = 0; e->folds && b < e->blocks.n; b++)
        block_fold_free(&e->folds[b]);
    phi_free(e->folds);
    phi_free(e->scores.score);
    phi_free(e->scores.delay_s);
    phi_free(e->shuffled.score);
    phi_free(e->shuffled.delay_s);
    fit_rows_free(&e->rows);
}

static int run_eval(const struct category_args *args)
{
    struct category_eval e = {.args = args};
    json_t *report = NULL;
    struct ph_error err = {0};
    enum ph_status status;
    int code = CLI_DONE;

    cli_catch_interrupts();
    status = work(&e, &err);
    cli_progress_end();
    if (status)
        code = cli_interrupted()      ? cli_fail_as(CLI_INTERRUPTED, &err)
               : status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err)
                                      : cli_fail(&err);
    else
        report = make_report(&e);
    if (report && args->out && write_report(&e, report, &err) != PH_OK)
        code = cli_fail_as(CLI_CANNOT_WRITE, &err);
    if (report && args->json) {
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    } else if (report) {
        print_table(&e);
    }
    json_decref(report);
    free_eval(&e);
    return code;
}

static int check_args(const struct cli_command *self, struct category_args *a)
{
    if (!a->run || a->bold.n == 0 || a->events.n != a->bold.n)
        return cli_usage(self, "--run, --bold and for each its --events are needed");
    if (strcmp(a->noise, "full") != 0 && strcmp(a->noise, "diagonal") != 0)
        return cli_usage(self, "--noise is full or diagonal");
    if (a->n_voxels < 0 || a->n_permutations < 1 || a->n_threads < 0 || a->n_threads > 64)
        return cli_usage(self,
                         "--voxels is 0 or more, --permutations 1 or more, --threads 0 to 64");
    if (!(a->ref >= 0 && a->ref <= 1) || !(a->options.tail_s >= LEAST_TAIL_S) ||
        !(a->options.gap_s >= 0) || !(a->options.cutoff_s >= 0) || !(a->apart_s > 0))
        return cli_usage(self,
                         "--ref is 0 to 1, --tail %d or more; --gap and --cutoff are not negative",
                         LEAST_TAIL_S);
    a->options.n_voxels = (size_t)a->n_voxels;
    a->options.n_threads = (size_t)a->n_threads;
    a->options.full_noise = strcmp(a->noise, "full") == 0;
    return -1;
}

static int run_categories(const struct cli_command *self, int argc, char **argv)
{
    struct category_args a = {.noise = "full",
                              .ref = 0.5,
                              .apart_s = 4,
                              .n_permutations = 199,
                              .n_voxels = 2000,
                              .n_threads = 1,
                              .options = {.tail_s = 14, .gap_s = 2, .cutoff_s = 128}};
    const struct cli_option options[] = {
        {CLI_TEXT, "run", &a.run, "RUN.yaml", "run file whose filters the volumes go through"},
        {CLI_LIST, "bold", &a.bold, "FILE", "run (NIfTI); repeat in order"},
        {CLI_LIST, "events", &a.events, "FILE", "its events.tsv; one a run, in the same order"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels, where the filters leave whole volumes"},
        {CLI_INT, "voxels", &a.n_voxels, "N",
         "those that respond most to the training blocks; 0: all (2000)"},
        {CLI_TEXT, "noise", &a.noise, "KIND", "full (shrunk) or diagonal"},
        {CLI_REAL, "apart", &a.apart_s, "S", "events of a type closer than this are a block (4)"},
        {CLI_REAL, "tail", &a.options.tail_s, "S", "a block is decoded until S after its end (14)"},
        {CLI_REAL, "gap", &a.options.gap_s, "S", "more left out of training either side (2)"},
        {CLI_REAL, "cutoff", &a.options.cutoff_s, "S", "shortest period of drift; 0: none (128)"},
        {CLI_REAL, "ref", &a.ref, "X", "share of the TR at which a volume counts as taken (0.5)"},
        {CLI_INT, "permutations", &a.n_permutations, "N", "shuffles of the labels (199)"},
        {CLI_INT, "seed", &a.seed, "N", "of the shuffles (0)"},
        {CLI_INT, "threads", &a.n_threads, "N", "threads of a fit; 0: one a processor (1)"},
        {CLI_TEXT, "out", &a.out, "DIR", "write report.json and plots there"},
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
    return code >= 0 ? code : run_eval(&a);
}

const struct cli_command eval_categories = {
    .name = "eval categories",
    .summary = "name the category of blocks the decoder has not seen",
    .operands = "",
    .text = "Leaves out one block after the other with its response and the volumes beside it, "
            "fits the Gaussian\ndecoder to the rest and decodes the block volume by volume. "
            "Volumes go through the filters of the run\nfile as in a live run. The test shuffles "
            "the blocks' labels and repeats all fits.",
    .examples = "phos eval categories --run localizer.yaml --bold run-1_bold.nii.gz --events "
                "run-1_events.tsv --out report",
    .run = run_categories,
};
