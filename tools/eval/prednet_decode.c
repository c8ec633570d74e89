/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "eval/prednet.h"
#include "plugins/decoder/common/place.h"
#include "plugins/decoder/common/ridge_file.h"

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
    if (strcmp(model->chain, voxels->chain ? voxels->chain : "") != 0) {
        char text[PH_ERROR_TEXT];
        struct phi_str out = phi_str_over(text, sizeof text);

        phi_decoder_chain_difference(model->chain, voxels->chain ? voxels->chain : "", &out);
        return phi_error(reterr, PH_E_SHAPE,
                         "%s was fitted behind other filters than the run file's: %s", path, text);
    }
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
        status = film_walk(source, run, (struct film_part){'r', layer}, collect, &c, reterr);
    if (status == PH_OK && l.n < 2 * STUDY_MIN_SHIFT + 2)
        status =
            phi_error(reterr, PH_E_SHAPE,
                      "only %zu volumes have film and all their delayed volumes; %d are needed",
                      l.n, 2 * STUDY_MIN_SHIFT + 2);
    phi_ridge_model_destroy(&c.model);
    if (status)
        study_layer_fini(&l);
    else
        *ret_layer = l;
    return status;
}
