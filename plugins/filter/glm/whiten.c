/* SPDX-License-Identifier: MIT */
#include "plugins/filter/glm/whiten.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/ar1.h"
#include "signal/sort.h"

/* Voxels that are looked at, spread evenly. */
#define MAX_SAMPLE 4096

struct glm_whiten {
    size_t n_wanted, n_capacity, n_parts, n_columns;
    size_t n; /* values of a frame */
    size_t n_kept;
    bool done;
    float *y;        /* [n_wanted][n] */
    double *rows;    /* [n_wanted][n_parts][n_columns] */
    double *design;  /* [n_wanted][n_columns] of one part */
    uint64_t *index; /* [n_wanted] */
    float *sample;   /* [MAX_SAMPLE] estimates */
    struct phi_ar1 *ar1;
};

enum ph_status glm_whiten_open(size_t n_volumes, size_t n_capacity, const struct glm_model *model,
                               struct glm_whiten **ret_whiten, struct ph_error *reterr)
{
    struct glm_whiten *w = phi_calloc(1, sizeof *w);
    enum ph_status status;

    if (!w)
        return phi_error_nomem(reterr, "the first volumes", sizeof *w);
    *w = (struct glm_whiten){.n_wanted = n_volumes,
                             .n_capacity = n_capacity,
                             .n_parts = model->n_parts,
                             .n_columns = model->n_columns,
                             .n = n_capacity};
    status = phi_ar1_create(n_volumes, model->n_columns, &w->ar1, reterr);
    if (status == PH_OK) {
        w->y = phi_calloc2(n_volumes, n_capacity, sizeof *w->y);
        w->rows = phi_calloc2(n_volumes * model->n_parts, model->n_columns, sizeof *w->rows);
        w->design = phi_calloc2(n_volumes, model->n_columns, sizeof *w->design);
        w->index = phi_calloc(n_volumes, sizeof *w->index);
        w->sample = phi_calloc(MAX_SAMPLE, sizeof *w->sample);
        if (!w->y || !w->rows || !w->design || !w->index || !w->sample)
            status = phi_error(reterr, PH_E_NOMEM,
                               "no memory for %zu volumes of %zu voxels: choose fewer ar1_volumes",
                               n_volumes, n_capacity);
    }
    if (status != PH_OK) {
        glm_whiten_close(&w);
        return status;
    }
    *ret_whiten = w;
    return PH_OK;
}

void glm_whiten_close(struct glm_whiten **whiten)
{
    if (!whiten || !*whiten)
        return;
    phi_ar1_destroy(&(*whiten)->ar1);
    phi_free((*whiten)->y);
    phi_free((*whiten)->rows);
    phi_free((*whiten)->design);
    phi_free((*whiten)->index);
    phi_free((*whiten)->sample);
    phi_free(*whiten);
    *whiten = NULL;
}

void glm_whiten_reset(struct glm_whiten *whiten, size_t n)
{
    whiten->n = n;
    whiten->n_kept = 0;
    whiten->done = false;
}

static double *row_of(const struct glm_whiten *w, size_t t, size_t part)
{
    return w->rows + (t * w->n_parts + part) * w->n_columns;
}

void glm_whiten_keep(struct glm_whiten *whiten, const struct glm_model *model, uint64_t index,
                     const float *y)
{
    size_t t = whiten->n_kept;

    if (whiten->done || t == whiten->n_wanted)
        return;
    memcpy(whiten->y + t * whiten->n, y, whiten->n * sizeof *y);
    for (size_t i = 0; i < model->n_parts; i++)
        memcpy(row_of(whiten, t, i), model->parts[i].row, whiten->n_columns * sizeof(double));
    whiten->index[t] = index;
    whiten->n_kept++;
}

bool glm_whiten_complete(const struct glm_whiten *whiten)
{
    return !whiten->done && whiten->n_kept == whiten->n_wanted;
}

/* Estimates of every step-th voxel of one part; returns how many the sample then has. */
static size_t estimate_part(struct glm_whiten *w, size_t i, const struct glm_part *part,
                            size_t step, size_t n_sample)
{
    for (size_t t = 0; t < w->n_kept; t++)
        memcpy(w->design + t * w->n_columns, row_of(w, t, i), w->n_columns * sizeof(double));
    if (part->n == 0 || phi_ar1_prepare(w->ar1, w->design, w->index, w->n_kept) != PH_OK)
        return n_sample;
    for (size_t v = 0; v < part->n && n_sample < MAX_SAMPLE; v += step) {
        double rho = phi_ar1_estimate(w->ar1, w->y + part->first + v, w->n);

        if (isfinite(rho))
            w->sample[n_sample++] = (float)rho;
    }
    return n_sample;
}

static bool estimate(struct glm_whiten *w, const struct glm_model *model, struct glm_rho *ret_rho)
{
    size_t step = w->n / (MAX_SAMPLE / 2) + 1;
    size_t n = 0;

    for (size_t i = 0; i < model->n_parts; i++)
        n = estimate_part(w, i, &model->parts[i], step, n);
    if (n == 0)
        return false;
    phi_sort_f32(w->sample, n);
    *ret_rho = (struct glm_rho){(double)w->sample[n / 4], (double)w->sample[n / 2],
                                (double)w->sample[n * 3 / 4], n};
    return true;
}

/* All that was kept once more through the model, as if nothing had come before. */
static enum ph_status take_again(struct glm_whiten *w, struct glm_model *model,
                                 const struct ph_host *host)
{
    enum ph_status status = PH_OK;

    for (size_t t = 0; t < w->n_kept && status == PH_OK; t++) {
        const struct glm_pass pass = {.y = w->y + t * w->n};

        for (uint64_t gap = t ? w->index[t - 1] + 1 : w->index[t]; gap < w->index[t]; gap++)
            glm_model_skip(model);
        for (size_t i = 0; i < model->n_parts && status == PH_OK; i++)
            status = phi_iglm_begin(model->parts[i].model, row_of(w, t, i), true);
        if (status == PH_OK)
            glm_model_pass(model, host, &pass);
    }
    return status;
}

enum ph_status glm_whiten_apply(struct glm_whiten *whiten, struct glm_model *model,
                                const struct ph_host *host, struct glm_rho *ret_rho)
{
    enum ph_status status;

    whiten->done = true;
    if (!estimate(whiten, model, ret_rho))
        return PH_E_INVAL;
    status = glm_model_set_rho(model, ret_rho->median);
    return status == PH_OK ? take_again(whiten, model, host) : status;
}
