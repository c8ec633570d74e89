/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/ident.h"
#include "decode/resample.h"
#include "eval/eval.h"
#include "eval/plot.h"
#include "io/safetensors.h"

#define MAX_POINTS 64

struct ident_args {
    struct cli_list decoded;
    const char *truth, *out;
    double step_s, until_s;
    int64_t n_way, n_draws, seed;
    bool json;
};

/* Statements of one subject: trial.* of `phos decode`. */
struct statements {
    float *z; /* [n][p] */
    double *delay_s, *number, *picture;
    size_t n, p, n_trials;
    size_t *first; /* [n_trials] statements of trial t are list[first[t] .. first[t + 1]) */
    size_t *list;
};

struct point {
    double at_s, two_way[3], n_way[3]; /* value, low, high */
    size_t n;
};

/* The trials of all subjects at one delay. */
struct ident {
    const struct ident_args *args;
    float *truth; /* [m][p] */
    size_t m, p, n_way;
    struct statements subjects[CLI_MAX_LIST];
    size_t n_subjects, n_trials;
    double *two, *many; /* [n_trials] */
    double *sim;        /* [m] */
    const double *scored;
    struct point points[MAX_POINTS];
    size_t n_points;
};

static void free_statements(struct statements *s)
{
    phi_free(s->z);
    phi_free(s->delay_s);
    phi_free(s->number);
    phi_free(s->picture);
    phi_free(s->first);
    phi_free(s->list);
}

/* Groups statements by trial, in the order of the file. */
static enum ph_status group(struct statements *s, struct ph_error *reterr)
{
    size_t n_numbers = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->number[i] >= 0 && s->number[i] < 1e7)
            n_numbers = s->number[i] + 1 > (double)n_numbers ? (size_t)s->number[i] + 1 : n_numbers;
    s->n_trials = n_numbers;
    s->first = phi_calloc(n_numbers + 2, sizeof *s->first);
    s->list = phi_calloc(s->n, sizeof *s->list);
    if (!s->first || !s->list)
        return phi_error_nomem(reterr, "trials", s->n * sizeof *s->list);
    for (size_t i = 0; i < s->n; i++)
        s->first[(size_t)s->number[i] + 2]++;
    for (size_t t = 2; t < n_numbers + 2; t++)
        s->first[t] += s->first[t - 1];
    for (size_t i = 0; i < s->n; i++)
        s->list[s->first[(size_t)s->number[i] + 1]++] = i;
    return PH_OK;
}

static enum ph_status check_numbers(const struct statements *s, const char *path, size_t n_pictures,
                                    struct ph_error *reterr)
{
    for (size_t i = 0; i < s->n; i++)
        if (!(s->number[i] >= 0 && s->number[i] < 1e7) ||
            !(s->picture[i] >= 0 && s->picture[i] < (double)n_pictures) || !isfinite(s->delay_s[i]))
            return phi_error(reterr, PH_E_FORMAT,
                             "%s: statement %zu names trial %g, picture %g of %zu", path, i,
                             s->number[i], s->picture[i], n_pictures);
    return PH_OK;
}

static enum ph_status read_subject(const char *path, size_t n_pictures, size_t p,
                                   struct statements *s, struct ph_error *reterr)
{
    size_t shape[2] = {0, p};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "trial.latents", 2, shape, &tensor, reterr);
    if (status == PH_OK) {
        s->n = shape[0] = tensor->shape[0];
        s->p = p;
        status = phi_safetensors_load_f32(file, "trial.latents", 2, shape, &s->z, reterr);
    }
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "trial.delay_s", 1, shape, &s->delay_s, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "trial.number", 1, shape, &s->number, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "trial.picture", 1, shape, &s->picture, reterr);
    phi_safetensors_close(&file);
    if (status == PH_OK)
        status = check_numbers(s, path, n_pictures, reterr);
    return status == PH_OK ? group(s, reterr) : status;
}

static enum ph_status load(struct ident *e, struct ph_error *reterr)
{
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(e->args->truth, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "latents", 2, any, &tensor, reterr);
    if (status == PH_OK) {
        e->m = tensor->shape[0];
        e->p = tensor->shape[1];
        status = phi_safetensors_load_f32(file, "latents", 2, tensor->shape, &e->truth, reterr);
    }
    phi_safetensors_close(&file);
    for (size_t i = 0; status == PH_OK && i < e->args->decoded.n; i++, e->n_subjects++) {
        status = read_subject(e->args->decoded.items[i], e->m, e->p, &e->subjects[i], reterr);
        e->n_trials += e->subjects[i].n_trials;
    }
    if (status == PH_OK && e->m < 2)
        status = phi_error(reterr, PH_E_INVAL, "identification needs two pictures or more");
    if (status != PH_OK)
        return status;
    e->n_way = (size_t)e->args->n_way < e->m ? (size_t)e->args->n_way : e->m;
    e->two = phi_calloc(e->n_trials, sizeof *e->two);
    e->many = phi_calloc(e->n_trials, sizeof *e->many);
    e->sim = phi_calloc(e->m, sizeof *e->sim);
    return e->two && e->many && e->sim
               ? PH_OK
               : phi_error_nomem(reterr, "trials", e->n_trials * sizeof *e->two);
}

/* The newest statement about the trial `at_s` after its onset: what a screen would show then.
 * SIZE_MAX if there is none yet. */
static size_t newest(const struct statements *s, size_t trial, double at_s)
{
    size_t best = SIZE_MAX;

    for (size_t k = s->first[trial]; k < s->first[trial + 1]; k++)
        if (s->delay_s[s->list[k]] <= at_s &&
            (best == SIZE_MAX || s->delay_s[s->list[k]] > s->delay_s[best]))
            best = s->list[k];
    return best;
}

/* Adds a trial's scores; a trial of which nothing is known yet scores chance. */
static enum ph_status score_trial(struct ident *e, const struct statements *s, size_t trial,
                                  struct point *point, struct ph_error *reterr)
{
    size_t at;
    uint32_t picture;
    struct phi_ident ident = {e->sim, 1, e->m, &picture};
    enum ph_status status;

    if (s->first[trial] == s->first[trial + 1])
        return PH_OK; /* this number is of another kind of event */
    e->two[point->n] = 0.5;
    e->many[point->n] = 1 / (double)e->n_way;
    at = newest(s, trial, point->at_s);
    if (at != SIZE_MAX) {
        picture = (uint32_t)s->picture[at];
        status = phi_ident_correlate(s->z + at * e->p, 1, e->truth, e->m, e->p, e->sim, reterr);
        if (status != PH_OK)
            return status;
        e->two[point->n] = phi_ident_mean_n_way(&ident, 2);
        e->many[point->n] = phi_ident_mean_n_way(&ident, e->n_way);
    }
    point->n++;
    return PH_OK;
}

static double mean_of(void *ctx, const uint32_t *order, size_t n)
{
    const struct ident *e = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += e->scored[order[i]];
    return sum / (double)n;
}

static enum ph_status interval(struct ident *e, const double *values, size_t n, double ret[3],
                               struct ph_error *reterr)
{
    const struct phi_resample what = {mean_of, e, n, (size_t)e->args->n_draws,
                                      (uint64_t)e->args->seed};
    struct phi_interval ci;
    enum ph_status status;

    e->scored = values;
    status = phi_bootstrap(&what, 1, 0.95, &ci, reterr);
    if (status == PH_OK) {
        ret[0] = ci.score;
        ret[1] = ci.low;
        ret[2] = ci.high;
    }
    return status;
}

static enum ph_status score_all(struct ident *e, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (double at_s = 0;
         status == PH_OK && at_s <= e->args->until_s + 1e-9 && e->n_points < MAX_POINTS;
         at_s += e->args->step_s) {
        struct point *point = &e->points[e->n_points++];

        point->at_s = at_s;
        for (size_t i = 0; status == PH_OK && i < e->n_subjects; i++)
            for (size_t t = 0; status == PH_OK && t < e->subjects[i].n_trials; t++)
                status = score_trial(e, &e->subjects[i], t, point, reterr);
        if (status == PH_OK)
            status = interval(e, e->two, point->n, point->two_way, reterr);
        if (status == PH_OK)
            status = interval(e, e->many, point->n, point->n_way, reterr);
    }
    return status;
}

static enum ph_status draw(const struct ident *e, const char *path, struct ph_error *reterr)
{
    double x[MAX_POINTS], y[2][MAX_POINTS], low[2][MAX_POINTS], high[2][MAX_POINTS];
    double chance[2][MAX_POINTS];
    char name[32];
    const struct plot_curve curves[] = {{"2-way", x, y[0], low[0], high[0], e->n_points, false},
                                        {name, x, y[1], low[1], high[1], e->n_points, false},
                                        {"chance", x, chance[0], NULL, NULL, e->n_points, true},
                                        {"", x, chance[1], NULL, NULL, e->n_points, true}};
    const struct plot plot = {.title = "Identification of single trials",
                              .x_label = "time after onset (s)",
                              .y_label = "share identified",
                              .curves = curves,
                              .n_curves = 4,
                              .y_min = 0,
                              .y_max = 1};

    (void)snprintf(name, sizeof name, "%zu-way", e->n_way);
    for (size_t i = 0; i < e->n_points; i++) {
        const double *values[2] = {e->points[i].two_way, e->points[i].n_way};

        x[i] = e->points[i].at_s;
        for (size_t c = 0; c < 2; c++) {
            y[c][i] = values[c][0];
            low[c][i] = values[c][1];
            high[c][i] = values[c][2];
        }
        chance[0][i] = 0.5;
        chance[1][i] = 1 / (double)e->n_way;
    }
    return plot_write(&plot, path, reterr);
}

static json_t *make_report(const struct ident *e)
{
    json_t *points = json_array();

    for (size_t i = 0; i < e->n_points; i++) {
        const struct point *p = &e->points[i];

        (void)json_array_append_new(
            points, json_pack("{s:f, s:I, s:{s:f, s:[f, f]}, s:{s:f, s:[f, f]}}", "after_onset_s",
                              p->at_s, "trials", (json_int_t)p->n, "two_way", "value",
                              p->two_way[0], "ci95", p->two_way[1], p->two_way[2], "n_way", "value",
                              p->n_way[0], "ci95", p->n_way[1], p->n_way[2]));
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "subjects", (json_int_t)e->n_subjects, "candidates",
                     (json_int_t)e->m, "n", (json_int_t)e->n_way, "points", points);
}

static enum ph_status write_report(const struct ident *e, const json_t *report,
                                   struct ph_error *reterr)
{
    const char *out = e->args->out;
    char path[1024];

    if (mkdir(out, 0777) != 0 && errno != EEXIST)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make the folder %s", out);
    if (snprintf(path, sizeof path, "%s/identification.json", out) >= (int)sizeof path)
        return phi_error(reterr, PH_E_INVAL, "the path %s is too long", out);
    if (json_dump_file(report, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
        return phi_error(reterr, PH_E_IO, "cannot write %s", path);
    (void)snprintf(path, sizeof path, "%.1000s/identification.png", out);
    return draw(e, path, reterr);
}

static void print_text(const struct ident *e)
{
    printf("after onset   2-way                  %zu-way  (%zu trials, %zu candidates)\n", e->n_way,
           e->points[0].n, e->m);
    for (size_t i = 0; i < e->n_points; i++) {
        const struct point *p = &e->points[i];

        printf("%8.1f s   %.3f [%.3f, %.3f]   %.3f [%.3f, %.3f]\n", p->at_s, p->two_way[0],
               p->two_way[1], p->two_way[2], p->n_way[0], p->n_way[1], p->n_way[2]);
    }
}

static int run_identification(const struct cli_command *self, int argc, char **argv)
{
    struct ident_args a = {
        .step_s = 1, .until_s = 20, .n_way = 10, .n_draws = 1000, .out = "identification"};
    const struct cli_option options[] = {
        {CLI_LIST, "decoded", &a.decoded, "FILE", "trials of a subject (phos decode)"},
        {CLI_TEXT, "truth", &a.truth, "FILE", "'latents' [n][p] of the same pictures"},
        {CLI_TEXT, "out", &a.out, "DIR", "folder for identification.json and .png"},
        {CLI_REAL, "step", &a.step_s, "S", "between points of the curve (1)"},
        {CLI_REAL, "until", &a.until_s, "S", "after the onset, the last point (20)"},
        {CLI_INT, "n-way", &a.n_way, "N", "candidates of the second score (10)"},
        {CLI_INT, "draws", &a.n_draws, "N", "of the bootstrap over trials (1000)"},
        {CLI_INT, "seed", &a.seed, "N", "of the draws (0)"},
        CLI_JSON(&a.json),
        CLI_END};
    struct ident e = {.args = &a};
    struct cli_args rest;
    struct ph_error err = {0};
    json_t *report = NULL;
    enum ph_status status;
    int code = cli_parse(self, options, argc, argv, &rest);

    if (code >= 0)
        return code;
    if (rest.n || a.decoded.n == 0 || !a.truth || !(a.step_s > 0) || a.n_way < 2 || a.n_draws < 1 ||
        !(a.until_s >= 0) || a.until_s / a.step_s >= MAX_POINTS)
        return cli_usage(self, "--decoded and --truth are needed; at most 64 points, --n-way from "
                               "2, --draws from 1");
    status = load(&e, &err);
    if (status == PH_OK)
        status = score_all(&e, &err);
    if (status == PH_OK) {
        report = make_report(&e);
        status = write_report(&e, report, &err);
    }
    code = status == PH_OK        ? CLI_DONE
           : status == PH_E_INVAL ? cli_fail_as(CLI_DATA, &err)
                                  : cli_fail(&err);
    if (status == PH_OK && a.json)
        (void)json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    else if (status == PH_OK)
        print_text(&e);
    json_decref(report);
    for (size_t i = 0; i < a.decoded.n; i++)
        free_statements(&e.subjects[i]);
    phi_free(e.truth);
    phi_free(e.two);
    phi_free(e.many);
    phi_free(e.sim);
    return code;
}

const struct cli_command eval_identification = {
    .name = "eval identification",
    .summary = "which picture a single trial was of, against the time since its onset",
    .operands = "",
    .text = "At each moment after the onset the newest statement about the trial, which is what a "
            "screen would\nshow, is compared with the latents of all pictures by correlation. "
            "2-way and n-way scores are exact\nover all sets of distractors; intervals are "
            "bootstraps over trials. Until its first statement a\ntrial scores chance.",
    .examples = "phos eval identification --decoded sub-1.safetensors --decoded sub-2.safetensors "
                "--truth test-latents.safetensors --out identification",
    .run = run_identification,
};
