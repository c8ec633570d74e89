/* SPDX-License-Identifier: MIT */
#include "plugins/filter/glm/noise.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/noisecomp.h"
#include "signal/running.h"

struct phi_glm_noise {
    struct phi_glm_noise_config config; /* its voxels point into `region` or are NULL */
    struct phi_noisecomp *components;
    struct phi_moments *moments; /* while the region is being chosen */
    uint32_t *region;            /* [capacity of components] */
    size_t n_wanted;
    size_t n_voxels;
    bool has_region;
};

static size_t n_wanted_of(const struct phi_glm_noise_config *c, size_t n_voxels)
{
    size_t n = c->voxels ? c->n_voxels : (size_t)(c->share * (double)n_voxels);

    return n > 0 ? n : 1;
}

enum ph_status phi_glm_noise_open(const struct phi_glm_noise_config *config,
                                  struct phi_glm_noise **ret_noise, struct ph_error *reterr)
{
    size_t capacity = n_wanted_of(config, config->n_capacity);
    struct phi_glm_noise *n = phi_calloc(1, sizeof *n);
    enum ph_status status;

    if (!n)
        return phi_error_nomem(reterr, "noise regressors", sizeof *n);
    n->config = *config;
    status = phi_noisecomp_create(capacity, config->n_components, &n->components, reterr);
    if (status == PH_OK)
        status = phi_moments_create(config->voxels ? 1 : config->n_capacity, &n->moments, reterr);
    if (status == PH_OK) {
        n->region = phi_calloc(capacity, sizeof *n->region);
        if (!n->region)
            status = phi_error_nomem(reterr, "noise regressors", capacity * sizeof *n->region);
    }
    if (status != PH_OK) {
        phi_glm_noise_close(&n);
        return status;
    }
    if (config->voxels) {
        memcpy(n->region, config->voxels, config->n_voxels * sizeof *n->region);
        n->config.voxels = n->region;
    }
    phi_glm_noise_reset(n, config->n_capacity);
    *ret_noise = n;
    return PH_OK;
}

void phi_glm_noise_close(struct phi_glm_noise **noise)
{
    if (!noise || !*noise)
        return;
    phi_noisecomp_destroy(&(*noise)->components);
    phi_moments_destroy(&(*noise)->moments);
    phi_free((*noise)->region);
    phi_free(*noise);
    *noise = NULL;
}

void phi_glm_noise_reset(struct phi_glm_noise *noise, size_t n_voxels)
{
    noise->n_voxels = n_voxels;
    noise->n_wanted = n_wanted_of(&noise->config, n_voxels);
    phi_moments_reset(noise->moments, n_voxels);
    noise->has_region =
        noise->config.voxels &&
        phi_noisecomp_set_region(noise->components, noise->region, noise->config.n_voxels) == PH_OK;
}

void phi_glm_noise_row(const struct phi_glm_noise *noise, const float *y, double *ret_row)
{
    memset(ret_row, 0, noise->config.n_components * sizeof *ret_row);
    if (noise->has_region && phi_noisecomp_n(noise->components) >= noise->config.n_volumes)
        phi_noisecomp_scores(noise->components, y, ret_row);
}

static void choose_region(struct phi_glm_noise *n)
{
    size_t found = phi_noisecomp_most_variable(phi_moments_m2(n->moments), n->n_voxels, n->n_wanted,
                                               n->region);

    n->has_region = phi_noisecomp_set_region(n->components, n->region, found) == PH_OK;
}

void phi_glm_noise_learn(struct phi_glm_noise *noise, const float *y)
{
    if (noise->has_region) {
        phi_noisecomp_learn(noise->components, y);
        return;
    }
    phi_moments_add(noise->moments, y);
    if (phi_moments_n(noise->moments) >= noise->config.n_volumes)
        choose_region(noise);
}
