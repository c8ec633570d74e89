/* SPDX-License-Identifier: MIT */
#include "tools/simulate/response.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "signal/hrf.h"
#include "signal/smooth.h"

/* Voxels below this ratio of mean to sd are vessels, edges and air. */
#define LEAST_TSNR 15.0f

struct candidate {
    double y_mm; /* RAS: the smaller, the further back */
    uint32_t in_brain;
};

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;

    if (x->y_mm != y->y_mm)
        return x->y_mm < y->y_mm ? -1 : 1;
    return (x->in_brain > y->in_brain) - (x->in_brain < y->in_brain);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double y_of(const struct phi_sim_source *source, size_t voxel)
{
    const size_t *n = source->grid.n;
    const double at[3] = {(double)(voxel % n[0]), (double)(voxel / n[0] % n[1]),
                          (double)(voxel / n[0] / n[1])};
    double mm[3];

    phi_affine_apply(&source->grid.affine, at, mm);
    return mm[1];
}

static enum ph_status choose_region(const struct phi_sim_source *source, size_t n_wanted,
                                    struct phi_sim_response *response, struct ph_error *reterr)
{
    size_t n_brain = source->mask->n_voxels;
    struct candidate *candidates = phi_calloc(n_brain, sizeof *candidates);
    size_t n = 0;

    if (!candidates)
        return phi_error_nomem(reterr, "a region", n_brain * sizeof *candidates);
    for (size_t i = 0; i < n_brain; i++) {
        uint32_t voxel = source->mask->index[i];

        if (source->sd[voxel] > 0 && source->mean[voxel] > LEAST_TSNR * source->sd[voxel])
            candidates[n++] = (struct candidate){y_of(source, voxel), (uint32_t)i};
    }
    qsort(candidates, n, sizeof *candidates, compare_candidates);
    response->n_voxels = n_wanted < n / 2 ? n_wanted : n / 2;
    response->voxels = phi_calloc(response->n_voxels, sizeof *response->voxels);
    response->in_brain = phi_calloc(response->n_voxels, sizeof *response->in_brain);
    for (size_t i = 0; response->in_brain && i < response->n_voxels; i++)
        response->in_brain[i] = candidates[i].in_brain;
    phi_free(candidates);
    if (!response->voxels || !response->in_brain)
        return phi_error_nomem(reterr, "a region", n_wanted * sizeof(uint32_t));
    if (response->n_voxels == 0)
        return phi_error(reterr, PH_E_SHAPE, "the run has no voxels quiet enough for a region");
    qsort(response->in_brain, response->n_voxels, sizeof(uint32_t), compare_numbers);
    for (size_t i = 0; i < response->n_voxels; i++)
        response->voxels[i] = source->mask->index[response->in_brain[i]];
    return PH_OK;
}

/* A smooth random field over the volume, unit variance over the region. */
static void draw_field(const struct phi_sim_source *source, struct phi_sim_response *response,
                       struct phi_smooth *smooth, float *volume, size_t k)
{
    float *row = response->weights + k * response->n_voxels;
    double sum = 0;

    (void)phi_smooth_process(smooth, volume, volume);
    (void)source;
    for (size_t i = 0; i < response->n_voxels; i++) {
        row[i] = volume[response->voxels[i]];
        sum += (double)row[i] * (double)row[i];
    }
    for (size_t i = 0; i < response->n_voxels; i++)
        row[i] *= (float)sqrt((double)response->n_voxels / sum);
}

static enum ph_status draw_weights(const struct phi_sim_source *source,
                                   const struct phi_sim_response_config *config,
                                   struct phi_sim_response *response, struct ph_error *reterr)
{
    const struct phi_smooth_config smoothing = {
        .fwhm_mm = {config->fwhm_mm, config->fwhm_mm, config->fwhm_mm}};
    float *volume = phi_calloc(source->n_all, sizeof *volume);
    struct phi_smooth *smooth = NULL;
    enum ph_status status = volume ? phi_smooth_plan(&smoothing, &source->grid, &smooth, reterr)
                                   : phi_error_nomem(reterr, "a volume", source->n_all * 4);

    for (size_t k = 0; status >= 0 && k < config->p; k++) {
        struct phi_rng rng;
        float *row = response->weights + k * response->n_voxels;
        double gain = config->gains ? config->gains[k] : 1;

        phi_rng_init(&rng, config->seed, k);
        phi_rng_normal_f32(&rng, volume, source->n_all);
        draw_field(source, response, smooth, volume, k);
        for (size_t i = 0; i < response->n_voxels; i++)
            row[i] *= (float)gain * response->noise_sd[i];
    }
    phi_smooth_destroy(&smooth);
    phi_free(volume);
    return status;
}

/* The common response peaks at `mean_percent` of the voxel's mean after one second of stimulus. */
static void set_common(const struct phi_sim_source *source, double mean_percent,
                       struct phi_sim_response *response)
{
    const struct phi_hrf hrf = phi_hrf_spm();
    float *row = response->weights + response->p * response->n_voxels;
    double peak = phi_hrf_event(&hrf, PHI_HRF_CANONICAL, 5.5, 1.0);

    for (size_t i = 0; i < response->n_voxels; i++)
        row[i] = (float)((double)source->mean[response->voxels[i]] * mean_percent / 100 / peak);
}

enum ph_status phi_sim_response_create(const struct phi_sim_source *source,
                                       const struct phi_sim_response_config *config,
                                       struct phi_sim_response **ret_response,
                                       struct ph_error *reterr)
{
    struct phi_sim_response *response = phi_calloc(1, sizeof *response);
    enum ph_status status;

    if (!response)
        return phi_error_nomem(reterr, "a response", sizeof *response);
    response->p = config->p;
    status = choose_region(source, config->n_voxels, response, reterr);
    if (status >= 0) {
        response->weights =
            phi_calloc2(config->p + 1, response->n_voxels, sizeof *response->weights);
        response->noise_sd = phi_calloc(response->n_voxels, sizeof *response->noise_sd);
        if (!response->weights || !response->noise_sd)
            status = phi_error_nomem(reterr, "weights", config->p * response->n_voxels * 4);
    }
    if (status >= 0) {
        for (size_t i = 0; i < response->n_voxels; i++)
            response->noise_sd[i] = source->sd[response->voxels[i]];
        status = draw_weights(source, config, response, reterr);
    }
    if (status < 0) {
        phi_sim_response_destroy(&response);
        return status;
    }
    set_common(source, config->mean_percent, response);
    *ret_response = response;
    return PH_OK;
}

void phi_sim_response_destroy(struct phi_sim_response **response)
{
    if (!response || !*response)
        return;
    phi_free((*response)->voxels);
    phi_free((*response)->in_brain);
    phi_free((*response)->weights);
    phi_free((*response)->noise_sd);
    phi_free(*response);
    *response = NULL;
}

/* Variance over time of the response of voxel i to the latents. */
static double variance_of(const struct phi_sim_response *response, const double *design,
                          size_t n_volumes, size_t i)
{
    double mean = 0;
    double m2 = 0;

    for (size_t t = 0; t < n_volumes; t++) {
        const double *row = design + t * (response->p + 1);
        double value = 0;
        double step;

        for (size_t k = 0; k < response->p; k++)
            value += row[k] * (double)response->weights[k * response->n_voxels + i];
        step = value - mean;
        mean += step / (double)(t + 1);
        m2 += step * (value - mean);
    }
    return m2 / (double)n_volumes;
}

double phi_sim_response_snr(const struct phi_sim_response *response, const double *design,
                            size_t n_volumes)
{
    double sum = 0;

    for (size_t i = 0; i < response->n_voxels; i++)
        sum += variance_of(response, design, n_volumes, i) / pow((double)response->noise_sd[i], 2);
    return sqrt(sum / (double)response->n_voxels);
}

void phi_sim_response_scale(struct phi_sim_response *response, double factor)
{
    for (size_t i = 0; i < response->p * response->n_voxels; i++)
        response->weights[i] *= (float)factor;
}

void phi_sim_response_add(const struct phi_sim_response *response, const double *design_row,
                          float *volume)
{
    for (size_t k = 0; k <= response->p; k++) {
        const float *weights = response->weights + k * response->n_voxels;
        float factor = (float)design_row[k];

        for (size_t i = 0; factor != 0 && i < response->n_voxels; i++)
            volume[response->voxels[i]] += factor * weights[i];
    }
}
