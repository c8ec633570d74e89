/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "decode/image_score.h"
#include "decode/resample.h"
#include "eval/dand.h"
#include "tools/stimuli/face.h"

const char *const study_metric_names[STUDY_N_METRICS] = {"feature_distance", "feature_mse",
                                                         "pixel_r", "ssim"};

/* What the score functions see: the table of one method and metric, or differences. */
struct work {
    const double *table;  /* [n][n] picture i decoded against picture j shown, or NULL */
    const double *values; /* [n] else */
};

static double mean_paired(void *ctx, const uint32_t *order, size_t n)
{
    const struct work *w = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += w->table[i * n + order[i]];
    return sum / (double)n;
}

static double mean_drawn(void *ctx, const uint32_t *order, size_t n)
{
    const struct work *w = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += w->values[order[i]];
    return sum / (double)n;
}

static double feature_distance(const float *a, const float *b, size_t n, bool mean)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return 1 / (1 + (mean ? sum / (double)n : sqrt(sum)));
}

static enum ph_status score_pair(enum study_metric metric, struct phi_image_view a,
                                 struct phi_image_view b, const float *const features[2],
                                 size_t n_features, double *ret, struct ph_error *reterr)
{
    if (metric == STUDY_SSIM)
        return phi_image_ssim(a, b, 1, ret, reterr);
    if (metric == STUDY_PIXEL_R)
        *ret = phi_image_corr(a, b, NULL);
    else
        *ret = feature_distance(features[0], features[1], n_features, metric == STUDY_FEATURE_MSE);
    return PH_OK;
}

/* All pictures as values 0 to 1. */
static float *to_floats(const uint8_t *pixels, size_t n)
{
    float *values = phi_calloc2(n, EVAL_FACE_BYTES, sizeof *values);

    for (size_t i = 0; values && i < n * EVAL_FACE_BYTES; i++)
        values[i] = (float)pixels[i] / 255.0f;
    return values;
}

static enum ph_status fill_table(const struct study *study, const struct study_method *m,
                                 enum study_metric metric, const float *const pictures[2],
                                 double *table, struct ph_error *reterr)
{
    size_t n = study->n, f = study->faces.n_features, side = EVAL_FACE_SIDE;
    enum ph_status status = PH_OK;

    for (size_t i = 0; status == PH_OK && i < n; i++)
        for (size_t j = 0; status == PH_OK && j < n; j++) {
            struct phi_image_view a = {pictures[0] + i * EVAL_FACE_BYTES, side, side, 3};
            struct phi_image_view b = {pictures[1] + j * EVAL_FACE_BYTES, side, side, 3};
            const float *features[2] = {m->features + i * f, study->features + j * f};

            status = score_pair(metric, a, b, features, f, &table[i * n + j], reterr);
        }
    return status;
}

static enum ph_status bootstrap(const struct study *study, struct work *w,
                                struct phi_interval *ret_ci, struct ph_error *reterr)
{
    const struct phi_resample what = {mean_drawn, w, study->n, (size_t)study->args->n_draws,
                                      (uint64_t)study->args->seed};

    return phi_bootstrap(&what, 1, 0.95, ret_ci, reterr);
}

static enum ph_status summarise(const struct study *study, struct study_method *m,
                                enum study_metric metric, const double *table,
                                struct ph_error *reterr)
{
    struct study_score *score = &m->scores[metric];
    struct work w = {table, m->of_picture[metric]};
    const struct phi_resample what = {mean_paired, &w, study->n, (size_t)study->args->n_draws,
                                      (uint64_t)study->args->seed};
    size_t n = study->n;
    double all = 0, right = 0;
    struct phi_interval ci;
    struct phi_null null;
    enum ph_status status;

    for (size_t i = 0; i < n * n; i++)
        all += table[i];
    for (size_t i = 0; i < n; i++) {
        m->of_picture[metric][i] = table[i * n + i];
        right += table[i * n + i];
    }
    status = phi_null_permute(&what, &null, reterr);
    if (status == PH_OK)
        status = bootstrap(study, &w, &ci, reterr);
    if (status != PH_OK)
        return status;
    phi_mean_sem(m->of_picture[metric], n, &score->mean, &score->sem);
    score->low = ci.low;
    score->high = ci.high;
    score->other = (all - right) / (double)(n * (n - 1));
    score->p = null.p;
    return PH_OK;
}

static enum ph_status score_method(struct study *study, struct study_method *m, const float *shown,
                                   double *table, struct ph_error *reterr)
{
    float *pictures = to_floats(m->pixels, study->n);
    const float *const both[2] = {pictures, shown};
    enum ph_status status = pictures ? PH_OK : phi_error_nomem(reterr, "pictures", EVAL_FACE_BYTES);

    for (int metric = 0; status == PH_OK && metric < STUDY_N_METRICS; metric++) {
        m->of_picture[metric] = phi_calloc(study->n, sizeof(double));
        if (!m->of_picture[metric])
            status = phi_error_nomem(reterr, "scores", study->n * sizeof(double));
        if (status == PH_OK)
            status = fill_table(study, m, (enum study_metric)metric, both, table, reterr);
        if (status == PH_OK)
            status = summarise(study, m, (enum study_metric)metric, table, reterr);
    }
    phi_free(pictures);
    return status;
}

enum ph_status study_score_all(struct study *study, struct ph_error *reterr)
{
    double *table = phi_calloc2(study->n, study->n, sizeof *table);
    float *shown = to_floats(study->shown, study->n);
    enum ph_status status =
        table && shown ? PH_OK : phi_error_nomem(reterr, "pictures", study->n * EVAL_FACE_BYTES);

    for (size_t i = 0; status == PH_OK && i < study->n_methods; i++) {
        cli_progress("scores", i, study->n_methods);
        status = score_method(study, &study->methods[i], shown, table, reterr);
    }
    phi_free(table);
    phi_free(shown);
    return status;
}

const struct study_method *study_find(const struct study *study, int kind, int subject)
{
    for (size_t i = 0; i < study->n_methods; i++)
        if (study->methods[i].kind == kind && study->methods[i].subject == subject)
            return &study->methods[i];
    return NULL;
}

/* ---- differences ---- */

static enum ph_status add_difference(const struct study *study, const struct study_method *a,
                                     const struct study_method *b, double *values, json_t *list,
                                     struct ph_error *reterr)
{
    struct work w = {NULL, values};
    json_t *one = json_pack("{s:s, s:s}", "better", a->name, "than", b->name);
    enum ph_status status = PH_OK;

    for (int metric = 0; status == PH_OK && metric < STUDY_N_METRICS; metric++) {
        struct phi_interval ci;

        for (size_t i = 0; i < study->n; i++)
            values[i] = a->of_picture[metric][i] - b->of_picture[metric][i];
        status = bootstrap(study, &w, &ci, reterr);
        if (status == PH_OK)
            (void)json_object_set_new(
                one, study_metric_names[metric],
                json_pack("{s:f, s:[f, f]}", "by", ci.score, "ci95", ci.low, ci.high));
    }
    (void)json_array_append_new(list, one);
    return status;
}

enum ph_status study_differences(const struct study *study, json_t **ret_json,
                                 struct ph_error *reterr)
{
    static const int pairs[][2] = {{STUDY_DAND, STUDY_EIGENFACE},
                                   {STUDY_EIGENFACE, STUDY_IDENTITY},
                                   {STUDY_DAND, STUDY_IDENTITY},
                                   {STUDY_DAND, STUDY_LINEAR}};
    double *values = phi_calloc(study->n, sizeof *values);
    json_t *list = json_array();
    enum ph_status status =
        values ? PH_OK : phi_error_nomem(reterr, "scores", study->n * sizeof *values);

    for (size_t s = 0; s < study->n_subjects; s++)
        for (size_t i = 0; status == PH_OK && i < sizeof pairs / sizeof *pairs; i++) {
            const struct study_method *a = study_find(study, pairs[i][0], (int)s);
            const struct study_method *b = study_find(study, pairs[i][1], (int)s);

            if (a && b)
                status = add_difference(study, a, b, values, list, reterr);
        }
    phi_free(values);
    if (status != PH_OK)
        json_decref(list);
    else
        *ret_json = list;
    return status;
}

/* ---- attributes ---- */

static double correlate(const double *score, const struct study *study, const uint32_t *order,
                        size_t attribute)
{
    double n = (double)study->n, ma = 0, ms = 0, aa = 0, ss = 0, as = 0;
    size_t n_attributes;

    for (size_t i = 0; i < study->n; i++) {
        ma += (double)phi_stimuli_attributes(study->set, i, &n_attributes)[attribute] / n;
        ms += score[i] / n;
    }
    for (size_t i = 0; i < study->n; i++) {
        double a = (double)phi_stimuli_attributes(study->set, order ? order[i] : i,
                                                  &n_attributes)[attribute] -
                   ma;

        aa += a * a;
        ss += (score[i] - ms) * (score[i] - ms);
        as += a * (score[i] - ms);
    }
    return aa > 0 && ss > 0 ? as / sqrt(aa * ss) : 0;
}

struct attribute_work {
    const struct study *study;
    const double *score;
    size_t n_attributes;
};

static double largest(void *ctx, const uint32_t *order, size_t n)
{
    const struct attribute_work *w = ctx;
    double most = 0;

    (void)n;
    for (size_t k = 0; k < w->n_attributes; k++)
        most = fmax(most, fabs(correlate(w->score, w->study, order, k)));
    return most;
}

static enum ph_status relate(const struct study *study, enum study_metric metric, double *score,
                             json_t **ret_json, struct ph_error *reterr)
{
    struct attribute_work w = {study, score, 0};
    const struct phi_resample what = {largest, &w, study->n, (size_t)study->args->n_draws,
                                      (uint64_t)study->args->seed};
    json_t *all = json_object();
    struct phi_null null;
    enum ph_status status;

    (void)phi_stimuli_attributes(study->set, 0, &w.n_attributes);
    for (size_t i = 0; i < study->n; i++) {
        score[i] = 0;
        for (size_t s = 0; s < study->n_subjects; s++)
            score[i] += study_find(study, STUDY_DAND, (int)s)->of_picture[metric][i] /
                        (double)study->n_subjects;
    }
    status = phi_null_permute(&what, &null, reterr);
    for (size_t k = 0; k < w.n_attributes; k++) {
        const struct phi_face_factor_info *info = phi_face_factor_info((enum phi_face_factor)k);
        char name[32];

        (void)snprintf(name, sizeof name, "attribute %zu", k);
        (void)json_object_set_new(all,
                                  info && w.n_attributes == PHI_FACE_N_FACTORS ? info->name : name,
                                  json_real(correlate(score, study, NULL, k)));
    }
    *ret_json = json_pack("{s:f, s:f, s:f, s:o}", "largest", null.score, "p_of_largest", null.p,
                          "null_q95", null.q95, "r", all);
    return status;
}

enum ph_status study_attributes(const struct study *study, json_t **ret_json,
                                struct ph_error *reterr)
{
    static const enum study_metric metrics[] = {STUDY_FEATURE_DISTANCE, STUDY_SSIM};
    json_t *all = json_object();
    double *score;
    size_t n = 0;
    enum ph_status status = PH_OK;

    *ret_json = NULL;
    if (!phi_stimuli_attributes(study->set, 0, &n) || n == 0) {
        *ret_json = all;
        return PH_OK;
    }
    score = phi_calloc(study->n, sizeof *score);
    if (!score)
        status = phi_error_nomem(reterr, "scores", study->n * sizeof *score);
    for (size_t i = 0; status == PH_OK && i < 2; i++) {
        json_t *one = NULL;

        status = relate(study, metrics[i], score, &one, reterr);
        (void)json_object_set_new(all, study_metric_names[metrics[i]], one);
    }
    phi_free(score);
    if (status != PH_OK)
        json_decref(all);
    else
        *ret_json = all;
    return status;
}
