/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decode/corr.h"
#include "decode/linalg.h"
#include "decode/resample.h"
#include "eval/prednet.h"
#include "plugins/decoder/common/ridge_file.h"

#define MIN_SHIFT 15 /* volumes */

void study_layer_fini(struct study_layer *layer)
{
    phi_free(layer->volume);
    phi_free(layer->estimate);
    phi_free(layer->truth);
    memset(layer, 0, sizeof *layer);
}

static enum ph_status check_fit(const struct phi_ridge_model *model, const char *path,
                                const struct study_layer *layer, const struct fit_voxels *voxels,
                                struct ph_error *reterr)
{
    if (model->t != layer->t)
        return phi_error(reterr, PH_E_SHAPE, "%s estimates %zu features, R%d has %zu here", path,
                         model->t, layer->layer, layer->t);
    if (model->q != voxels->q || memcmp(model->voxels, voxels->index, model->q * sizeof(uint32_t)))
        return phi_error(reterr, PH_E_SHAPE,
                         "%s was fitted on %zu voxels, the run has %zu, or others: use its mask",
                         path, model->q, voxels->q);
    if (strcmp(model->chain, voxels->chain ? voxels->chain : "") != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "%s was fitted behind other filters: '%s'; this run file has '%s'", path,
                         model->chain, voxels->chain ? voxels->chain : "");
    return PH_OK;
}

struct collecting {
    struct study_layer *layer;
    struct phi_ridge_model *model;
    const struct fit_voxels *voxels;
    size_t capacity;
};

/* A volume with film: its truth, and the estimate if its later volumes lie in the run. */
static enum ph_status collect(void *ctx, size_t volume, const float *mean, struct ph_error *reterr)
{
    static const struct phi_parallel alone;
    struct collecting *c = ctx;
    const struct phi_ridge_model *m = c->model;
    const float *x[PHI_RIDGE_MAX_LAGS];
    struct study_layer *l = c->layer;

    (void)reterr;
    if ((int64_t)volume + m->first_lag < 0 ||
        (int64_t)volume + m->last_lag >= (int64_t)c->voxels->n || l->n == c->capacity)
        return PH_OK;
    for (size_t k = 0; k < m->n_lags; k++)
        x[k] = c->voxels->x + (size_t)((int64_t)volume + m->lags[k]) * m->q;
    (void)phi_ridge_model_run(c->model, x, &alone, l->estimate + l->n * l->t);
    memcpy(l->truth + l->n * l->t, mean, l->t * sizeof *mean);
    l->volume[l->n++] = volume;
    return PH_OK;
}

enum ph_status study_layer_decode(const char *ridge, int layer, const struct fit_voxels *voxels,
                                  const struct film_run *run, struct film_source *source,
                                  struct study_layer *ret_layer, struct ph_error *reterr)
{
    struct study_layer l = {.layer = layer, .t = phi_prednet_r_size(&source->config, layer)};
    struct collecting c = {.layer = &l, .voxels = voxels, .capacity = run->n_volumes};
    enum ph_status status = phi_ridge_model_open(ridge, PHI_GEMV_F32, &c.model, reterr);

    if (status == PH_OK)
        status = check_fit(c.model, ridge, &l, voxels, reterr);
    if (status == PH_OK) {
        l.volume = phi_calloc(run->n_volumes, sizeof *l.volume);
        l.estimate = phi_calloc2(run->n_volumes, l.t, sizeof *l.estimate);
        l.truth = phi_calloc2(run->n_volumes, l.t, sizeof *l.truth);
        if (!l.volume || !l.estimate || !l.truth)
            status = phi_error_nomem(reterr, "features", run->n_volumes * l.t * sizeof(float));
    }
    if (status == PH_OK)
        status = film_walk(source, run, layer, collect, &c, reterr);
    if (status == PH_OK && l.n < 2 * MIN_SHIFT + 2)
        status =
            phi_error(reterr, PH_E_SHAPE,
                      "only %zu volumes have film and all their delayed volumes; %d are needed",
                      l.n, 2 * MIN_SHIFT + 2);
    phi_ridge_model_destroy(&c.model);
    if (status)
        study_layer_fini(&l);
    else
        *ret_layer = l;
    return status;
}

/* Rows less their mean over time, so that a pattern is what sets a moment apart. */
static void centre(float *rows, size_t n, size_t t)
{
    for (size_t k = 0; k < t; k++) {
        double mean = 0;

        for (size_t i = 0; i < n; i++)
            mean += (double)rows[i * t + k] / (double)n;
        for (size_t i = 0; i < n; i++)
            rows[i * t + k] -= (float)mean;
    }
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n ? sum / (double)n : 0;
}

/* Mean unit correlation with the truth shifted; null[n_draws] sorted. */
static void draw_null(const struct phi_score_pair *pair, size_t n_draws, uint32_t *order,
                      double *null)
{
    struct phi_rng rng;

    phi_rng_init(&rng, 1, 0);
    for (size_t d = 0; d < n_draws; d++) {
        size_t shift =
            MIN_SHIFT + (size_t)(phi_rng_uniform(&rng) * (double)(pair->n - 2 * MIN_SHIFT + 1));

        for (size_t i = 0; i < pair->n; i++)
            order[i] = (uint32_t)((i + shift) % pair->n);
        null[d] = phi_corr_mean_reordered(pair, NULL, order, pair->n);
    }
    phi_sort_doubles(null, n_draws);
}

static json_t *report_of(const struct study_layer *l, const struct phi_score_pair *pair,
                         size_t n_draws, double *memory, uint32_t *order)
{
    double *r = memory, *pattern = r + l->t, *null = pattern + l->n, mean, median;
    size_t n_undefined = phi_corr_features(pair, r), n_above = 0;

    mean = mean_of(r, l->t);
    (void)phi_corr_patterns(pair, pattern);
    draw_null(pair, n_draws, order, null);
    for (size_t d = 0; d < n_draws; d++)
        n_above += null[d] >= mean;
    phi_sort_doubles(r, l->t);
    median = phi_quantile_sorted(r, l->t, 0.5);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "layer", (json_int_t)l->layer,
        "units", (json_int_t)l->t, "constant_units", (json_int_t)n_undefined, "volumes",
        (json_int_t)l->n, "unit_r", mean, "unit_r_median", median, "unit_r_q95",
        phi_quantile_sorted(r, l->t, 0.95), "null_mean", mean_of(null, n_draws), "null_q95",
        phi_quantile_sorted(null, n_draws, 0.95), "p",
        ((double)n_above + 1) / ((double)n_draws + 1), "pattern_r", mean_of(pattern, l->n));
}

enum ph_status study_layer_score(const struct study_layer *layer, size_t n_draws,
                                 json_t **ret_report, struct ph_error *reterr)
{
    size_t n_values = layer->n * layer->t;
    float *rows = phi_calloc2(2, n_values, sizeof *rows);
    double *memory = phi_calloc(layer->t + layer->n + n_draws, sizeof *memory);
    uint32_t *order = phi_calloc(layer->n, sizeof *order);
    enum ph_status status = PH_OK;

    if (rows && memory && order) {
        const struct phi_score_pair pair = {rows, rows + n_values, layer->n, layer->t};

        memcpy(rows, layer->estimate, n_values * sizeof *rows);
        memcpy(rows + n_values, layer->truth, n_values * sizeof *rows);
        centre(rows, layer->n, layer->t);
        centre(rows + n_values, layer->n, layer->t);
        *ret_report = report_of(layer, &pair, n_draws, memory, order);
    } else {
        status = phi_error_nomem(reterr, "scores", 2 * n_values * sizeof *rows);
    }
    phi_free(rows);
    phi_free(memory);
    phi_free(order);
    return status;
}
