/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "decode/image_score.h"
#include "eval/scores.h"
#include "io/file.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "report/report.h"

#define N_WAY      10
#define MAX_TRIALS 1000000

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

/* Trials of the recording's latents and the stimulus each showed; the last statement counts. */
struct trials {
    size_t n;          /* one more than the largest number */
    int32_t *stimulus; /* [n], -1 for unknown */
};

static enum ph_status read_trials(const char *path, struct trials *trials, struct ph_error *reterr)
{
    static const size_t any[1] = {0};
    struct phi_safetensors *file = NULL;
    const struct phi_safetensors_tensor *numbers = NULL;
    float *trial = NULL;
    float *stimulus = NULL;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect(file, "trial", 1, any, &numbers, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "trial", 1, numbers->shape, &trial, reterr);
    if (status == PH_OK)
        status = phi_safetensors_load_f32(file, "stim_index", 1, numbers->shape, &stimulus, reterr);
    for (size_t i = 0; status == PH_OK && i < numbers->n_values; i++)
        if (trial[i] >= 0 && trial[i] < MAX_TRIALS && (size_t)trial[i] >= trials->n)
            trials->n = (size_t)trial[i] + 1;
    trials->stimulus = phi_calloc(trials->n, sizeof *trials->stimulus);
    if (status == PH_OK && !trials->stimulus)
        status = phi_error_nomem(reterr, "a list of trials", trials->n);
    for (size_t k = 0; status == PH_OK && k < trials->n; k++)
        trials->stimulus[k] = -1;
    for (size_t i = 0; status == PH_OK && i < numbers->n_values; i++)
        if (trial[i] >= 0 && trial[i] < MAX_TRIALS)
            trials->stimulus[(size_t)trial[i]] = (int32_t)stimulus[i];
    phi_free(trial);
    phi_free(stimulus);
    phi_safetensors_close(&file);
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

/* One decoded picture of the recording, as its file's name says it. */
struct figure {
    char file[128];
    char generator[32];
    unsigned trial, revision;
};

/* "desc-dand_vol-000048_trial-00010_rev-18.png" */
static bool parse_figure(const char *file, struct figure *figure)
{
    unsigned long volume;
    int end = 0;

    if (!phi_str_copy(figure->file, sizeof figure->file, file) ||
        sscanf(file, "desc-%31[^_]_vol-%lu_trial-%u_rev-%u.png%n", figure->generator, &volume,
               &figure->trial, &figure->revision, &end) != 4)
        return false;
    return end > 0 && file[end] == '\0';
}

struct figures {
    size_t n;
    struct figure *items; /* [n] */
};

static int is_figure(const struct dirent *entry)
{
    struct figure figure;

    return parse_figure(entry->d_name, &figure);
}

static enum ph_status list_figures(const char *dir, struct figures *figures,
                                   struct ph_error *reterr)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, is_figure, alphasort);
    enum ph_status status = PH_OK;

    if (n <= 0)
        status = phi_error(reterr, PH_E_IO, "'%s' holds no recorded pictures", dir);
    else
        figures->items = phi_calloc((size_t)n, sizeof *figures->items);
    for (int i = 0; i < n; i++) {
        if (figures->items && parse_figure(entries[i]->d_name, &figures->items[figures->n]))
            figures->n++;
        free(entries[i]);
    }
    free(entries);
    if (status == PH_OK && !figures->items)
        status = phi_error_nomem(reterr, "a list of pictures", (size_t)n);
    return status;
}

/* For each stimulus the generator's picture of its last showing, the last revision; NULL for none.
 */
static void last_figures(const struct figures *figures, const char *generator,
                         const struct trials *trials, size_t n_stimuli,
                         const struct figure **ret_last)
{
    for (size_t s = 0; s < n_stimuli; s++)
        ret_last[s] = NULL;
    for (size_t i = 0; i < figures->n; i++) {
        const struct figure *figure = &figures->items[i];
        int32_t s = figure->trial < trials->n ? trials->stimulus[figure->trial] : -1;
        const struct figure *best;

        if (s < 0 || (size_t)s >= n_stimuli || strcmp(figure->generator, generator) != 0)
            continue;
        best = ret_last[s];
        if (!best || figure->trial > best->trial ||
            (figure->trial == best->trial && figure->revision > best->revision))
            ret_last[s] = figure;
    }
}

static enum ph_status fill_rows(struct rows *rows, const char *dir, const struct phi_stimuli *set,
                                const struct figure *const *last, struct ph_error *reterr)
{
    for (size_t s = 0; s < phi_stimuli_count(set); s++) {
        struct phi_image image = {0};
        char path[PHI_PATH_MAX];
        enum ph_status status;

        if (!last[s])
            continue;
        if (!phi_path_join(path, sizeof path, dir, last[s]->file))
            return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", last[s]->file);
        status = phi_image_open(path, &image, reterr);
        if (status == PH_OK && (image.height != rows->height || image.width != rows->width))
            status = phi_error(reterr, PH_E_SHAPE, "%s is %zu x %zu, the stimuli are %zu x %zu",
                               path, image.width, image.height, rows->width, rows->height);
        for (size_t k = 0; status == PH_OK && k < rows->p; k++)
            rows->estimate[rows->n * rows->p + k] = (float)image.pixels[k] / 255.0f;
        phi_image_fini(&image);
        if (status != PH_OK)
            return status;
        phi_stimuli_to_float(set, s, rows->truth + rows->n * rows->p);
        rows->n++;
    }
    for (size_t i = 0; i < rows->n; i++)
        for (size_t k = 0; k < rows->p; k++)
            rows->mean[k] += rows->truth[i * rows->p + k] / (float)rows->n;
    return PH_OK;
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

/* What a recording holds, as far as scores need it. */
struct recorded {
    char latents[PHI_PATH_MAX], figures_dir[PHI_PATH_MAX];
    struct trials trials;
    struct figures figures;
};

static enum ph_status score_generator(const struct recorded *recorded,
                                      const struct phi_stimuli *set, struct report_scores *ret,
                                      struct ph_error *reterr)
{
    size_t n = phi_stimuli_count(set);
    const struct figure **last = phi_calloc(n, sizeof *last);
    struct rows rows = {.n = 0};
    enum ph_status status = PH_OK;

    if (!last || take_rows(&rows, n, phi_stimuli_height(set), phi_stimuli_width(set)) != PH_OK)
        status = phi_error_nomem(reterr, "pictures", n * rows.p);
    if (status == PH_OK) {
        last_figures(&recorded->figures, ret->generator, &recorded->trials, n, last);
        status = fill_rows(&rows, recorded->figures_dir, set, last, reterr);
    }
    if (status == PH_OK) {
        ret->n = rows.n;
        status = score_rows(&rows, &ret->json, reterr);
        if (status != PH_OK)
            (void)phi_error_prefix(reterr, "%s", ret->generator);
    }
    free_rows(&rows);
    phi_free(last);
    return status;
}

/* Labels of subject, session and run are the recording's own, so the tree is searched. */
bool report_find(const char *dir, const char *ending, char *path)
{
    char root[PHI_PATH_MAX];
    char *roots[2] = {root, NULL};
    FTS *walk;
    FTSENT *entry;
    bool found = false;

    if (!phi_path_join(root, sizeof root, dir, "bids/derivatives/phosphene"))
        return false;
    walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (walk && !found && (entry = fts_read(walk)))
        found = ((entry->fts_info == FTS_F && phi_str_ends(entry->fts_name, ending)) ||
                 (entry->fts_info == FTS_D && strcmp(entry->fts_name, ending) == 0)) &&
                phi_str_copy(path, PHI_PATH_MAX, entry->fts_path);
    if (walk)
        (void)fts_close(walk);
    return found;
}

static enum ph_status find_files(const char *dir, struct recorded *recorded,
                                 struct ph_error *reterr)
{
    if (report_find(dir, "_desc-latents.safetensors", recorded->latents) &&
        report_find(dir, "figures", recorded->figures_dir))
        return PH_OK;
    return phi_error(reterr, PH_E_IO,
                     "'%s' holds no recorded latents and pictures: the run needs a record sink",
                     dir);
}

/* Several pictures beside each other (samples of the posterior) are no reconstruction. */
static bool is_strip(const char *dir, const struct figure *figure)
{
    struct phi_image image = {0};
    char path[PHI_PATH_MAX];
    struct ph_error ignored; /* a picture that cannot be read is told of when it is scored */
    bool strip = phi_path_join(path, sizeof path, dir, figure->file) &&
                 phi_image_open(path, &image, &ignored) == PH_OK && image.width >= 2 * image.height;

    phi_image_fini(&image);
    return strip;
}

/* The generators that drew reconstructions, `first` in front. */
static size_t list_generators(const struct recorded *recorded, const char *first,
                              struct report_scores scores[REPORT_MAX_GENERATORS])
{
    const struct figures *figures = &recorded->figures;
    const char *strip = "";
    size_t n = 0;

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < figures->n; i++) {
            const char *name = figures->items[i].generator;
            size_t k = 0;

            if (strcmp(name, strip) == 0)
                continue;

            if (pass == 0 && (!first || strcmp(name, first) != 0))
                continue;
            while (k < n && strcmp(scores[k].generator, name) != 0)
                k++;
            if (k == n && is_strip(recorded->figures_dir, &figures->items[i]))
                strip = name;
            else if (k == n && n < REPORT_MAX_GENERATORS)
                (void)phi_str_copy(scores[n++].generator, sizeof scores[0].generator, name);
        }
    return n;
}

enum ph_status report_score(const char *dir, const struct phi_stimuli *set, const char *first,
                            struct report_scores ret_scores[REPORT_MAX_GENERATORS], size_t *ret_n,
                            struct ph_error *reterr)
{
    struct recorded recorded = {.figures = {.n = 0}};
    size_t n = 0;
    enum ph_status status = find_files(dir, &recorded, reterr);

    if (status == PH_OK)
        status = read_trials(recorded.latents, &recorded.trials, reterr);
    if (status == PH_OK)
        status = list_figures(recorded.figures_dir, &recorded.figures, reterr);
    if (status == PH_OK)
        n = list_generators(&recorded, first, ret_scores);
    for (size_t i = 0; i < n && status == PH_OK; i++)
        status = score_generator(&recorded, set, &ret_scores[i], reterr);
    phi_free(recorded.trials.stimulus);
    phi_free(recorded.figures.items);
    *ret_n = n;
    return status;
}
