/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "eval/plot.h"
#include "eval/prednet.h"
#include "io/file.h"
#include "io/safetensors.h"

#define N_COLUMNS 3
#define TILE      160 /* pixels of a map's width */
#define N_TENSORS 9
#define NAME_SIZE 32
#define LIMIT     0.0501f /* with 20 orders, .05 is the least there is */

static enum ph_status join(const char *dir, const char *name, char *path, struct ph_error *reterr)
{
    return phi_path_join(path, PHI_PATH_MAX, dir, name)
               ? PH_OK
               : phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
}

/* ---- everything, as numbers ---- */

static void list_tensors(const struct study_scores *s, char names[N_TENSORS][NAME_SIZE],
                         struct phi_safetensors_tensor *tensors)
{
    const size_t units[3] = {s->n_channels, s->h, s->w};
    const struct {
        const char *name;
        size_t n_dims;
        const size_t *shape;
        const void *data;
        enum phi_safetensors_dtype dtype;
    } from[N_TENSORS] = {
        {"unit_r", 3, units, s->unit_r, PHI_SAFETENSORS_F32},
        {"unit_p", 3, units, s->unit_p, PHI_SAFETENSORS_F32},
        {"map_r", 2, units + 1, s->map_r, PHI_SAFETENSORS_F32},
        {"map_p", 2, units + 1, s->map_p, PHI_SAFETENSORS_F32},
        {"map_p_corrected", 2, units + 1, s->map_p_corrected, PHI_SAFETENSORS_F32},
        {"pattern_r", 1, &s->n, s->pattern_r, PHI_SAFETENSORS_F32},
        {"pattern_p", 1, &s->n, s->pattern_p, PHI_SAFETENSORS_F32},
        {"null_unit_r", 1, &s->n_shifts, s->null_unit_r, PHI_SAFETENSORS_F64},
        {"null_pattern_r", 1, &s->n_shifts, s->null_pattern_r, PHI_SAFETENSORS_F64}};

    for (size_t i = 0; i < N_TENSORS; i++) {
        (void)snprintf(names[i], NAME_SIZE, "R%d.%s", s->layer, from[i].name);
        tensors[i] = (struct phi_safetensors_tensor){.name = names[i],
                                                     .dtype = from[i].dtype,
                                                     .n_dims = from[i].n_dims,
                                                     .data = from[i].data};
        for (size_t d = 0; d < from[i].n_dims; d++)
            tensors[i].shape[d] = from[i].shape[d];
    }
}

static enum ph_status write_numbers(const struct study_scores *scores, size_t n_layers,
                                    const char *path, struct ph_error *reterr)
{
    static const struct phi_safetensors_pair pairs[] = {{"phosphene.kind", "scores"},
                                                        {"phosphene.version", "1"}};
    char names[PHI_PREDNET_LAYERS][N_TENSORS][NAME_SIZE],
        volume_names[PHI_PREDNET_LAYERS][NAME_SIZE];
    struct phi_safetensors_tensor tensors[PHI_PREDNET_LAYERS * (N_TENSORS + 1)];
    double *volumes[PHI_PREDNET_LAYERS] = {NULL};
    struct phi_safetensors_content content = {tensors, n_layers * (N_TENSORS + 1), pairs, 2};
    enum ph_status status = PH_OK;

    for (size_t l = 0; l < n_layers; l++) {
        const struct study_scores *s = &scores[l];
        struct phi_safetensors_tensor *last = &tensors[l * (N_TENSORS + 1) + N_TENSORS];

        list_tensors(s, names[l], last - N_TENSORS);
        volumes[l] = phi_calloc(s->n, sizeof *volumes[l]);
        for (size_t i = 0; volumes[l] && i < s->n; i++)
            volumes[l][i] = (double)s->volume[i];
        if (!volumes[l])
            status = phi_error_nomem(reterr, "numbers of volumes", s->n * sizeof *volumes[l]);
        (void)snprintf(volume_names[l], NAME_SIZE, "R%d.volume", s->layer);
        *last = (struct phi_safetensors_tensor){.name = volume_names[l],
                                                .dtype = PHI_SAFETENSORS_F64,
                                                .n_dims = 1,
                                                .shape = {s->n},
                                                .data = volumes[l]};
    }
    if (status == PH_OK)
        status = phi_safetensors_write(path, &content, reterr);
    for (size_t l = 0; l < n_layers; l++)
        phi_free(volumes[l]);
    return status;
}

/* ---- where in the picture ---- */

/* White at 0, red up to `most`, blue down to -most. */
static void colour(float r, float most, float *planes, size_t plane)
{
    float x = most > 0 ? fabsf(r) / most : 0, rest = x < 1 ? 1 - x : 0;

    planes[0] = r >= 0 ? 1 : rest;
    planes[plane] = rest;
    planes[2 * plane] = r >= 0 ? rest : 1;
}

static float largest_of(const struct study_scores *scores, size_t n_layers)
{
    float most = 0;

    for (size_t l = 0; l < n_layers; l++)
        for (size_t k = 0; k < scores[l].h * scores[l].w; k++)
            most = fabsf(scores[l].map_r[k]) > most ? fabsf(scores[l].map_r[k]) : most;
    return most;
}

/* Column 0: r everywhere; 1: where p is below its limit; 2: where the corrected one is. */
static void paint_map(const struct study_scores *s, size_t column, float most, float *planes)
{
    const float *p = column == 1 ? s->map_p : s->map_p_corrected;
    size_t n = s->h * s->w;

    for (size_t k = 0; k < n; k++) {
        if (column == 0 || p[k] < LIMIT)
            colour(s->map_r[k], most, planes + k, n);
        else
            planes[k] = planes[n + k] = planes[2 * n + k] = 0.8f;
    }
}

static enum ph_status put_maps(const struct study_scores *scores, size_t n_layers,
                               struct phi_sheet *sheet, struct ph_error *reterr)
{
    float most = largest_of(scores, n_layers);
    char label[64];

    for (size_t l = 0; l < n_layers; l++) {
        const struct study_scores *s = &scores[l];
        float *planes = phi_calloc2(s->h * s->w, 3, sizeof *planes);
        enum ph_status status = planes ? PH_OK : phi_error_nomem(reterr, "a map", s->h * s->w * 12);

        for (size_t c = 0; status == PH_OK && c < N_COLUMNS; c++) {
            const struct phi_sheet_cell cell = {l, c};

            paint_map(s, c, most, planes);
            status = phi_sheet_put_planes(sheet, cell, s->w, s->h, planes);
        }
        phi_free(planes);
        if (status != PH_OK)
            return status;
        (void)snprintf(label, sizeof label, "R%d  %zux%zu", s->layer, s->h, s->w);
        phi_sheet_label_row(sheet, l, label);
    }
    (void)snprintf(label, sizeof label, "r, red +%.2f", (double)most);
    phi_sheet_label_col(sheet, 0, label);
    phi_sheet_label_col(sheet, 1, "p <= .05 here");
    phi_sheet_label_col(sheet, 2, "p <= .05, corrected");
    return PH_OK;
}

static enum ph_status write_maps(const struct study_scores *scores, size_t n_layers,
                                 const char *path, struct ph_error *reterr)
{
    const struct phi_sheet_layout layout = {.n_rows = n_layers,
                                            .n_cols = N_COLUMNS,
                                            .tile_width = TILE,
                                            .tile_height = TILE * scores[0].h / scores[0].w,
                                            .left = 90,
                                            .top = 20,
                                            .gap = 4};
    struct phi_sheet *sheet = NULL;
    enum ph_status status = phi_sheet_create(&layout, &sheet, reterr);

    if (status == PH_OK)
        status = put_maps(scores, n_layers, sheet, reterr);
    if (status == PH_OK)
        status = phi_sheet_write(sheet, path, reterr);
    phi_sheet_destroy(&sheet);
    return status;
}

/* ---- when in the film ---- */

/* The layers' curves, and the band of the first one's shifts. memory[(2 + n_layers) n] per curve.
 */
static enum ph_status write_curves(const struct study_scores *scores, size_t n_layers,
                                   const char *path, struct ph_error *reterr)
{
    const struct study_scores *first = &scores[0];
    struct plot_curve curves[PHI_PREDNET_LAYERS + 1] = {{.name = NULL}};
    char names[PHI_PREDNET_LAYERS + 1][NAME_SIZE];
    size_t n = first->n, n_curves = 0;
    double *memory = phi_calloc2(n_layers + 4, n, sizeof *memory);
    double *x = memory, *low = x + n, *middle = low + n, *high = middle + n, *y = high + n;
    struct plot plot = {.title = "Correlation over space, volume by volume",
                        .x_label = "volume of the run",
                        .y_label = "r of decoded and true R",
                        .curves = curves};
    enum ph_status status;

    if (!memory)
        return phi_error_nomem(reterr, "a plot", (n_layers + 4) * n * sizeof *memory);
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)first->volume[i];
        low[i] = (double)first->pattern_low[i];
        high[i] = (double)first->pattern_high[i];
        middle[i] = 0.5 * (low[i] + high[i]);
    }
    for (size_t l = 0; l < n_layers; l++) {
        if (scores[l].n != n) /* decoded at other lags */
            continue;
        for (size_t i = 0; i < n; i++)
            y[i] = (double)scores[l].pattern_r[i];
        (void)snprintf(names[n_curves], NAME_SIZE, "R%d", scores[l].layer);
        curves[n_curves] = (struct plot_curve){.name = names[n_curves], .x = x, .y = y, .n = n};
        n_curves++;
        y += n;
    }
    (void)snprintf(names[n_curves], NAME_SIZE, "R%d, 95 %% of shifts", first->layer);
    curves[n_curves] = (struct plot_curve){.name = names[n_curves],
                                           .x = x,
                                           .y = middle,
                                           .low = low,
                                           .high = high,
                                           .n = n,
                                           .dashed = true};
    plot.n_curves = n_curves + 1;
    status = plot_write(&plot, path, reterr);
    phi_free(memory);
    return status;
}

enum ph_status study_scores_write(const struct study_scores *scores, size_t n_layers,
                                  const char *dir, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    enum ph_status status = join(dir, "scores.safetensors", path, reterr);

    if (status == PH_OK)
        status = write_numbers(scores, n_layers, path, reterr);
    if (status == PH_OK)
        status = join(dir, "maps.png", path, reterr);
    if (status == PH_OK)
        status = write_maps(scores, n_layers, path, reterr);
    if (status == PH_OK)
        status = join(dir, "over_space.png", path, reterr);
    return status == PH_OK ? write_curves(scores, n_layers, path, reterr) : status;
}
