/* SPDX-License-Identifier: MIT */
#include "eval/streaming.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "eval/eval.h"
#include "eval/plot.h"
#include "io/file.h"

#define N_KINDS 4

struct streaming_args {
    const char *out, *kind;
    int64_t p, q, n_train, n_test, n_trials, n_test_trials, n_seeds, seed, n_threads;
    bool json;
};

static const struct kind {
    const char *name, *title;
    double a;
    size_t soa, n_delays, delay[STREAMING_MAX_DELAYS];
} kinds[N_KINDS] = {
    {"slow", "Slow content, a = .90", 0.9, 0, 8, {0, 2, 3, 4, 5, 6, 8, 12}},
    {"fast", "Faster content, a = .70", 0.7, 0, 8, {0, 2, 3, 4, 5, 6, 8, 12}},
    {"soa8", "Trials of 3 s, every 8 s", 0, 8, 8, {3, 4, 5, 6, 7, 8, 10, 14}},
    {"soa16", "Trials of 3 s, every 16 s", 0, 16, 8, {3, 4, 5, 6, 7, 8, 10, 14}},
};

static struct streaming_table empty_table(const struct kind *kind)
{
    struct streaming_table table = {.n_delays = kind->n_delays};

    memcpy(table.delay, kind->delay, sizeof table.delay);
    return table;
}

/* Adds `from` over `n` to `sum`, line by line. */
static void accumulate(struct streaming_table *sum, const struct streaming_table *from, double n)
{
    for (size_t i = 0; i < from->n; i++) {
        struct streaming_row *row =
            i < sum->n ? &sum->row[i] : streaming_add(sum, from->row[i].name);

        for (size_t d = 0; d < from->n_delays; d++) {
            row->r[d] = (isnan(row->r[d]) ? 0 : row->r[d]) + from->row[i].r[d] / n;
            row->coverage[d] =
                (isnan(row->coverage[d]) ? 0 : row->coverage[d]) + from->row[i].coverage[d] / n;
        }
    }
}

static enum ph_status compare(const struct streaming_args *a, const struct kind *kind,
                              struct streaming_table *ret_table, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    *ret_table = empty_table(kind);
    for (int64_t s = 0; status == PH_OK && s < a->n_seeds; s++) {
        const struct streaming_size size = {
            .p = (size_t)a->p,
            .q = (size_t)a->q,
            .n_train = (size_t)(kind->soa ? a->n_trials : a->n_train),
            .n_test = (size_t)(kind->soa ? a->n_test_trials : a->n_test),
            .a = kind->a,
            .soa = kind->soa,
            .seed = (uint64_t)(a->seed + s),
            .n_threads = (size_t)a->n_threads};
        struct streaming_table one = empty_table(kind);
        struct streaming_sim sim;

        cli_progress(kind->name, (uint64_t)s, (uint64_t)a->n_seeds);
        status = streaming_simulate(&size, &sim, reterr);
        if (status)
            break;
        status = streaming_posterior(&sim, &one, reterr);
        if (status == PH_OK)
            status = streaming_rivals(&sim, &one, reterr);
        streaming_sim_free(&sim);
        accumulate(ret_table, &one, (double)a->n_seeds);
        if (cli_interrupted() && status == PH_OK)
            status = phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return status;
}

static json_t *numbers(const double *x, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(array, isfinite(x[i]) ? json_real(x[i]) : json_null());
    return array;
}

static json_t *table_json(const struct kind *kind, const struct streaming_table *table)
{
    json_t *rows = json_array(), *delays = json_array();

    for (size_t d = 0; d < table->n_delays; d++)
        (void)json_array_append_new(delays, json_integer((json_int_t)table->delay[d]));
    for (size_t i = 0; i < table->n; i++) {
        const struct streaming_row *row = &table->row[i];

        (void)json_array_append_new(rows, json_pack("{s:s, s:o, s:o}", "decoder", row->name, "r",
                                                    numbers(row->r, table->n_delays), "coverage90",
                                                    numbers(row->coverage, table->n_delays)));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "kind", kind->name, "title", kind->title, "delay_s",
                     delays, "decoders", rows);
}

static void print_line(const char *name, const double *x, size_t n)
{
    printf("| %-42s |", name);
    for (size_t d = 0; d < n; d++)
        if (isfinite(x[d]))
            printf(" %5.3f |", x[d]);
        else
            printf("     - |");
    printf("\n");
}

static void print_table(const struct kind *kind, const struct streaming_table *table)
{
    printf("\n| %-42s |", kind->title);
    for (size_t d = 0; d < table->n_delays; d++)
        printf(" %3zu s |", table->delay[d]);
    printf("\n|---|");
    for (size_t d = 0; d < table->n_delays; d++)
        printf("---|");
    printf("\n");
    for (size_t i = 0; i < table->n; i++)
        print_line(table->row[i].name, table->row[i].r, table->n_delays);
    for (size_t i = 0; i < table->n && isfinite(table->row[i].coverage[0]); i++) {
        char name[80];

        (void)snprintf(name, sizeof name, "90 %% cover: %s", table->row[i].name);
        print_line(name, table->row[i].coverage, table->n_delays);
    }
}

/* Lag curves of the bound, the tempered posterior and the rivals. */
static enum ph_status plot_table(const struct kind *kind, const struct streaming_table *table,
                                 const char *dir, struct ph_error *reterr)
{
    static const char *const labels[] = {"bound",    "posterior", "",      "",     "",
                                         "weighted", "FIR 8",     "FIR 4", "mean", "newest"};
    static const char *const trial_labels[] = {"bound", "posterior", "",      "",      "single",
                                               "LSA",   "mean 3..",  "FIR 4", "newest"};
    struct plot_curve drawn[STREAMING_MAX_ROWS];
    double delay[STREAMING_MAX_DELAYS];
    struct plot plot = {.title = kind->title,
                        .x_label = "delay (s)",
                        .y_label = "correlation with the truth",
                        .curves = drawn};
    char file[64], path[PHI_PATH_MAX];

    for (size_t d = 0; d < table->n_delays; d++)
        delay[d] = (double)table->delay[d];
    for (size_t order = 0; order < table->n; order++) {
        size_t i = (order + 1) % table->n, from = 0; /* the dashed bound last */
        const char *label = kind->soa ? trial_labels[i] : labels[i];

        while (from < table->n_delays && !isfinite(table->row[i].r[from]))
            from++;
        if (*label && from < table->n_delays)
            drawn[plot.n_curves++] = (struct plot_curve){
                label, delay + from, table->row[i].r + from, NULL, NULL, table->n_delays - from,
                i == 0};
    }
    (void)snprintf(file, sizeof file, "%s.png", kind->name);
    if (!phi_path_join(path, sizeof path, dir, file))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    return plot_write(&plot, path, reterr);
}

static enum ph_status write_report(const json_t *report, const char *dir, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];

    if (!phi_path_join(path, sizeof path, dir, "report.json"))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    return json_dump_file(report, path, JSON_INDENT(2)) == 0
               ? PH_OK
               : phi_error(reterr, PH_E_IO, "cannot write %s", path);
}

static enum ph_status run_kinds(const struct streaming_args *a, json_t *tables,
                                struct ph_error *reterr)
{
    enum ph_status status = a->out ? phi_dir_make(a->out, reterr) : PH_OK;

    for (size_t k = 0; status == PH_OK && k < N_KINDS; k++) {
        struct streaming_table table;

        if (a->kind && strcmp(a->kind, kinds[k].name) != 0)
            continue;
        status = compare(a, &kinds[k], &table, reterr);
        if (status)
            break;
        cli_progress_end();
        if (!a->json)
            print_table(&kinds[k], &table);
        (void)json_array_append_new(tables, table_json(&kinds[k], &table));
        if (a->out)
            status = plot_table(&kinds[k], &table, a->out, reterr);
    }
    return status;
}

static int run_eval(const struct streaming_args *a)
{
    json_t *tables = json_array();
    json_t *report =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "latents", (json_int_t)a->p,
                  "voxels", (json_int_t)a->q, "training_volumes", (json_int_t)a->n_train,
                  "test_volumes", (json_int_t)a->n_test, "training_trials", (json_int_t)a->n_trials,
                  "test_trials", (json_int_t)a->n_test_trials, "seeds", (json_int_t)a->n_seeds,
                  "first_seed", (json_int_t)a->seed, "tables", tables);
    struct ph_error err = {0};
    enum ph_status status;
    int code = CLI_DONE;

    cli_catch_interrupts();
    status = run_kinds(a, tables, &err);
    if (status == PH_OK && a->out)
        status = write_report(report, a->out, &err);
    if (status)
        code = cli_interrupted() ? cli_fail_as(CLI_INTERRUPTED, &err) : cli_fail(&err);
    else if (a->json) {
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    json_decref(report);
    return code;
}

static bool is_kind(const char *name)
{
    bool found = !name;

    for (size_t k = 0; k < N_KINDS; k++)
        found = found || strcmp(name, kinds[k].name) == 0;
    return found;
}

static int run_streaming(const struct cli_command *self, int argc, char **argv)
{
    struct streaming_args a = {.p = 50,
                               .q = 500,
                               .n_train = 1800,
                               .n_test = 600,
                               .n_trials = 225,
                               .n_test_trials = 100,
                               .n_seeds = 1,
                               .n_threads = 1};
    const struct cli_option options[] = {
        {CLI_TEXT, "kind", &a.kind, "NAME", "slow, fast, soa8 or soa16 only"},
        {CLI_INT, "latents", &a.p, "N", "features of the content (50)"},
        {CLI_INT, "voxels", &a.q, "N", "voxels (500)"},
        {CLI_INT, "train", &a.n_train, "N", "training volumes of content (1800)"},
        {CLI_INT, "test", &a.n_test, "N", "test volumes of content (600)"},
        {CLI_INT, "trials", &a.n_trials, "N", "training trials (225)"},
        {CLI_INT, "test-trials", &a.n_test_trials, "N", "test trials (100)"},
        {CLI_INT, "seeds", &a.n_seeds, "N", "simulations to average (1)"},
        {CLI_INT, "seed", &a.seed, "N", "of the first simulation (0)"},
        {CLI_INT, "threads", &a.n_threads, "N", "threads of a fit; 0: one a processor (1)"},
        {CLI_TEXT, "out", &a.out, "DIR", "write report.json and lag curves there"},
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n)
        return cli_usage(self, "'%s' is not expected", rest.operands[0]);
    if (!is_kind(a.kind))
        return cli_usage(self, "--kind is slow, fast, soa8 or soa16");
    if (a.p < 2 || a.p > STREAMING_MAX_LATENTS || a.q < 10 || a.q > 100000 || a.n_train < 480 ||
        a.n_train > 20000 || a.n_test < 120 || a.n_test > 20000)
        return cli_usage(self,
                         "--latents 2 to %d, --voxels 10 to 100000, --train 480 and --test "
                         "120 to 20000",
                         STREAMING_MAX_LATENTS);
    if (a.n_trials < 20 || a.n_trials > 2000 || a.n_test_trials < 4 || a.n_test_trials > 2000 ||
        a.n_seeds < 1 || a.n_seeds > 1000 || a.n_threads < 0 || a.n_threads > 64)
        return cli_usage(self, "--trials 20 to 2000, --test-trials 4 to 2000, --seeds 1 to 1000, "
                               "--threads 0 to 64");
    return run_eval(&a);
}

const struct cli_command eval_streaming = {
    .name = "eval streaming",
    .summary = "the streaming posterior against other decoders, on simulated runs",
    .operands = "",
    .text = "Simulates runs of TR 1 s with known latents, fits the streaming posterior and the "
            "usual decoders to\nthe same training volumes, and prints their correlation with the "
            "truth at each delay, and how often\nintervals of 90 % hold. Content that changes "
            "all the time, slow and fast, and trials.",
    .examples = "phos eval streaming --seeds 3 --out report\n"
                "phos eval streaming --kind slow --train 600 --test 300",
    .run = run_streaming,
};
