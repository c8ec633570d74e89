/* SPDX-License-Identifier: MIT */
#include "tools/simulate/effects.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "signal/bspline.h"

#define N_WAVES    3
#define N_SHAPES   4 /* everywhere, and along x, y, z */
#define START_UP_N 6

struct phi_sim_effects {
    const struct phi_sim_source *source;
    struct phi_sim_effects_config config;
    size_t n_volumes;
    double *poses;   /* [n_volumes][6] */
    int32_t *spikes; /* [n_volumes] */
    double drift[N_SHAPES][N_WAVES];
    uint64_t run;
    struct phi_bspline *spline; /* NULL without motion */
};

enum ph_status phi_sim_effects_create(const struct phi_sim_source *source,
                                      const struct phi_sim_effects_config *config,
                                      struct phi_sim_effects **ret_effects, struct ph_error *reterr)
{
    struct phi_sim_effects *effects;
    enum ph_status status = PH_OK;

    if (!(config->motion_mm >= 0 && config->motion_mm <= 20) ||
        !(config->drift_percent >= 0 && config->drift_percent <= 50))
        return phi_error(reterr, PH_E_INVAL, "motion must be 0..20 mm and drift 0..50 %%");
    effects = phi_calloc(1, sizeof *effects);
    if (!effects)
        return phi_error_nomem(reterr, "effects", sizeof *effects);
    effects->source = source;
    effects->config = *config;
    if (config->motion_mm > 0)
        status = phi_bspline_create(source->grid.n, &effects->spline, reterr);
    if (status < 0)
        phi_sim_effects_destroy(&effects);
    else
        *ret_effects = effects;
    return status;
}

void phi_sim_effects_destroy(struct phi_sim_effects **effects)
{
    if (!effects || !*effects)
        return;
    phi_bspline_destroy(&(*effects)->spline);
    phi_free((*effects)->poses);
    phi_free((*effects)->spikes);
    phi_free(*effects);
    *effects = NULL;
}

/* Slow waves of random frequency, growing from nothing at the first volume. */
static void draw_motion(struct phi_sim_effects *effects, struct phi_rng *rng)
{
    for (size_t k = 0; k < 6; k++) {
        double size = effects->config.motion_mm * (k < 3 ? 0.6 : 0.4 * M_PI / 180);
        double waves[2][2];

        for (size_t w = 0; w < 2; w++) {
            waves[w][0] = 0.3 + 1.5 * phi_rng_uniform(rng);
            waves[w][1] = 2 * M_PI * phi_rng_uniform(rng);
        }
        for (size_t t = 0; t < effects->n_volumes; t++) {
            double at = (double)t / (double)effects->n_volumes;
            double grown = 1 - exp(-(double)t / 15);
            double sum = 0;

            for (size_t w = 0; w < 2; w++)
                sum += sin(2 * M_PI * waves[w][0] * at + waves[w][1]) - sin(waves[w][1]);
            effects->poses[t * 6 + k] = 0.5 * size * grown * sum;
        }
    }
}

static void draw_spikes(struct phi_sim_effects *effects, struct phi_rng *rng)
{
    for (size_t i = 0; i < effects->config.n_spikes; i++) {
        size_t t = phi_rng_below(rng, effects->n_volumes);

        effects->spikes[t] = 1;
        for (size_t k = 0; k < 3; k++)
            effects->poses[t * 6 + k] += effects->config.motion_mm * phi_rng_normal(rng);
    }
}

enum ph_status phi_sim_effects_start(struct phi_sim_effects *effects, uint64_t run,
                                     size_t n_volumes, struct ph_error *reterr)
{
    struct phi_rng rng;

    phi_free(effects->poses);
    phi_free(effects->spikes);
    effects->run = run;
    effects->n_volumes = n_volumes;
    effects->poses = phi_calloc2(n_volumes, 6, sizeof *effects->poses);
    effects->spikes = phi_calloc(n_volumes, sizeof *effects->spikes);
    if (!effects->poses || !effects->spikes)
        return phi_error_nomem(reterr, "poses", n_volumes * 6 * sizeof(double));
    phi_rng_init(&rng, effects->config.seed ^ 0x65666665637473u, run);
    if (effects->config.motion_mm > 0)
        draw_motion(effects, &rng);
    draw_spikes(effects, &rng);
    for (size_t i = 0; i < N_SHAPES * N_WAVES; i++)
        effects->drift[i / N_WAVES][i % N_WAVES] =
            phi_rng_normal(&rng) / (1 + (double)(i % N_WAVES));
    return PH_OK;
}

/* The drift is mean times a slow function of time that varies linearly over space. */
static void add_drift(const struct phi_sim_effects *effects, size_t t, float *volume)
{
    const size_t *n = effects->source->grid.n;
    double along[N_SHAPES] = {0};

    for (size_t shape = 0; shape < N_SHAPES; shape++) {
        for (size_t w = 0; w < N_WAVES; w++)
            along[shape] += effects->drift[shape][w] *
                            (cos(M_PI * (double)((w + 1) * t) / (double)effects->n_volumes) - 1);
        along[shape] *= effects->config.drift_percent / 200;
    }
    for (size_t i = 0; i < effects->source->n_all; i++) {
        double x = (double)(i % n[0]) / (double)n[0] - 0.5;
        double y = (double)(i / n[0] % n[1]) / (double)n[1] - 0.5;
        double z = (double)(i / n[0] / n[1]) / (double)n[2] - 0.5;
        double share = along[0] + along[1] * x + along[2] * y + along[3] * z;

        volume[i] += (float)share * effects->source->mean[i];
    }
}

static enum ph_status move(struct phi_sim_effects *effects, size_t t, float *volume,
                           struct ph_error *reterr)
{
    const struct phi_grid *grid = &effects->source->grid;
    struct phi_affine pose = phi_affine_from_params(effects->poses + t * 6);
    struct phi_affine back, map;

    /* a voxel of the image shows the source at inv(A) pose A */
    if (phi_affine_invert(&pose, &back) < 0 ||
        phi_affine_voxel_map(&back, &grid->affine, &grid->affine, &map) < 0)
        return phi_error(reterr, PH_E_INTERNAL, "a pose cannot be inverted");
    (void)phi_bspline_prefilter(effects->spline, volume);
    (void)phi_bspline_reslice(effects->spline, &map, grid->n, 0, grid->n[2], volume);
    return PH_OK;
}

static void spike(const struct phi_sim_effects *effects, size_t t, float *volume)
{
    const size_t *n = effects->source->grid.n;
    struct phi_rng rng;
    size_t first, last;
    float gain;

    phi_rng_init(&rng, effects->config.seed ^ 0x7370696b65u, effects->run << 32 | t);
    first = phi_rng_below(&rng, n[2]);
    last = first + 1 + phi_rng_below(&rng, 1 + n[2] / 4);
    gain = (float)(1.1 + 0.3 * phi_rng_uniform(&rng));
    for (size_t i = first * n[0] * n[1]; i < n[0] * n[1] * (last < n[2] ? last : n[2]); i++)
        volume[i] *= gain;
}

enum ph_status phi_sim_effects_apply(struct phi_sim_effects *effects, size_t t, float *volume,
                                     struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    if (effects->config.drift_percent > 0)
        add_drift(effects, t, volume);
    if (effects->spline)
        status = move(effects, t, volume, reterr);
    if (effects->spikes[t])
        spike(effects, t, volume);
    if (effects->config.start_up && t < START_UP_N) {
        float gain = (float)(1 + 0.3 * exp(-(double)t / 1.3));

        for (size_t i = 0; i < effects->source->n_all; i++)
            volume[i] *= gain;
    }
    return status;
}

const double *phi_sim_effects_poses(const struct phi_sim_effects *effects)
{
    return effects->poses;
}

const int32_t *phi_sim_effects_spikes(const struct phi_sim_effects *effects)
{
    return effects->spikes;
}
