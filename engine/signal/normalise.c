/* SPDX-License-Identifier: MIT
 *
 * Centre and scale per voxel are brought up to date when the baseline changes and kept as float32
 * beside it, so that a volume on a frozen baseline is one multiply-subtract over 12 bytes a voxel.
 */
#include "signal/normalise.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "signal/running.h"

struct phi_normalise {
    struct phi_normalise_config config;
    struct phi_moments *moments;
    double *level; /* [n_voxels] exponential means */
    double *scale; /* [n_voxels] */
    size_t n_level;
    size_t n_capacity;
    bool loaded;
};

static enum ph_status check(const struct phi_normalise_config *c, struct ph_error *reterr)
{
    if (c->n_voxels == 0)
        return phi_error(reterr, PH_E_INVAL, "nothing to normalise: the mask is empty");
    if (c->mode > PHI_NORMALISE_EMA)
        return phi_error(reterr, PH_E_INVAL, "unknown normalisation %d", (int)c->mode);
    if (!(c->floor >= 0) || !isfinite(c->floor))
        return phi_error(reterr, PH_E_INVAL, "smallest mean %g: it must be 0 or above", c->floor);
    if (!(c->ema_keep >= 0 && c->ema_keep < 1))
        return phi_error(reterr, PH_E_INVAL, "share of the past %g: it must be 0 to below 1",
                         c->ema_keep);
    return PH_OK;
}

enum ph_status phi_normalise_create(const struct phi_normalise_config *config,
                                    struct phi_normalise **ret_normalise, struct ph_error *reterr)
{
    enum ph_status status = check(config, reterr);
    struct phi_normalise *n;

    if (status != PH_OK)
        return status;
    n = phi_calloc(1, sizeof *n);
    if (!n)
        return phi_error_nomem(reterr, "a normalisation", sizeof *n);
    n->config = *config;
    n->n_capacity = config->n_voxels;
    n->level = phi_calloc(config->n_voxels, sizeof *n->level);
    n->scale = phi_calloc(config->n_voxels, sizeof *n->scale);
    status = phi_moments_create(config->n_voxels, &n->moments, reterr);
    if (status == PH_OK && (!n->level || !n->scale))
        status =
            phi_error(reterr, PH_E_NOMEM, "no memory to normalise %zu voxels", config->n_voxels);
    if (status != PH_OK) {
        phi_normalise_destroy(&n);
        return status;
    }
    *ret_normalise = n;
    return PH_OK;
}

void phi_normalise_destroy(struct phi_normalise **normalise)
{
    if (!normalise || !*normalise)
        return;
    phi_moments_destroy(&(*normalise)->moments);
    phi_free((*normalise)->level);
    phi_free((*normalise)->scale);
    phi_free(*normalise);
    *normalise = NULL;
}

void phi_normalise_reset(struct phi_normalise *normalise)
{
    phi_moments_reset(normalise->moments, normalise->config.n_voxels);
    memset(normalise->level, 0, normalise->config.n_voxels * sizeof *normalise->level);
    memset(normalise->scale, 0, normalise->config.n_voxels * sizeof *normalise->scale);
    normalise->n_level = 0;
    normalise->loaded = false;
}

enum ph_status phi_normalise_resize(struct phi_normalise *normalise, size_t n_voxels)
{
    if (n_voxels == 0 || n_voxels > normalise->n_capacity)
        return PH_E_SHAPE;
    normalise->config.n_voxels = n_voxels;
    phi_normalise_reset(normalise);
    return PH_OK;
}

size_t phi_normalise_n(const struct phi_normalise *normalise)
{
    return normalise->config.mode == PHI_NORMALISE_EMA ? normalise->n_level
                                                       : phi_moments_n(normalise->moments);
}

bool phi_normalise_frozen(const struct phi_normalise *normalise)
{
    if (normalise->loaded)
        return true;
    return normalise->config.mode != PHI_NORMALISE_EMA && normalise->config.n_baseline > 0 &&
           phi_moments_n(normalise->moments) >= normalise->config.n_baseline;
}

/* scale = 100 / mean, or 0 at or below the floor. Infinity instead of a branch: 100 / inf is 0. */
PHI_VECTOR static void percent_scales(const double *restrict mean, double floor, size_t n,
                                      double *restrict scale)
{
    for (size_t v = 0; v < n; v++) {
        double safe = mean[v] > floor ? mean[v] : INFINITY;

        scale[v] = 100 / safe;
    }
}

PHI_VECTOR static void z_scales(const double *restrict m2, double dof, size_t n,
                                double *restrict scale)
{
    for (size_t v = 0; v < n; v++) {
        double safe = m2[v] > 0 ? m2[v] : INFINITY;

        scale[v] = 1 / sqrt(safe / dof);
    }
}

static void update_scales(struct phi_normalise *n)
{
    size_t count = phi_moments_n(n->moments);

    if (n->config.mode == PHI_NORMALISE_PERCENT)
        percent_scales(phi_moments_mean(n->moments), n->config.floor, n->config.n_voxels, n->scale);
    else if (n->config.mode == PHI_NORMALISE_Z && count > 1)
        z_scales(phi_moments_m2(n->moments), (double)(count - 1), n->config.n_voxels, n->scale);
    else
        for (size_t v = 0; v < n->config.n_voxels; v++)
            n->scale[v] = n->config.mode == PHI_NORMALISE_CENTRE;
}

enum ph_status phi_normalise_load(struct phi_normalise *normalise, size_t n, const double *mean,
                                  const double *m2)
{
    if (normalise->config.mode == PHI_NORMALISE_EMA || n < 2)
        return PH_E_STATE;
    phi_moments_load(normalise->moments, n, mean, m2);
    normalise->loaded = true;
    update_scales(normalise);
    return PH_OK;
}

const double *phi_normalise_mean(const struct phi_normalise *normalise)
{
    return phi_moments_mean(normalise->moments);
}

const double *phi_normalise_m2(const struct phi_normalise *normalise)
{
    return phi_moments_m2(normalise->moments);
}

PHI_VECTOR static void apply(const double *restrict mean, const double *restrict scale, size_t n,
                             float *restrict y)
{
    for (size_t v = 0; v < n; v++)
        y[v] = (float)(((double)y[v] - mean[v]) * scale[v]);
}

PHI_VECTOR static void step_levels(double keep, size_t n, double *restrict level,
                                   const float *restrict y)
{
    for (size_t v = 0; v < n; v++)
        level[v] = keep * level[v] + (1 - keep) * (double)y[v];
}

static void process_ema(struct phi_normalise *n, float *y, bool learn)
{
    size_t q = n->config.n_voxels;

    if (learn)
        step_levels(n->n_level++ ? n->config.ema_keep : 0, q, n->level, y);
    if (n->n_level == 0) {
        memset(y, 0, q * sizeof *y);
        return;
    }
    for (size_t v = 0; v < q; v++)
        y[v] = (float)((double)y[v] - n->level[v]);
}

static void learn_volume(struct phi_normalise *n, const float *y)
{
    phi_moments_add(n->moments, y);
    update_scales(n);
}

void phi_normalise_process(struct phi_normalise *normalise, float *y, bool learn)
{
    size_t q = normalise->config.n_voxels;
    bool open = learn && !phi_normalise_frozen(normalise);
    bool after =
        normalise->config.exclude_newest && normalise->config.n_baseline == 0 && !normalise->loaded;

    if (normalise->config.mode == PHI_NORMALISE_EMA) {
        process_ema(normalise, y, learn);
        return;
    }
    if (open && !after)
        learn_volume(normalise, y);
    if (open && after) {
        /* judged by the past alone: the level array is free in this mode and keeps the old means */
        memcpy(normalise->level, phi_moments_mean(normalise->moments), q * sizeof(double));
        phi_moments_add(normalise->moments, y);
        apply(normalise->level, normalise->scale, q, y);
        update_scales(normalise);
        return;
    }
    apply(phi_moments_mean(normalise->moments), normalise->scale, q, y);
}
