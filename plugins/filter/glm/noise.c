/* SPDX-License-Identifier: MIT */
#include "plugins/filter/glm/noise.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/noisecomp.h"
#include "signal/running.h"

struct phi_glm_noise {
    struct phi_glm_noise_config config; /* its voxels point to `given` or are NULL */
    uint32_t *given;                    /* [config.n_voxels] the region in the grid */
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
        n->given = phi_calloc(capacity, sizeof *n->given);
        if (!n->region || !n->given)
            status = phi_error_nomem(reterr, "noise regressors", capacity * sizeof *n->region);
    }
    if (status != PH_OK) {
        phi_glm_noise_close(&n);
        return status;
    }
    if (config->voxels) {
        memcpy(n->given, config->voxels, config->n_voxels * sizeof *n->given);
        n->config.voxels = n->given;
    }
    phi_moments_reset(n->moments, config->voxels ? 1 : config->n_capacity);
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
    phi_free((*noise)->given);
    phi_free(*noise);
    *noise = NULL;
}

/* The given voxels' places among a frame's values, into region; both lists ascend. */
static size_t place_given(struct phi_glm_noise *n, size_t n_values, const uint32_t *places)
{
    size_t found = 0, at = 0;

    for (size_t i = 0; i < n->config.n_voxels; i++) {
        uint32_t voxel = n->given[i];

        while (places && at < n_values && places[at] < voxel)
            at++;
        if (!places && voxel < n_values)
            n->region[found++] = voxel;
        else if (places && at < n_values && places[at] == voxel)
            n->region[found++] = (uint32_t)at;
    }
    return found;
}

enum ph_status phi_glm_noise_reset(struct phi_glm_noise *noise, size_t n_values,
                                   const uint32_t *places)
{
    size_t found;

    noise->n_voxels = n_values;
    noise->n_wanted = n_wanted_of(&noise->config, n_values);
    noise->has_region = false;
    phi_moments_reset(noise->moments, n_values);
    if (!noise->config.voxels)
        return PH_OK;
    found = place_given(noise, n_values, places);
    noise->has_region =
        found > 0 && phi_noisecomp_set_region(noise->components, noise->region, found) == PH_OK;
    return noise->has_region ? PH_OK : PH_E_INVAL;
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
    if (noise->config.voxels)
        return; /* none of them is in the frame */
    phi_moments_add(noise->moments, y);
    if (phi_moments_n(noise->moments) >= noise->config.n_volumes)
        choose_region(noise);
}
