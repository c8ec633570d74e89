/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/betas.h"
#include "fit/fit.h"
#include "fit/hrf.h"
#include "fit/rows.h"
#include "io/safetensors.h"
#include "types.h"

#define PI 3.14159265358979323846

struct betas_args {
    struct cli_list bold, events, plugins;
    const char *run, *out, *mask, *trial_type, *method, *hrf;
    double ref, high_pass_s, fraction;
    int64_t n_threads;
    bool json;
};

struct betas_work {
    const struct betas_args *args;
    struct phi_registry *registry;
    struct fit_rows rows;
    struct phi_hrf shapes[PHI_HRF_LIBRARY_SIZE];
    uint32_t *event; /* [m] of rows.events */
    int32_t *stimulus;
    double *x, *nuisance;
    struct phi_betas_data data;
    struct phi_betas out;
};

static enum ph_status list_trials(struct betas_work *w, struct ph_error *reterr)
{
    const struct fit_rows *rows = &w->rows;

    w->event = phi_calloc(rows->n_events, sizeof *w->event);
    w->stimulus = phi_calloc(rows->n_events, sizeof *w->stimulus);
    if (!w->event || !w->stimulus)
        return phi_error_nomem(reterr, "trials", rows->n_events * sizeof *w->event);
    for (size_t e = 0; e < rows->n_events; e++) {
        const struct ph_event *event = &rows->events[e].event;

        if (w->args->trial_type && strcmp(w->args->trial_type, event->trial_type) != 0)
            continue;
        w->event[w->data.m] = (uint32_t)e;
        w->stimulus[w->data.m++] = event->stim_index;
    }
    return w->data.m ? PH_OK
                     : phi_error(reterr, PH_E_INVAL, "none of the %zu events is of type '%s'",
                                 rows->n_events, w->args->trial_type);
}

/* One column a trial and shape, peak of a stick's response 1. */
static enum ph_status make_designs(struct betas_work *w, struct ph_error *reterr)
{
    size_t n = w->rows.n, m = w->data.m;

    w->x = phi_calloc2(w->data.n_shapes * n, m, sizeof *w->x);
    if (!w->x)
        return phi_error_nomem(reterr, "the designs", w->data.n_shapes * n * m * sizeof *w->x);
    for (size_t h = 0; h < w->data.n_shapes; h++) {
        struct phi_decoder_shape shape = phi_decoder_shape_of(&w->shapes[h]);

        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < m; j++) {
                const struct fit_rows_event *e = &w->rows.events[w->event[j]];
                double delay_s = w->rows.at_s[i] - e->event.onset_s;

                if (e->run == w->rows.run[i] && delay_s >= 0 &&
                    delay_s <= e->event.duration_s + w->shapes[h].length_s)
                    w->x[(h * n + i) * m + j] =
                        phi_decoder_response(&shape, delay_s, e->event.duration_s);
            }
    }
    w->data.x = w->x;
    return PH_OK;
}

/* First and past-the-end row of run `run`. */
static void rows_of_run(const struct fit_rows *rows, size_t run, size_t ret[2])
{
    for (ret[0] = 0; ret[0] < rows->n && rows->run[ret[0]] != run; ret[0]++)
        ;
    for (ret[1] = ret[0]; ret[1] < rows->n && rows->run[ret[1]] == run; ret[1]++)
        ;
}

/* Cosines of half a period in the run and up, slower than the high pass. */
static size_t n_cosines(const struct betas_work *w, const size_t range[2])
{
    double length_s;

    if (!(w->args->high_pass_s > 0) || range[1] <= range[0])
        return 0;
    length_s = w->rows.at_s[range[1] - 1] - w->rows.at_s[range[0]] + w->rows.geometry.tr_s;
    return (size_t)(2 * length_s / w->args->high_pass_s);
}

/* A constant and slow cosines for every run. */
static enum ph_status make_nuisance(struct betas_work *w, struct ph_error *reterr)
{
    const struct fit_rows *rows = &w->rows;
    size_t range[2], at = 0;

    for (size_t r = 0; r < rows->n_runs; r++) {
        rows_of_run(rows, r, range);
        w->data.n_nuisance += range[1] > range[0] ? 1 + n_cosines(w, range) : 0;
    }
    w->nuisance = phi_calloc2(rows->n, w->data.n_nuisance, sizeof *w->nuisance);
    if (!w->nuisance)
        return phi_error_nomem(reterr, "drift columns", rows->n * w->data.n_nuisance * 8);
    for (size_t r = 0; r < rows->n_runs; r++) {
        size_t n;
        double length_s;

        rows_of_run(rows, r, range);
        if (range[1] <= range[0])
            continue;
        n = 1 + n_cosines(w, range);
        length_s = rows->at_s[range[1] - 1] - rows->at_s[range[0]] + rows->geometry.tr_s;
        for (size_t i = range[0]; i < range[1]; i++)
            for (size_t k = 0; k < n; k++)
                w->nuisance[i * w->data.n_nuisance + at + k] = cos(
                    PI * (double)k *
                    (rows->at_s[i] - rows->at_s[range[0]] + rows->geometry.tr_s / 2) / length_s);
        at += n;
    }
    w->data.nuisance = w->nuisance;
    return PH_OK;
}

static enum ph_status estimate(struct betas_work *w, struct ph_error *reterr)
{
    const struct betas_args *a = w->args;
    const struct phi_betas_options options = {
        .method = strcmp(a->method, "lss") == 0     ? PHI_BETAS_LSS
                  : strcmp(a->method, "ridge") == 0 ? PHI_BETAS_RIDGE
                                                    : PHI_BETAS_LSA,
        .fraction = a->fraction,
        .stimulus = w->stimulus,
        .n_threads = (size_t)a->n_threads};

    w->data.n = w->rows.n;
    w->data.q = w->rows.q;
    w->data.y = w->rows.y;
    w->out.beta = phi_calloc2(w->data.m, w->data.q, sizeof(float));
    w->out.shape = phi_calloc(w->data.q, 1);
    w->out.r2 = phi_calloc(w->data.q, sizeof(float));
    w->out.fraction = phi_calloc(w->data.q, sizeof(float));
    if (!w->out.beta || !w->out.shape || !w->out.r2 || !w->out.fraction)
        return phi_error_nomem(reterr, "estimates", w->data.m * w->data.q * sizeof(float));
    cli_progress("single trials", 0, 0);
    return phi_betas_fit(&w->data, &options, &w->out, reterr);
}

static enum ph_status write_file(const struct betas_work *w, struct ph_error *reterr)
{
    const struct fit_rows *rows = &w->rows;
    size_t m = w->data.m, q = w->data.q;
    const double dims[3] = {rows->geometry.dims[0], rows->geometry.dims[1], rows->geometry.dims[2]};
    double *onset = phi_calloc(m, sizeof *onset);
    int32_t *run = phi_calloc(m, sizeof *run);
    const struct phi_safetensors_tensor tensors[] = {
        {.name = "betas", .data = w->out.beta, .n_dims = 2, .shape = {m, q}},
        {.name = "hrf",
         .dtype = PHI_SAFETENSORS_U8,
         .data = w->out.shape,
         .n_dims = 1,
         .shape = {q}},
        {.name = "r2", .data = w->out.r2, .n_dims = 1, .shape = {q}},
        {.name = "fraction", .data = w->out.fraction, .n_dims = 1, .shape = {q}},
        {.name = "onset_s", .dtype = PHI_SAFETENSORS_F64, .data = onset, .n_dims = 1, .shape = {m}},
        {.name = "run", .dtype = PHI_SAFETENSORS_I32, .data = run, .n_dims = 1, .shape = {m}},
        {.name = "stim_index",
         .dtype = PHI_SAFETENSORS_I32,
         .data = w->stimulus,
         .n_dims = 1,
         .shape = {m}},
        {.name = "voxels",
         .dtype = PHI_SAFETENSORS_I32,
         .data = rows->voxels,
         .n_dims = 1,
         .shape = {q}},
        {.name = "dims", .dtype = PHI_SAFETENSORS_F64, .data = dims, .n_dims = 1, .shape = {3}},
        {.name = "affine",
         .dtype = PHI_SAFETENSORS_F64,
         .data = rows->geometry.affine,
         .n_dims = 2,
         .shape = {3, 4}},
    };
    const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "betas"},
                                                 {"phosphene.version", "1"},
                                                 {"method", w->args->method},
                                                 {"hrf", w->args->hrf},
                                                 {"chain", rows->chain}};
    const struct phi_safetensors_content content = {tensors, sizeof tensors / sizeof *tensors,
                                                    pairs, sizeof pairs / sizeof *pairs};
    enum ph_status status = PH_OK;

    if (!onset || !run)
        status = phi_error_nomem(reterr, "a list of trials", m * sizeof *onset);
    for (size_t j = 0; status == PH_OK && j < m; j++) {
        onset[j] = rows->events[w->event[j]].event.onset_s;
        run[j] = (int32_t)rows->events[w->event[j]].run;
    }
    if (status == PH_OK)
        status = phi_safetensors_write(w->args->out, &content, reterr);
    phi_free(onset);
    phi_free(run);
    return status;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Quantile `share` of values[n], sorted in place. */
static double quantile(float *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, by_value);
    return (double)values[(size_t)(share * (double)(n - 1))];
}

static void report(struct betas_work *w)
{
    json_int_t count[PHI_HRF_LIBRARY_SIZE] = {0};
    json_t *shapes = json_array(), *json;
    size_t q = w->data.q;

    for (size_t v = 0; v < q; v++)
        count[w->out.shape[v]]++;
    for (size_t h = 0; h < w->data.n_shapes; h++)
        (void)json_array_append_new(shapes, json_integer(count[h]));
    json = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "betas", w->args->out, "trials",
                     (json_int_t)w->data.m, "volumes", (json_int_t)w->data.n, "voxels",
                     (json_int_t)q, "median_r2", quantile(w->out.r2, q, 0.5), "r2_of_best_percent",
                     quantile(w->out.r2, q, 0.99), "median_fraction",
                     quantile(w->out.fraction, q, 0.5), "voxels_by_hrf", shapes);
    if (w->args->json) {
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    } else {
        printf("%s: %zu trials in %zu voxels, %zu volumes of %zu runs\n"
               "R2 of trials: median %.3f, best percent above %.3f; median fraction %.2f\n",
               w->args->out, w->data.m, q, w->data.n, w->rows.n_runs, quantile(w->out.r2, q, 0.5),
               quantile(w->out.r2, q, 0.99), quantile(w->out.fraction, q, 0.5));
        for (size_t h = 0; w->data.n_shapes > 1 && h < w->data.n_shapes; h++)
            printf("curve %2zu: %lld voxels\n", h, (long long)count[h]);
    }
    json_decref(json);
}

static enum ph_status work(struct betas_work *w, struct ph_error *reterr)
{
    const struct betas_args *a = w->args;
    struct fit_rows_from from = {
        .run_file = a->run, .bold = &a->bold, .events = &a->events, .mask = a->mask, .ref = a->ref};
    enum ph_status status = types_open(&a->plugins, &w->registry, reterr);

    from.registry = w->registry;
    if (status == PH_OK)
        status = fit_rows_load(&from, &w->rows, reterr);
    if (status == PH_OK)
        status = list_trials(w, reterr);
    if (status == PH_OK)
        status = make_designs(w, reterr);
    if (status == PH_OK)
        status = make_nuisance(w, reterr);
    if (status == PH_OK)
        status = estimate(w, reterr);
    return status ? status : write_file(w, reterr);
}

static int run_fit(struct betas_work *w)
{
    struct ph_error err = {0};
    enum ph_status status;

    cli_catch_interrupts();
    status = work(w, &err);
    cli_progress_end();
    if (status == PH_OK)
        report(w);
    phi_free(w->out.beta);
    phi_free(w->out.shape);
    phi_free(w->out.r2);
    phi_free(w->out.fraction);
    phi_free(w->x);
    phi_free(w->nuisance);
    phi_free(w->event);
    phi_free(w->stimulus);
    fit_rows_free(&w->rows);
    phi_registry_destroy(&w->registry);
    if (status == PH_OK)
        return CLI_DONE;
    return cli_interrupted() ? cli_fail_as(CLI_INTERRUPTED, &err) : cli_fail(&err);
}

static int run_trials(const struct cli_command *self, int argc, char **argv)
{
    struct betas_args a = {.method = "lsa", .hrf = "spm", .ref = 0.5, .high_pass_s = 128};
    struct betas_work w = {.args = &a};
    const struct cli_option options[] = {
        {CLI_TEXT, "run", &a.run, "RUN.yaml", "run file whose filters the volumes go through"},
        {CLI_LIST, "bold", &a.bold, "FILE", "run (NIfTI); repeat in order"},
        {CLI_LIST, "events", &a.events, "FILE", "its events.tsv; one a run, in the same order"},
        {CLI_TEXT, "out", &a.out, "FILE", "safetensors file to write"},
        {CLI_TEXT, "mask", &a.mask, "FILE", "voxels, where the filters leave whole volumes"},
        {CLI_TEXT, "trial-type", &a.trial_type, "NAME", "use these events only"},
        {CLI_TEXT, "method", &a.method, "NAME",
         "lsa (all trials together), lss (each against the others) or ridge (fractional)"},
        {CLI_TEXT, "hrf", &a.hrf, "NAME", "each voxel's response: " FIT_HRF_HELP},
        {CLI_REAL, "fraction", &a.fraction, "X",
         "ridge: length over that of least squares (each voxel's own, by repeats)"},
        {CLI_REAL, "high-pass", &a.high_pass_s, "S", "slowest period that is kept; 0: all (128)"},
        {CLI_REAL, "ref", &a.ref, "X", "share of the TR at which a volume counts as taken (0.5)"},
        {CLI_INT, "threads", &a.n_threads, "N", "threads (0: one a processor)"},
        CLI_PLUGINS(&a.plugins),
        CLI_JSON(&a.json),
        CLI_END};
    struct cli_args rest;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n)
        return cli_usage(self, "'%s' is not expected", rest.operands[0]);
    if (!a.run || !a.out || a.bold.n == 0 || a.events.n == 0)
        return cli_usage(self, "--run, --bold, --events and --out are needed");
    if (strcmp(a.method, "lsa") != 0 && strcmp(a.method, "lss") != 0 &&
        strcmp(a.method, "ridge") != 0)
        return cli_usage(self, "--method is lsa, lss or ridge");
    w.data.n_shapes = fit_hrf_parse(a.hrf, w.shapes);
    if (w.data.n_shapes == 0)
        return cli_usage(self, "--hrf is spm, glover, library or a number from 0 to %d",
                         PHI_HRF_LIBRARY_SIZE - 1);
    if (!(a.fraction >= 0 && a.fraction <= 1) || !(a.ref >= 0 && a.ref <= 1) ||
        !(a.high_pass_s >= 0) || a.n_threads < 0 || a.n_threads > 64)
        return cli_usage(self, "--fraction and --ref are 0 to 1, --high-pass not negative, "
                               "--threads 0 to 64");
    return run_fit(&w);
}

const struct cli_command fit_trials = {
    .name = "fit trials",
    .summary = "responses to single trials, voxel by voxel",
    .operands = "",
    .text = "Estimates how strongly each voxel responded to each event of recorded runs, for "
            "analyses that take\none row a trial: volumes go through the filters of the run file, "
            "drifts are fitted beside. With\n--hrf library every voxel gets the one of 20 response "
            "curves under which its trials explain most;\nwith --method ridge its coefficients "
            "are shortened as far as predicts repeats of a stimulus best.\nThe file holds betas "
            "[trial][voxel], hrf, r2 and fraction of each voxel, onset, run and stim_index\nof "
            "each trial (docs/formats.md).",
    .examples = "phos fit trials --run run.yaml --bold run-1.nii.gz --events run-1.tsv --hrf "
                "library --method ridge --out betas.safetensors",
    .run = run_trials,
};
