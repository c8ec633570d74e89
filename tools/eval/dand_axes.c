/* SPDX-License-Identifier: MIT
 *
 * Attributes read from decoded latents along the axes of phos axes, against those of the faces
 * shown.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/corr.h"
#include "eval/dand.h"
#include "io/safetensors.h"

#define N_BEST 6

struct axes {
    size_t k, p;
    double *axis, *slope, *intercept; /* [k][p], [k], [k] */
    float *estimate, *truth;          /* [n][k] */
    double *r;                        /* [k] */
    char *names;                      /* one a line */
};

static void free_axes(struct axes *a)
{
    void *blocks[] = {a->axis, a->slope, a->intercept, a->estimate, a->truth, a->r, a->names};

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        phi_free(blocks[i]);
}

static enum ph_status check_space(const struct phi_safetensors *file, const struct study *study,
                                  struct ph_error *reterr)
{
    const char *space = phi_safetensors_metadata(file, "latents.space");
    char own[TRAIN_SPACE];

    train_encoder_space(study->faces.weights, own);
    if (!space || strcmp(space, own) == 0)
        return PH_OK;
    return phi_error(reterr, PH_E_INVAL, "%s holds axes of another model (space %s) than %s (%s)",
                     phi_safetensors_path(file), space, study->args->model, own);
}

static enum ph_status read_axes(const struct study *study, struct axes *a, struct ph_error *reterr)
{
    const size_t shape[2] = {0, study->faces.n_latent};
    const struct phi_safetensors_tensor *tensor;
    struct phi_safetensors *file = NULL;
    int64_t version;
    enum ph_status status = phi_safetensors_open(study->args->axes, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect_kind(file, "axes", 1, &version, reterr);
    if (status == PH_OK)
        status = check_space(file, study, reterr);
    if (status == PH_OK)
        status = phi_safetensors_expect(file, "axes", 2, shape, &tensor, reterr);
    if (status == PH_OK) {
        const char *names = phi_safetensors_metadata(file, "attribute_names");

        a->k = tensor->shape[0];
        a->p = tensor->shape[1];
        a->names = phi_calloc(names ? strlen(names) + 1 : 1, 1);
        if (a->names && names)
            memcpy(a->names, names, strlen(names));
        status = phi_safetensors_load_f64(file, "axes", 2, tensor->shape, &a->axis, reterr);
    }
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "slope", 1, &a->k, &a->slope, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f64(file, "intercept", 1, &a->k, &a->intercept, reterr);
    phi_safetensors_close(&file);
    return status;
}

static enum ph_status read_truth(const struct study *study, struct axes *a, struct ph_error *reterr)
{
    size_t n_attributes = 0;

    if (!phi_stimuli_attributes(study->set, 0, &n_attributes) || n_attributes != a->k)
        return phi_error(reterr, PH_E_SHAPE, "%s: %zu attributes, the axes are of %zu",
                         study->args->stimuli, n_attributes, a->k);
    a->estimate = phi_calloc2(study->n, a->k, sizeof *a->estimate);
    a->truth = phi_calloc2(study->n, a->k, sizeof *a->truth);
    a->r = phi_calloc(a->k, sizeof *a->r);
    if (!a->estimate || !a->truth || !a->r)
        return phi_error_nomem(reterr, "attributes", study->n * a->k * sizeof *a->truth);
    for (size_t i = 0; i < study->n; i++)
        memcpy(a->truth + i * a->k, phi_stimuli_attributes(study->set, i, &n_attributes),
               a->k * sizeof *a->truth);
    return PH_OK;
}

/* attribute = intercept + slope * (latents along the axis). */
static void read_off(const struct axes *a, const float *latents, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < a->k; j++) {
            double along = 0;

            for (size_t c = 0; c < a->p; c++)
                along += a->axis[j * a->p + c] * (double)latents[i * a->p + c];
            a->estimate[i * a->k + j] = (float)(a->intercept[j] + a->slope[j] * along);
        }
}

static double mean_r(void *ctx, const uint32_t *order, size_t n)
{
    return phi_corr_mean_reordered(ctx, NULL, order, n);
}

static json_t *by_name(const struct axes *a)
{
    json_t *all = json_object();
    const char *name = a->names;

    for (size_t j = 0; j < a->k && *name; j++) {
        size_t length = strcspn(name, "\n");

        (void)json_object_setn_new(all, name, length, json_real(a->r[j]));
        name += name[length] ? length + 1 : length;
    }
    return all;
}

static enum ph_status add_subject(const struct study *study, struct axes *a, size_t subject,
                                  json_t *list, struct ph_error *reterr)
{
    struct phi_score_pair pair = {a->estimate, a->truth, study->n, a->k};
    const struct phi_resample what = {mean_r, &pair, study->n, (size_t)study->args->n_draws,
                                      (uint64_t)study->args->seed};
    struct phi_null null;
    enum ph_status status;

    read_off(a, study->subjects[subject].latents, study->n);
    (void)phi_corr_features(&pair, a->r);
    status = phi_null_permute(&what, &null, reterr);
    if (status == PH_OK)
        (void)json_array_append_new(list, json_pack("{s:I, s:f, s:f, s:o}", "subject",
                                                    (json_int_t)subject + 1, "mean_r", null.score,
                                                    "p", null.p, "r", by_name(a)));
    return status;
}

enum ph_status study_axes(const struct study *study, json_t **ret_json, struct ph_error *reterr)
{
    struct axes a = {0};
    json_t *list = json_array();
    enum ph_status status = PH_OK;

    if (study->args->axes) {
        status = read_axes(study, &a, reterr);
        if (status == PH_OK)
            status = read_truth(study, &a, reterr);
        for (size_t s = 0; status == PH_OK && s < study->n_subjects; s++)
            status = add_subject(study, &a, s, list, reterr);
        free_axes(&a);
    }
    if (status != PH_OK)
        json_decref(list);
    else
        *ret_json = list;
    return status;
}

void study_axes_text(const json_t *list, FILE *file)
{
    size_t i;
    json_t *one;

    if (json_array_size(list))
        fprintf(file, "\nattributes read along axes of the decoded latents, r with those shown\n");
    json_array_foreach(list, i, one)
    {
        json_t *left = json_deep_copy(json_object_get(one, "r"));

        fprintf(file, "  subject %lld: mean %.2f (p %.3f):",
                (long long)json_integer_value(json_object_get(one, "subject")),
                json_real_value(json_object_get(one, "mean_r")),
                json_real_value(json_object_get(one, "p")));
        for (int n = 0; n < N_BEST && json_object_size(left); n++) {
            const char *name, *best = NULL;
            double most = -2;
            json_t *r;

            json_object_foreach(left, name, r) if (json_real_value(r) > most)
            {
                most = json_real_value(r);
                best = name;
            }
            fprintf(file, "%s %s %+.2f", n ? "," : "", best, most);
            (void)json_object_del(left, best);
        }
        fprintf(file, "\n");
        json_decref(left);
    }
}
