/* SPDX-License-Identifier: MIT
 * Cost of a volume of the incremental linear model: over the plain reading and writing of the same
 * state (the floor), with maps, as the run grows from volume 100 to 5,000, and against one solver
 * per voxel. Prints ratios; asserts nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/iglm.h"

enum { VOXELS = 180000, REGRESSORS = 30, REPEATS = 9 };

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    return x[n / 2];
}

/* The floor: every number of the state is read, changed and written once. */
static double floor_ms(double *state, size_t n)
{
    double ms[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start = now_ms();

        for (size_t k = 0; k < n; k++)
            state[k] += 1.0;
        ms[i] = now_ms() - start;
    }
    return median(ms, REPEATS);
}

struct load {
    struct phi_iglm *glm;
    struct phi_rng rng;
    const float *y;
    double x[REGRESSORS];
};

static void next_row(struct load *load)
{
    load->x[0] = 1;
    for (int i = 1; i < REGRESSORS; i++)
        load->x[i] = phi_rng_normal(&load->rng);
}

static double volume_ms(struct load *load, const struct phi_iglm_maps *maps)
{
    double ms[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start;

        next_row(load);
        start = now_ms();
        if (phi_iglm_add(load->glm, load->x, load->y, maps) != PH_OK)
            return 0;
        ms[i] = now_ms() - start;
    }
    return median(ms, REPEATS);
}

/* One solver per voxel: each keeps and rotates its own R, as solvers without sharing do. */
static double own_solver_ms(void)
{
    enum { SOME = 2000 };
    size_t r = REGRESSORS;
    double *all = phi_calloc2(SOME, r * (r + 1), sizeof *all);
    double x[REGRESSORS], best = 1e30;

    for (int pass = 0; all && pass < REPEATS; pass++) {
        double start = now_ms();

        for (size_t v = 0; v < SOME; v++) {
            double *own = all + v * r * (r + 1);

            for (size_t i = 0; i < r; i++)
                x[i] = 1.0 + (double)((i * 7 + v + (size_t)pass) % 11);
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
        best = now_ms() - start < best ? now_ms() - start : best;
    }
    phi_free(all);
    return best * VOXELS / SOME;
}

int main(void)
{
    const struct phi_iglm_config config = {VOXELS, REGRESSORS, 2, 0};
    size_t n_state = (size_t)VOXELS * REGRESSORS;
    double *state = phi_calloc(n_state, sizeof *state);
    float *maps_memory = phi_calloc2(5, VOXELS, sizeof *maps_memory);
    float *y = phi_calloc(VOXELS, sizeof *y);
    struct load load = {.y = y};
    struct phi_iglm_maps maps = {0};
    double c[REGRESSORS] = {0, 1, -1};
    double floor, plain, with_maps, early, late;

    if (!state || !maps_memory || !y || phi_iglm_create(&config, &load.glm, NULL) != PH_OK)
        return EXIT_FAILURE;
    phi_rng_init(&load.rng, 1, 1);
    phi_rng_normal_f32(&load.rng, y, VOXELS);
    for (size_t k = 0; k < 2; k++) {
        if (phi_iglm_set_vector(load.glm, k, c) != PH_OK)
            return EXIT_FAILURE;
        maps.value[k] = maps_memory + k * VOXELS;
        maps.t[k] = maps_memory + (2 + k) * VOXELS;
    }
    maps.residual = maps_memory + (size_t)4 * VOXELS;
    floor = floor_ms(state, n_state);
    plain = volume_ms(&load, NULL);
    with_maps = volume_ms(&load, &maps);
    while (phi_iglm_n_rows(load.glm) < 100)
        volume_ms(&load, NULL);
    early = volume_ms(&load, &maps);
    printf("iglm, %d voxels, %d regressors, one thread\n", VOXELS, REGRESSORS);
    printf("floor (state read and written): %.2f ms, %.1f GB/s\n", floor,
           16e-6 * (double)n_state / floor);
    printf("volume over floor: %.2f\n", plain / floor);
    printf("volume with two t maps and residual over floor: %.2f\n", with_maps / floor);
    printf("one solver per voxel over volume: %.0f\n", own_solver_ms() / plain);
    phi_iglm_destroy(&load.glm);
    /* growth: a small model, so that 5,000 volumes take seconds */
    if (phi_iglm_create(&(struct phi_iglm_config){VOXELS / 10, REGRESSORS, 2, 0}, &load.glm,
                        NULL) != PH_OK)
        return EXIT_FAILURE;
    while (phi_iglm_n_rows(load.glm) < 100)
        volume_ms(&load, &maps);
    early = volume_ms(&load, &maps);
    while (phi_iglm_n_rows(load.glm) < 5000)
        volume_ms(&load, &maps);
    late = volume_ms(&load, &maps);
    printf("volume 5,000 over volume 100: %.3f\n", late / early);
    phi_iglm_destroy(&load.glm);
    phi_free(state);
    phi_free(maps_memory);
    phi_free(y);
    return EXIT_SUCCESS;
}
