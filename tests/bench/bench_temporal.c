/* SPDX-License-Identifier: MIT
 * Cost of a volume of 180,000 voxels in the temporal kernels, over one copy of the volume (the
 * floor of anything that reads and writes it), and at volume 5,000 over volume 100. Prints ratios;
 * asserts nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/despike.h"
#include "signal/finite.h"
#include "signal/noisecomp.h"
#include "signal/normalise.h"
#include "signal/quality.h"
#include "signal/running.h"
#include "signal/slicetime.h"
#include "temporal_timing.h"

enum { VOXELS = 180000, FEW = 18000, REGION = 3600, SLICES = 60, VOLUMES = 8 };

/* One kernel under load, and volumes to feed it, in turn. */
struct load {
    const float *volumes; /* [VOLUMES][VOXELS] */
    float *y;             /* [VOXELS] the volume at hand */
    size_t n;
    size_t turn;
    void *kernel;
};

static void copy(void *arg)
{
    struct load *l = arg;

    memcpy(l->y, l->volumes + l->turn++ % VOLUMES * VOXELS, l->n * sizeof *l->y);
}

static const float *next(struct load *l)
{
    return l->volumes + l->turn++ % VOLUMES * VOXELS;
}

static void all_finite(void *arg)
{
    struct load *l = arg;

    if (!phi_all_finite(next(l), l->n))
        abort();
}

static void moments(void *arg)
{
    struct load *l = arg;

    phi_moments_add(l->kernel, next(l));
}

static void normalise(void *arg)
{
    struct load *l = arg;

    copy(l);
    phi_normalise_process(l->kernel, l->y, true);
}

static void slicetime(void *arg)
{
    struct load *l = arg;

    copy(l);
    phi_slicetime_process(l->kernel, l->y);
}

static void quality(void *arg)
{
    struct load *l = arg;
    struct phi_quality_figures figures;

    phi_quality_process(l->kernel, next(l), true, &figures);
}

static void noise(void *arg)
{
    struct load *l = arg;

    phi_noisecomp_learn(l->kernel, next(l));
}

static void despike(void *arg)
{
    struct load *l = arg;
    struct phi_despike *voxels = l->kernel;

    copy(l);
    for (size_t v = 0; v < l->n; v++)
        l->y[v] = (float)phi_despike_step(&voxels[v], (double)l->y[v]);
}

static struct load base;

static struct load load_of(size_t n)
{
    struct load l = base;

    l.n = n;
    return l;
}

static struct load normalise_load(size_t n, size_t n_baseline)
{
    struct load l = load_of(n);
    const struct phi_normalise_config config = {
        .n_voxels = n, .mode = PHI_NORMALISE_Z, .n_baseline = n_baseline};
    struct phi_normalise *kernel = NULL;

    if (phi_normalise_create(&config, &kernel, NULL) != PH_OK)
        exit(EXIT_FAILURE);
    l.kernel = kernel;
    return l;
}

static struct load quality_load(size_t n)
{
    struct load l = load_of(n);
    const struct phi_quality_config config = {.n_voxels = n};
    struct phi_quality *kernel = NULL;

    if (phi_quality_create(&config, &kernel, NULL) != PH_OK)
        exit(EXIT_FAILURE);
    l.kernel = kernel;
    return l;
}

static struct load noise_load(void)
{
    struct load l = load_of(VOXELS);
    struct phi_noisecomp *kernel = NULL;
    static uint32_t region[REGION];

    for (uint32_t i = 0; i < REGION; i++)
        region[i] = i * (VOXELS / REGION);
    if (phi_noisecomp_create(REGION, 6, &kernel, NULL) != PH_OK ||
        phi_noisecomp_set_region(kernel, region, REGION) != PH_OK)
        exit(EXIT_FAILURE);
    l.kernel = kernel;
    return l;
}

static struct load slicetime_load(void)
{
    struct load l = load_of(VOXELS);
    struct phi_slicetime *kernel = NULL;
    double times_s[SLICES];
    const struct phi_slicetime_config config = {SLICES, VOXELS / SLICES, 1, 0, times_s};

    if (phi_slice_times(PHI_SLICES_INTERLEAVED_EVEN, SLICES, 1, 1, times_s) != PH_OK ||
        phi_slicetime_create(&config, &kernel, NULL) != PH_OK)
        exit(EXIT_FAILURE);
    l.kernel = kernel;
    return l;
}

static struct load despike_load(void)
{
    struct load l = load_of(VOXELS);
    struct phi_despike *voxels = phi_calloc(VOXELS, sizeof *voxels);

    if (!voxels)
        exit(EXIT_FAILURE);
    for (size_t v = 0; v < VOXELS; v++)
        phi_despike_init(&voxels[v], 1);
    l.kernel = voxels;
    return l;
}

static struct load moments_load(size_t n)
{
    struct load l = load_of(n);
    struct phi_moments *kernel = NULL;

    if (phi_moments_create(n, &kernel, NULL) != PH_OK)
        exit(EXIT_FAILURE);
    l.kernel = kernel;
    return l;
}

/* Memory lives as long as the program, which ends here. */
static void report_cost(void)
{
    static const char *const name[] = {"copy of the volume",
                                       "all finite",
                                       "moments",
                                       "running z-score",
                                       "frozen z-score",
                                       "slice timing",
                                       "quality (window full)",
                                       "6 noise components, 3,600 voxels",
                                       "despiking of every voxel"};
    struct load l[] = {load_of(VOXELS),
                       load_of(VOXELS),
                       moments_load(VOXELS),
                       normalise_load(VOXELS, 0),
                       normalise_load(VOXELS, 2),
                       slicetime_load(),
                       quality_load(VOXELS),
                       noise_load(),
                       despike_load()};
    timing_fn *const run[] = {copy,      all_finite, moments, normalise, normalise,
                              slicetime, quality,    noise,   despike};
    enum { N = sizeof l / sizeof *l };
    void *arg[N];
    double ms[N];

    for (int i = 0; i < N; i++)
        arg[i] = &l[i];
    for (int t = 0; t < 130; t++)
        quality(&l[6]);
    timing_least(run, arg, N, 25, ms);
    printf("temporal kernels, %d voxels, one thread\n", VOXELS);
    for (int i = 0; i < N; i++)
        printf("%-34s %7.3f ms, over a copy %6.1f\n", name[i], ms[i], ms[i] / ms[0]);
}

static void report_growth(void)
{
    struct load l[] = {normalise_load(FEW, 0), normalise_load(FEW, 0), quality_load(FEW),
                       quality_load(FEW)};
    timing_fn *const run[] = {normalise, normalise, quality, quality};
    void *const arg[] = {&l[0], &l[1], &l[2], &l[3]};
    double ms[4];

    for (int t = 0; t < 5000; t++) {
        if (t < 100)
            normalise(&l[0]);
        normalise(&l[1]);
        if (t < 130) /* until its window is full */
            quality(&l[2]);
        quality(&l[3]);
    }
    timing_least(run, arg, 4, 100, ms);
    printf("volume 5,000 over volume 100: z-score %.3f, quality %.3f\n", ms[1] / ms[0],
           ms[3] / ms[2]);
}

int main(void)
{
    float *volumes = phi_calloc2(VOLUMES, VOXELS, sizeof *volumes);
    struct phi_rng rng;

    base = (struct load){.volumes = volumes, .y = phi_calloc(VOXELS, sizeof(float))};
    if (!volumes || !base.y)
        return EXIT_FAILURE;
    phi_rng_init(&rng, 1, 0);
    phi_rng_normal_f32(&rng, volumes, (size_t)VOLUMES * VOXELS);
    for (size_t i = 0; i < (size_t)VOLUMES * VOXELS; i++)
        volumes[i] += 100;
    report_cost();
    report_growth();
    return EXIT_SUCCESS;
}
