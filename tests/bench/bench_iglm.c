/* SPDX-License-Identifier: MIT
 * Cost of a volume of the incremental linear model: over the plain reading and writing of the same
 * state (the floor), with maps, at volume 5,000 over volume 100, and against one solver per voxel.
 * Prints ratios; asserts nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/iglm.h"
#include "temporal_timing.h"

enum { VOXELS = 180000, REGRESSORS = 30, REPEATS = 25, SOME = 2000, FEW = VOXELS / 10 };

struct state {
    double *x;
    size_t n;
};

/* The floor: every number of the state is read, changed and written once. */
static void touch(void *arg)
{
    const struct state *s = arg;

    for (size_t k = 0; k < s->n; k++)
        s->x[k] += 1.0;
}

struct load {
    struct phi_iglm *glm;
    struct phi_rng rng;
    const float *y;
    const struct phi_iglm_maps *maps;
};

static void volume(void *arg)
{
    struct load *load = arg;
    double x[REGRESSORS] = {1};

    for (int i = 1; i < REGRESSORS; i++)
        x[i] = phi_rng_normal(&load->rng);
    if (phi_iglm_add(load->glm, x, load->y, load->maps) != PH_OK)
        abort();
}

/* One solver per voxel: each keeps and rotates its own R, as solvers without sharing do. */
static void own_solvers(void *arg)
{
    double *all = arg;
    size_t r = REGRESSORS;
    double x[REGRESSORS];

    for (size_t v = 0; v < SOME; v++) {
        double *own = all + v * r * r;

        for (size_t i = 0; i < r; i++)
            x[i] = 1.0 + (double)((i * 7 + v) % 11);
        for (size_t i = 0; i < r; i++) {
            double length = own[i * r + i] + x[i];
            double c = own[i * r + i] / length;
            double s = x[i] / length;

            for (size_t j = i; j < r; j++) {
                double above = own[i * r + j];

                own[i * r + j] = c * above + s * x[j];
                x[j] = c * x[j] - s * above;
            }
        }
    }
}

static struct load make_load(size_t n_voxels, const float *y, const struct phi_iglm_maps *maps)
{
    const struct phi_iglm_config config = {n_voxels, REGRESSORS, 2, 0};
    struct load load = {.y = y, .maps = maps};
    double c[REGRESSORS] = {0, 1, -1};

    phi_rng_init(&load.rng, 1, 1);
    if (phi_iglm_create(&config, &load.glm, NULL) != PH_OK ||
        phi_iglm_set_vector(load.glm, 0, c) != PH_OK ||
        phi_iglm_set_vector(load.glm, 1, c) != PH_OK)
        exit(EXIT_FAILURE);
    return load;
}

static void report_cost(const float *y, const struct phi_iglm_maps *maps)
{
    struct state state = {phi_calloc(VOXELS, REGRESSORS * sizeof(double)),
                          (size_t)VOXELS * REGRESSORS};
    struct load plain = make_load(VOXELS, y, NULL);
    struct load mapped = make_load(VOXELS, y, maps);
    double *solvers = phi_calloc2(SOME, (size_t)REGRESSORS * REGRESSORS, sizeof *solvers);
    timing_fn *const run[] = {touch, volume, volume, own_solvers};
    void *const arg[] = {&state, &plain, &mapped, solvers};
    double ms[4];

    timing_least(run, arg, 4, REPEATS, ms);
    printf("iglm, %d voxels, %d regressors, one thread\n", VOXELS, REGRESSORS);
    printf("floor (state read and written): %.2f ms, %.1f GB/s\n", ms[0],
           16e-6 * (double)state.n / ms[0]);
    printf("volume: %.2f ms, over floor %.2f\n", ms[1], ms[1] / ms[0]);
    printf("volume with two t maps and residual: %.2f ms, over floor %.2f\n", ms[2], ms[2] / ms[0]);
    printf("one solver per voxel over volume: %.0f\n", ms[3] * VOXELS / SOME / ms[1]);
    phi_free(state.x);
    phi_free(solvers);
    phi_iglm_destroy(&plain.glm);
    phi_iglm_destroy(&mapped.glm);
}

static void report_growth(const float *y, const struct phi_iglm_maps *maps)
{
    struct load young = make_load(FEW, y, maps);
    struct load old = make_load(FEW, y, maps);
    timing_fn *const run[] = {volume, volume};
    void *const arg[] = {&young, &old};
    double ms[2];

    while (phi_iglm_n_rows(young.glm) < 100)
        volume(&young);
    while (phi_iglm_n_rows(old.glm) < 5000)
        volume(&old);
    timing_least(run, arg, 2, 200, ms);
    printf("volume 5,000 over volume 100: %.3f\n", ms[1] / ms[0]);
    phi_iglm_destroy(&young.glm);
    phi_iglm_destroy(&old.glm);
}

int main(void)
{
    float *memory = phi_calloc2(4, VOXELS, sizeof *memory);
    struct phi_iglm_maps maps = {0};
    struct phi_rng rng;

    if (!memory)
        return EXIT_FAILURE;
    phi_rng_init(&rng, 2, 1);
    phi_rng_normal_f32(&rng, memory, VOXELS);
    maps.t[0] = memory + VOXELS;
    maps.t[1] = memory + (size_t)2 * VOXELS;
    maps.residual = memory + (size_t)3 * VOXELS;
    report_cost(memory, &maps);
    report_growth(memory, &maps);
    phi_free(memory);
    return EXIT_SUCCESS;
}
