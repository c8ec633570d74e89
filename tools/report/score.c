/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/image_score.h"
#include "eval/scores.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "phosphene/frame.h"
#include "report/report.h"

#define N_WAY 10

/* Rows of decoded and shown pictures, values 0 .. 1. */
struct rows {
    size_t n, p, height, width;
    float *estimate, *truth, *mean; /* [n][p], [n][p], [p] */
};

static void free_rows(struct rows *rows)
{
    phi_free(rows->estimate);
    phi_free(rows->truth);
    phi_free(rows->mean);
}

/* For each stimulus the row of the file that shows it last; SIZE_MAX for none. */
static enum ph_status last_rows(const struct phi_safetensors *file, size_t n_rows, size_t n_stimuli,
                                size_t *ret_last, struct ph_error *reterr)
{
    const size_t shape[1] = {n_rows};
    float *stimulus = NULL;
    float *trial = NULL;
    enum ph_status status =
        phi_safetensors_load_f32(file, "stim_index", 1, shape, &stimulus, reterr);

    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "trial", 1, shape, &trial, reterr);
    for (size_t s = 0; s < n_stimuli; s++)
        ret_last[s] = SIZE_MAX;
    for (size_t i = 0; i < n_rows && status == PH_OK; i++) {
        size_t s = stimulus[i] >= 0 ? (size_t)stimulus[i] : SIZE_MAX;

        if (s < n_stimuli && (ret_last[s] == SIZE_MAX || trial[i] > trial[ret_last[s]]))
            ret_last[s] = i;
    }
    phi_free(stimulus);
    phi_free(trial);
    return status;
}

static enum ph_status take_rows(struct rows *rows, size_t n, size_t height, size_t width)
{
    rows->height = height;
    rows->width = width;
    rows->p = height * width * 3;
    rows->estimate = phi_calloc2(n, rows->p, sizeof(float));
    rows->truth = phi_calloc2(n, rows->p, sizeof(float));
    rows->mean = phi_calloc(rows->p, sizeof(float));
    return rows->estimate && rows->truth && rows->mean ? PH_OK : PH_E_NOMEM;
}

static void fill_rows(struct rows *rows, const struct phi_safetensors_tensor *pictures,
                      const struct phi_stimuli *set, const size_t *last)
{
    const uint8_t *bytes = pictures->data;

    for (size_t s = 0; s < phi_stimuli_count(set); s++) {
        if (last[s] == SIZE_MAX)
            continue;
        for (size_t k = 0; k < rows->p; k++)
            rows->estimate[rows->n * rows->p + k] = (float)bytes[last[s] * rows->p + k] / 255.0f;
        phi_stimuli_to_float(set, s, rows->truth + rows->n * rows->p);
        rows->n++;
    }
    for (size_t i = 0; i < rows->n; i++)
        for (size_t k = 0; k < rows->p; k++)
            rows->mean[k] += rows->truth[i * rows->p + k] / (float)rows->n;
}

/* Mean SSIM of the decoded pictures, and of the mean of the shown ones in their place. */
static enum ph_status score_ssim(const struct rows *rows, double *ret_decoded, double *ret_mean,
                                 struct ph_error *reterr)
{
    *ret_decoded = *ret_mean = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const struct phi_image_view truth = {rows->truth + i * rows->p, rows->height, rows->width,
                                             3};
        const struct phi_image_view decoded = {rows->estimate + i * rows->p, rows->height,
                                               rows->width, 3};
        const struct phi_image_view mean = {rows->mean, rows->height, rows->width, 3};
        double one = 0;
        enum ph_status status = phi_image_ssim(decoded, truth, 1, &one, reterr);

        *ret_decoded += one / (double)rows->n;
        if (status == PH_OK)
            status = phi_image_ssim(mean, truth, 1, &one, reterr);
        *ret_mean += one / (double)rows->n;
        if (status != PH_OK)
            return status;
    }
    return PH_OK;
}

static json_t *score_json(const struct eval_scores *scores, const char *name, size_t n)
{
    const struct eval_score *score = eval_scores_find(scores, name);

    if (!score)
        return json_null();
    return json_pack("{s:f, s:[f, f], s:f, s:f, s:I}", "value", score->value, "ci95", score->low,
                     score->high, "chance", score->chance, "p", score->p, "n", (json_int_t)n);
}

static enum ph_status score_rows(const struct rows *rows, json_t **ret_json,
                                 struct ph_error *reterr)
{
    const struct eval_data data = {
        .estimate = rows->estimate, .truth = rows->truth, .n = rows->n, .p = rows->p};
    const struct eval_options options = {.n_block = 1, .n_draws = 1000, .seed = 1, .n_way = N_WAY};
    struct eval_scores scores = {.n = 0};
    char n_way[32];
    double ssim, ssim_mean;
    enum ph_status status;

    if (rows->n < 3)
        return phi_error(reterr, PH_E_SHAPE,
                         "only %zu shown stimuli have a picture; scores need at least 3", rows->n);
    status = eval_scores_compute(&data, &options, &scores, reterr);
    if (status == PH_OK)
        status = score_ssim(rows, &ssim, &ssim_mean, reterr);
    if (status != PH_OK)
        return status;
    (void)snprintf(n_way, sizeof n_way, "%d_way", rows->n < N_WAY ? (int)rows->n : N_WAY);
    *ret_json = json_pack("{s:o, s:o, s:o, s:{s:f, s:f}}", "identification_2way",
                          score_json(&scores, "two_way", rows->n), "identification_10way",
                          score_json(&scores, n_way, rows->n), "pixel_correlation",
                          score_json(&scores, "pattern_r", rows->n), "ssim", "value", ssim,
                          "mean_picture", ssim_mean);
    return PH_OK;
}

static enum ph_status score_file(const char *path, const struct phi_stimuli *set,
                                 struct report_scores *ret, struct ph_error *reterr)
{
    const size_t shape[4] = {0, phi_stimuli_height(set), phi_stimuli_width(set), 3};
    struct phi_safetensors *file = NULL;
    const struct phi_safetensors_tensor *pictures;
    struct rows rows = {.n = 0};
    size_t *last = phi_calloc(phi_stimuli_count(set), sizeof *last);
    enum ph_status status = last ? phi_safetensors_open(path, &file, reterr)
                                 : phi_error_nomem(reterr, "a list of stimuli", 0);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "pictures", 4, shape, &pictures, reterr);
    if (status == PH_OK)
        status = last_rows(file, pictures->shape[0], phi_stimuli_count(set), last, reterr);
    if (status == PH_OK && take_rows(&rows, phi_stimuli_count(set), shape[1], shape[2]) != PH_OK)
        status = phi_error_nomem(reterr, "pictures", phi_stimuli_count(set) * rows.p);
    if (status == PH_OK) {
        fill_rows(&rows, pictures, set, last);
        ret->n = rows.n;
        status = score_rows(&rows, &ret->json, reterr);
        if (status != PH_OK)
            (void)phi_error_prefix(reterr, "%s", path);
    }
    phi_safetensors_close(&file);
    free_rows(&rows);
    phi_free(last);
    return status;
}

static int is_pictures(const struct dirent *entry)
{
    return phi_str_starts(entry->d_name, "pictures-") &&
           phi_str_ends(entry->d_name, ".safetensors");
}

/* "pictures-dand.safetensors" -> "dand" */
static void generator_of(const char *file, char name[32])
{
    (void)snprintf(name, 32, "%.*s", (int)(strlen(file) - strlen("pictures-.safetensors")),
                   file + strlen("pictures-"));
}

enum ph_status report_score(const char *dir, const struct phi_stimuli *set, const char *first,
                            struct report_scores ret_scores[REPORT_MAX_GENERATORS], size_t *ret_n,
                            struct ph_error *reterr)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_pictures, alphasort);
    enum ph_status status = PH_OK;
    size_t done = 0;

    if (n <= 0)
        status =
            phi_error(reterr, PH_E_IO,
                      "'%s' holds no pictures-*.safetensors: the run needs a record sink", dir);
    for (int i = 0; i < n; i++) {
        char path[PHI_PATH_MAX];
        struct report_scores *slot = &ret_scores[done];

        if (status == PH_OK && done < REPORT_MAX_GENERATORS &&
            phi_path_join(path, sizeof path, dir, entries[i]->d_name)) {
            memset(slot, 0, sizeof *slot);
            generator_of(entries[i]->d_name, slot->generator);
            status = score_file(path, set, slot, reterr);
            if (first && strcmp(slot->generator, first) == 0 && done > 0) {
                struct report_scores moved = *slot;

                memmove(ret_scores + 1, ret_scores, done * sizeof *ret_scores);
                ret_scores[0] = moved;
            }
            done++;
        }
        free(entries[i]);
    }
    free(entries);
    *ret_n = done;
    return status;
}
