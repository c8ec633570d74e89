/* SPDX-License-Identifier: MIT */
#include "tools/simulate/noise.h"

#include <cblas.h>
#include <fftw3.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"

struct phi_sim_noise {
    const struct phi_sim_source *source;
    struct phi_sim_noise_config config;
    size_t n_bins;   /* source->n_volumes / 2 + 1 */
    float *spectrum; /* [2][n_bins][n_voxels], real and imaginary parts */
    float *sd;       /* [n_voxels] */
    double *phases;  /* [n_sets][n_bins] */
    size_t n_sets;   /* sets of phases, one a source length and one more */
    float *weights;  /* [PHI_SIM_BLOCK][2 * n_bins] */
    uint64_t run;
};

/* A split transform leaves real and imaginary parts as the rows of two matrices, so that making
 * volumes is one matrix product. */
static enum ph_status transform(struct phi_sim_noise *noise, struct ph_error *reterr)
{
    const struct phi_sim_source *source = noise->source;
    int n = (int)source->mask->n_voxels;
    const fftwf_iodim along = {(int)source->n_volumes, n, n};
    const fftwf_iodim across = {n, 1, 1};
    float *imaginary = noise->spectrum + noise->n_bins * (size_t)n;
    fftwf_plan plan =
        fftwf_plan_guru_split_dft_r2c(1, &along, 1, &across, source->series, noise->spectrum,
                                      imaginary, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);

    if (!plan)
        return phi_error(reterr, PH_E_NOMEM, "the Fourier transform of the run cannot be planned");
    fftwf_execute(plan);
    fftwf_destroy_plan(plan);
    return PH_OK;
}

enum ph_status phi_sim_noise_create(const struct phi_sim_source *source,
                                    const struct phi_sim_noise_config *config,
                                    struct phi_sim_noise **ret_noise, struct ph_error *reterr)
{
    struct phi_sim_noise *noise;
    size_t n = source->mask->n_voxels;
    enum ph_status status = PH_OK;

    if (!(config->thermal >= 0 && config->thermal <= 1))
        return phi_error(reterr, PH_E_INVAL, "the thermal share must be 0..1");
    noise = phi_calloc(1, sizeof *noise);
    if (!noise)
        return phi_error_nomem(reterr, "noise", sizeof *noise);
    noise->source = source;
    noise->config = *config;
    noise->n_bins = source->n_volumes / 2 + 1;
    noise->sd = phi_calloc(n, sizeof *noise->sd);
    noise->weights = phi_calloc2(PHI_SIM_BLOCK, 2 * noise->n_bins, sizeof *noise->weights);
    if (!config->as_is)
        noise->spectrum = phi_calloc2(2 * noise->n_bins, n, sizeof *noise->spectrum);
    if (!noise->sd || !noise->weights || (!config->as_is && !noise->spectrum))
        status = phi_error_nomem(reterr, "noise", 2 * noise->n_bins * n * sizeof(float));
    else if (!config->as_is)
        status = transform(noise, reterr);
    if (status < 0) {
        phi_sim_noise_destroy(&noise);
        return status;
    }
    phi_mask_gather(source->mask, source->sd, noise->sd);
    *ret_noise = noise;
    return PH_OK;
}

void phi_sim_noise_destroy(struct phi_sim_noise **noise)
{
    if (!noise || !*noise)
        return;
    phi_free((*noise)->spectrum);
    phi_free((*noise)->sd);
    phi_free((*noise)->phases);
    phi_free((*noise)->weights);
    phi_free(*noise);
    *noise = NULL;
}

enum ph_status phi_sim_noise_start(struct phi_sim_noise *noise, uint64_t run, size_t n_volumes,
                                   struct ph_error *reterr)
{
    size_t n_source = noise->source->n_volumes;
    struct phi_rng rng;

    noise->run = run;
    if (noise->config.as_is) {
        if (n_volumes > n_source)
            return phi_error(reterr, PH_E_SHAPE,
                             "%zu volumes are needed, the run has %zu: leave out --as-is",
                             n_volumes, n_source);
        return PH_OK;
    }
    phi_free(noise->phases);
    noise->n_sets = n_volumes <= n_source ? 1 : (n_volumes + n_source - 1) / n_source + 1;
    noise->phases = phi_calloc2(noise->n_sets, noise->n_bins, sizeof *noise->phases);
    if (!noise->phases)
        return phi_error_nomem(reterr, "phases", noise->n_sets * noise->n_bins * sizeof(double));
    phi_rng_init(&rng, noise->config.seed, 2 * run);
    for (size_t i = 0; i < noise->n_sets * noise->n_bins; i++) {
        bool real_bin = n_source % 2 == 0 && i % noise->n_bins == noise->n_bins - 1;
        double turn = phi_rng_uniform(&rng);

        /* the highest frequency of an even length has a sign, no phase */
        noise->phases[i] = 2 * M_PI * (real_bin ? (turn < 0.5 ? 0.0 : 0.5) : turn);
    }
    return PH_OK;
}

/* The factors of all real and imaginary parts in volume t: the inverse transform with new phases.
 */
static void weigh(const struct phi_sim_noise *noise, size_t t, double scale, float *row)
{
    size_t n = noise->source->n_volumes;
    size_t set = noise->n_sets > 1 ? t / n : 0;
    double fade = noise->n_sets > 1 ? M_PI / 2 * (double)(t % n) / (double)n : 0;

    row[0] = row[noise->n_bins] = 0; /* the mean is not noise */
    for (size_t k = 1; k < noise->n_bins; k++) {
        double twice = 2 * k == n ? 1 : 2;
        double angle = 2 * M_PI * (double)(k * t % n) / (double)n;
        double before = noise->phases[set * noise->n_bins + k];
        double after = noise->n_sets > 1 ? noise->phases[(set + 1) * noise->n_bins + k] : 0;
        double real = cos(fade) * cos(angle + before) + sin(fade) * cos(angle + after);
        double imaginary = cos(fade) * sin(angle + before) + sin(fade) * sin(angle + after);

        row[k] = (float)(scale * twice * real / (double)n);
        row[noise->n_bins + k] = (float)(-scale * twice * imaginary / (double)n);
    }
}

static void fill_surrogate(struct phi_sim_noise *noise, size_t first, size_t n, float *ret)
{
    int n_voxels = (int)noise->source->mask->n_voxels;
    int n_rows = (int)(2 * noise->n_bins);
    double scale = sqrt(1 - noise->config.thermal);

    for (size_t i = 0; i < n; i++)
        weigh(noise, first + i, scale, noise->weights + i * (size_t)n_rows);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, n_voxels, n_rows, 1,
                noise->weights, n_rows, noise->spectrum, n_voxels, 0, ret, n_voxels);
}

static void fill_as_is(const struct phi_sim_noise *noise, size_t first, size_t n, float *ret)
{
    size_t n_voxels = noise->source->mask->n_voxels;
    float scale = (float)sqrt(1 - noise->config.thermal);

    for (size_t i = 0; i < n * n_voxels; i++)
        ret[i] = scale * noise->source->series[first * n_voxels + i];
}

void phi_sim_noise_fill(struct phi_sim_noise *noise, size_t first, size_t n, float *ret)
{
    size_t n_voxels = noise->source->mask->n_voxels;
    float thermal = (float)sqrt(noise->config.thermal);

    if (noise->config.as_is)
        fill_as_is(noise, first, n, ret);
    else
        fill_surrogate(noise, first, n, ret);
    for (size_t i = 0; thermal > 0 && i < n; i++) {
        struct phi_rng rng;

        /* a stream for each volume: the same whatever the blocks */
        phi_rng_init(&rng, noise->config.seed ^ 0x7465726d616cu,
                     noise->run << 32 | (uint64_t)(first + i));
        for (size_t v = 0; v < n_voxels; v++)
            ret[i * n_voxels + v] += thermal * noise->sd[v] * (float)phi_rng_normal(&rng);
    }
}
