/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/image_score.h"
#include "decode/paired.h"
#include "eval/dand.h"
#include "tools/stimuli/face.h"

const char *const study_metric_names[STUDY_N_METRICS] = {"feature_distance", "feature_mse",
                                                         "pixel_r", "ssim"};

static enum ph_status score_pair(enum study_metric metric, struct phi_image_view a,
                                 struct phi_image_view b, const float *const features[2],
                                 size_t n_features, double *ret, struct ph_error *reterr)
{
    if (metric == STUDY_SSIM)
        return phi_image_ssim(a, b, 1, ret, reterr);
    if (metric == STUDY_PIXEL_R)
        *ret = phi_image_corr(a, b, NULL);
    else
        *ret = metric == STUDY_FEATURE_MSE
                   ? phi_similarity_mse(features[0], features[1], n_features)
                   : phi_similarity_distance(features[0], features[1], n_features);
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

static struct phi_paired_items items_of(const struct study *study)
{
    return (struct phi_paired_items){study->n, (size_t)study->args->n_draws,
                                     (uint64_t)study->args->seed};
}

static enum ph_status summarise(const struct study *study, struct study_method *m,
                                enum study_metric metric, const double *table,
                                struct ph_error *reterr)
{
    const struct phi_paired_items items = items_of(study);

    for (size_t i = 0; i < study->n; i++)
        m->of_picture[metric][i] = table[i * study->n + i];
    return phi_paired_summary(table, &items, &m->scores[metric], reterr);
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
                                     const struct study_method *b, json_t *list,
                                     struct ph_error *reterr)
{
    const struct phi_paired_items items = items_of(study);
    json_t *one = json_pack("{s:s, s:s}", "better", a->name, "than", b->name);
    enum ph_status status = PH_OK;

    for (int metric = 0; status == PH_OK && metric < STUDY_N_METRICS; metric++) {
        struct phi_interval ci;

        status = phi_paired_difference(a->of_picture[metric], b->of_picture[metric], &items, &ci,
                                       reterr);
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
    json_t *list = json_array();
    enum ph_status status = PH_OK;

    for (size_t s = 0; s < study->n_subjects; s++)
        for (size_t i = 0; status == PH_OK && i < sizeof pairs / sizeof *pairs; i++) {
            const struct study_method *a = study_find(study, pairs[i][0], (int)s);
            const struct study_method *b = study_find(study, pairs[i][1], (int)s);

            if (a && b)
                status = add_difference(study, a, b, list, reterr);
        }
    if (status != PH_OK)
        json_decref(list);
    else
        *ret_json = list;
    return status;
}

/* ---- attributes ---- */

/* Score and attributes of all pictures, for one metric after the other. */
struct attributes {
    size_t k;
    float *values; /* [n][k] */
    double *score; /* [n] DAND's, mean over subjects */
    double *r;     /* [k] */
};

static bool take_attributes(const struct study *study, struct attributes *a)
{
    (void)phi_stimuli_attributes(study->set, 0, &a->k);
    a->values = phi_calloc2(study->n, a->k, sizeof *a->values);
    a->score = phi_calloc(study->n, sizeof *a->score);
    a->r = phi_calloc(a->k, sizeof *a->r);
    if (!a->values || !a->score || !a->r)
        return false;
    for (size_t i = 0; i < study->n; i++)
        memcpy(a->values + i * a->k, phi_stimuli_attributes(study->set, i, &a->k),
               a->k * sizeof *a->values);
    return true;
}

static const char *attribute_name(size_t k, size_t n, char room[32])
{
    const struct phi_face_factor_info *info = phi_face_factor_info((enum phi_face_factor)k);

    (void)snprintf(room, 32, "attribute %zu", k);
    return info && n == PHI_FACE_N_FACTORS ? info->name : room;
}

static enum ph_status relate(const struct study *study, enum study_metric metric,
                             struct attributes *a, json_t **ret_json, struct ph_error *reterr)
{
    const struct phi_paired_items items = items_of(study);
    const struct phi_relation relation = {a->score, a->values, a->k};
    json_t *all = json_object();
    struct phi_null null = {0};
    enum ph_status status;

    for (size_t i = 0; i < study->n; i++) {
        a->score[i] = 0;
        for (size_t s = 0; s < study->n_subjects; s++)
            a->score[i] += study_find(study, STUDY_DAND, (int)s)->of_picture[metric][i] /
                           (double)study->n_subjects;
    }
    status = phi_relation_test(&relation, &items, a->r, &null, reterr);
    for (size_t k = 0; k < a->k; k++) {
        char room[32];

        (void)json_object_set_new(all, attribute_name(k, a->k, room), json_real(a->r[k]));
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
    struct attributes attributes = {0};
    size_t n = 0;
    enum ph_status status = PH_OK;

    *ret_json = NULL;
    if (!phi_stimuli_attributes(study->set, 0, &n) || n == 0) {
        *ret_json = all;
        return PH_OK;
    }
    if (!take_attributes(study, &attributes))
        status = phi_error_nomem(reterr, "attributes", study->n * n * sizeof(float));
    for (size_t i = 0; status == PH_OK && i < 2; i++) {
        json_t *one = NULL;

        status = relate(study, metrics[i], &attributes, &one, reterr);
        (void)json_object_set_new(all, study_metric_names[metrics[i]], one);
    }
    phi_free(attributes.values);
    phi_free(attributes.score);
    phi_free(attributes.r);
    if (status != PH_OK)
        json_decref(all);
    else
        *ret_json = all;
    return status;
}
