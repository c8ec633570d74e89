/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/gauss_score.h"
#include "decode/ident.h"
#include "eval/plot.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "report/report.h"

#define MAX_POINTS 64
#define MAX_TRIALS 1000000
#define STEP_S     1
#define N_LEVELS   10
#define Z90        1.6449

/* Statements of the recording about stimuli whose true latents are known. */
struct statements {
    size_t n, p, m, n_trials;
    float *mean, *sd, *truth;            /* [n][p], [n][p], [m][p] */
    float *lag_s, *trial, *stim, *share; /* [n] */
    size_t *newest;                      /* [n_trials] statement that holds now; SIZE_MAX: none */
    float *held_mean, *held_sd, *held_truth; /* [n_trials][p] of the newest statements */
};

/* What the newest statements say some time after the onset. */
struct point {
    double at_s, two_way, coverage, share;
    size_t n;
};

static void free_statements(struct statements *s)
{
    void *blocks[] = {s->mean,  s->sd,     s->truth,     s->lag_s,   s->trial,     s->stim,
                      s->share, s->newest, s->held_mean, s->held_sd, s->held_truth};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        phi_free(blocks[i]);
}

static enum ph_status load_statements(const char *path, struct statements *s,
                                      struct ph_error *reterr)
{
    const size_t any[2] = {0, 0};
    const struct phi_safetensors_tensor *mean;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "mean", 2, any, &mean, reterr);
    if (status == PH_OK) {
        s->n = mean->shape[0];
        s->p = mean->shape[1];
        status = phi_safetensors_load_f32(file, "mean", 2, mean->shape, &s->mean, reterr);
    }
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "sd", 2, mean->shape, &s->sd, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "lag_s", 1, &s->n, &s->lag_s, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "trial", 1, &s->n, &s->trial, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "stim_index", 1, &s->n, &s->stim, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "share", 1, &s->n, &s->share, reterr);
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status load_truth(const char *path, struct statements *s, struct ph_error *reterr)
{
    size_t shape[2] = {0, s->p};
    const struct phi_safetensors_tensor *latents;
    struct phi_safetensors *file = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "latents", 2, shape, &latents, reterr);
    if (status == PH_OK) {
        s->m = latents->shape[0];
        status = phi_safetensors_load_f32(file, "latents", 2, latents->shape, &s->truth, reterr);
    }
    phi_safetensors_close(&file);
    if (status == PH_OK && s->m < 2)
        status =
            phi_error(reterr, PH_E_INVAL, "%s: identification needs two stimuli or more", path);
    return status;
}

/* True if statement i is about a trial of a known stimulus. */
static bool usable(const struct statements *s, size_t i)
{
    return s->trial[i] >= 0 && s->trial[i] < MAX_TRIALS && s->stim[i] >= 0 &&
           s->stim[i] < (float)s->m && isfinite(s->lag_s[i]);
}

static enum ph_status make_room(struct statements *s, struct ph_error *reterr)
{
    for (size_t i = 0; i < s->n; i++)
        if (usable(s, i) && (size_t)s->trial[i] >= s->n_trials)
            s->n_trials = (size_t)s->trial[i] + 1;
    if (s->n_trials == 0)
        return phi_error(reterr, PH_E_INVAL,
                         "no statement of the recording is about a trial whose stimulus is known");
    s->newest = phi_calloc(s->n_trials, sizeof *s->newest);
    s->held_mean = phi_calloc2(s->n_trials, s->p, sizeof(float));
    s->held_sd = phi_calloc2(s->n_trials, s->p, sizeof(float));
    s->held_truth = phi_calloc2(s->n_trials, s->p, sizeof(float));
    return s->newest && s->held_mean && s->held_sd && s->held_truth
               ? PH_OK
               : phi_error_nomem(reterr, "trials", s->n_trials * s->p * sizeof(float));
}

/* The newest statement about each trial `at_s` after its onset: what a screen would show then.
 * Returns how many trials have one, their rows in held_*. */
static size_t hold(struct statements *s, double at_s)
{
    size_t n = 0, p = s->p;

    for (size_t t = 0; t < s->n_trials; t++)
        s->newest[t] = SIZE_MAX;
    for (size_t i = 0; i < s->n; i++) {
        size_t *newest = usable(s, i) ? &s->newest[(size_t)s->trial[i]] : NULL;

        if (newest && (double)s->lag_s[i] <= at_s &&
            (*newest == SIZE_MAX || s->lag_s[i] >= s->lag_s[*newest]))
            *newest = i;
    }
    for (size_t t = 0; t < s->n_trials; t++) {
        size_t i = s->newest[t];

        if (i == SIZE_MAX)
            continue;
        s->newest[n] = i;
        memcpy(s->held_mean + n * p, s->mean + i * p, p * sizeof(float));
        memcpy(s->held_sd + n * p, s->sd + i * p, p * sizeof(float));
        memcpy(s->held_truth + n * p, s->truth + (size_t)s->stim[i] * p, p * sizeof(float));
        n++;
    }
    return n;
}

static struct phi_gauss_pair held_pair(const struct statements *s, size_t n)
{
    return (struct phi_gauss_pair){s->held_mean, s->held_sd, s->held_truth, n * s->p};
}

static enum ph_status score_point(struct statements *s, struct point *point, double *sim,
                                  uint32_t *picture, struct ph_error *reterr)
{
    const struct phi_ident ident = {sim, point->n, s->m, picture};
    const struct phi_gauss_pair pair = held_pair(s, point->n);
    enum ph_status status =
        phi_ident_correlate(s->held_mean, point->n, s->truth, s->m, s->p, sim, reterr);

    if (status)
        return status;
    point->share = 0;
    for (size_t k = 0; k < point->n; k++) {
        picture[k] = (uint32_t)s->stim[s->newest[k]];
        point->share += (double)s->share[s->newest[k]] / (double)point->n;
    }
    point->two_way = phi_ident_mean_n_way(&ident, 2);
    point->coverage = phi_gauss_coverage(&pair, Z90);
    return PH_OK;
}

/* One point a second, from the first at which half of the trials have a statement. */
static enum ph_status score_points(struct statements *s, struct point *points, size_t *ret_n,
                                   struct ph_error *reterr)
{
    double *sim = phi_calloc2(s->n_trials, s->m, sizeof *sim), longest = 0;
    uint32_t *picture = phi_calloc(s->n_trials, sizeof *picture);
    size_t n_all = hold(s, INFINITY);
    enum ph_status status =
        sim && picture ? PH_OK : phi_error_nomem(reterr, "similarities", s->n_trials * s->m * 8);

    for (size_t i = 0; i < s->n; i++)
        longest = usable(s, i) ? fmax(longest, (double)s->lag_s[i]) : longest;
    *ret_n = 0;
    for (int k = 0; status == PH_OK && k < MAX_POINTS && k * STEP_S < longest + STEP_S; k++) {
        struct point point = {.at_s = k * STEP_S};

        point.n = hold(s, point.at_s);
        if (2 * point.n < n_all)
            continue;
        status = score_point(s, &point, sim, picture, reterr);
        points[(*ret_n)++] = point;
    }
    phi_free(sim);
    phi_free(picture);
    return status;
}

static enum ph_status draw_course(const struct point *points, size_t n, const char *path,
                                  struct ph_error *reterr)
{
    double x[MAX_POINTS], two_way[MAX_POINTS], coverage[MAX_POINTS], share[MAX_POINTS],
        half[MAX_POINTS];
    const struct plot_curve drawn[] = {{"2-way identification", x, two_way, NULL, NULL, n, false},
                                       {"information in", x, share, NULL, NULL, n, false},
                                       {"90 % intervals cover", x, coverage, NULL, NULL, n, false},
                                       {"chance", x, half, NULL, NULL, n, true}};
    const struct plot plot = {.title = "Trials",
                              .x_label = "time after onset (s)",
                              .y_label = "share",
                              .curves = drawn,
                              .n_curves = 4,
                              .y_min = 0,
                              .y_max = 1.02};

    for (size_t i = 0; i < n; i++) {
        x[i] = points[i].at_s;
        two_way[i] = points[i].two_way;
        coverage[i] = points[i].coverage;
        share[i] = points[i].share;
        half[i] = 0.5;
    }
    return plot_write(&plot, path, reterr);
}

/* Nominal against true coverage of the last statements, and of the earliest point's. */
static enum ph_status draw_calibration(struct statements *s, const struct point *points,
                                       const char *path, struct ph_error *reterr)
{
    double level[N_LEVELS], early[N_LEVELS], last[N_LEVELS];
    const struct plot_curve drawn[] = {
        {"last statement", level, last, NULL, NULL, N_LEVELS, false},
        {"first statement", level, early, NULL, NULL, N_LEVELS, false},
        {"honest", level, level, NULL, NULL, N_LEVELS, true}};
    const struct plot plot = {.title = "Calibration",
                              .x_label = "interval said to hold",
                              .y_label = "share of true latents inside",
                              .curves = drawn,
                              .n_curves = 3,
                              .y_min = 0,
                              .y_max = 1};

    for (int turn = 0; turn < 2; turn++) {
        const struct phi_gauss_pair pair =
            held_pair(s, hold(s, turn ? (double)INFINITY : points[0].at_s));

        for (size_t i = 0; i < N_LEVELS; i++) {
            level[i] = 0.05 + 0.1 * (double)i;
            (turn ? last : early)[i] = phi_gauss_coverage(&pair, phi_gauss_z(level[i]));
        }
    }
    return plot_write(&plot, path, reterr);
}

static json_t *to_json(const struct point *points, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(
            array, json_pack("{s:f, s:I, s:f, s:f, s:f}", "after_onset_s", points[i].at_s, "trials",
                             (json_int_t)points[i].n, "identification_2way", points[i].two_way,
                             "coverage90", points[i].coverage, "information", points[i].share));
    return array;
}

static enum ph_status draw(struct statements *s, const struct point *points, size_t n,
                           const char *dir, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!phi_path_join(path, sizeof path, dir, REPORT_COURSE))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    status = draw_course(points, n, path, reterr);
    if (status == PH_OK && phi_path_join(path, sizeof path, dir, REPORT_CALIBRATION))
        status = draw_calibration(s, points, path, reterr);
    return status;
}

enum ph_status report_latents(const char *dir, const char *truth, json_t **ret_json,
                              struct ph_error *reterr)
{
    struct statements s = {0};
    struct point points[MAX_POINTS];
    char path[PHI_PATH_MAX];
    size_t n = 0;
    enum ph_status status = report_find(dir, "_desc-latents.safetensors", path)
                                ? load_statements(path, &s, reterr)
                                : phi_error(reterr, PH_E_IO, "'%s' holds no recorded latents", dir);

    if (status == PH_OK)
        status = load_truth(truth, &s, reterr);
    if (status == PH_OK)
        status = make_room(&s, reterr);
    if (status == PH_OK)
        status = score_points(&s, points, &n, reterr);
    if (status == PH_OK)
        status = draw(&s, points, n, dir, reterr);
    if (status == PH_OK)
        *ret_json = to_json(points, n);
    free_statements(&s);
    return status;
}
