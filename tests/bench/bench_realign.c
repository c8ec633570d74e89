/* SPDX-License-Identifier: MIT
 *
 * Motion correction of one volume, one thread, on a phantom that walks randomly: prefilter,
 * estimate and reslice, as time and as ratio to the floor: 64 taps a point, 2 flop each, at the
 * matrix product's rate for the resliced voxels and for six looks at the points, plus the
 * smoothing and prefilter passes over the volume at a copy's rate.
 */
#include "phantom.h"
#include "signal/realign.h"
#include "spatial_probe.h"

#define N_VOLUMES 6

struct job {
    struct phi_realign *realign;
    struct phi_grid grid;
    float *volumes[N_VOLUMES];
    float *out;
    size_t next;
    struct phi_realign_result result;
    double worst_mm;
    double poses[N_VOLUMES][6];
};

static void estimate(void *arg)
{
    struct job *job = arg;
    size_t i = job->next++ % N_VOLUMES;

    if (phi_realign_estimate(job->realign, job->volumes[i], &job->result) != PH_OK)
        exit(1);
    for (int k = 0; k < 3; k++)
        job->worst_mm = fmax(job->worst_mm, fabs(job->result.params[k] - job->poses[i][k]));
}

static void reslice(void *arg)
{
    struct job *job = arg;
    size_t n_outside;

    if (phi_realign_reslice(job->realign, &job->result.image_to_reference, 0, job->grid.n[2],
                            job->out, &n_outside) != PH_OK)
        exit(1);
}

static void whole(void *arg)
{
    estimate(arg);
    reslice(arg);
}

static void set_reference(void *arg)
{
    struct job *job = arg;

    if (phi_realign_set_reference(job->realign, job->volumes[0]) != PH_OK)
        exit(1);
}

static void prepare(struct job *job)
{
    struct phantom head = phantom_make(1);
    struct phi_rng rng;
    struct ph_error err;
    size_t n = phi_grid_count(&job->grid);

    phi_rng_init(&rng, 3, 0);
    job->out = phi_calloc(n, sizeof(float));
    if (phi_realign_create(&(struct phi_realign_config){0}, &job->grid, &job->grid, &job->realign,
                           &err) != PH_OK ||
        !job->out)
        exit(1);
    for (int i = 0; i < N_VOLUMES; i++) {
        for (int k = 0; i > 0 && k < 6; k++)
            job->poses[i][k] =
                job->poses[i - 1][k] + 0.2 * phi_rng_normal(&rng) * (k < 3 ? 1 : M_PI / 180);
        job->volumes[i] = phi_calloc(n, sizeof(float));
        if (!job->volumes[i])
            exit(1);
        phantom_sample(&head, &job->grid, job->poses[i], 10, 1 + (uint64_t)i, job->volumes[i]);
    }
}

static void bench_grid(size_t nx, size_t ny, size_t nz, const double mm[3])
{
    const size_t n[3] = {nx, ny, nz};
    struct job job = {.grid = phantom_grid(n, mm)};
    size_t count = nx * ny * nz;
    struct probe probe;
    double reference_ms, estimate_ms, reslice_ms, whole_ms, floor_ms;

    prepare(&job);
    probe = probe_machine(count);
    reference_ms = probe_median_ms(set_reference, &job);
    estimate_ms = probe_median_ms(estimate, &job);
    reslice_ms = probe_median_ms(reslice, &job);
    whole_ms = probe_median_ms(whole, &job);
    floor_ms =
        probe_floor_ms(&probe, 128e-6 * ((double)count + 6.0 * (double)job.result.n_points), 0) +
        probe_floor_ms(&probe, 0, 4 * 8e-6 * (double)count);
    printf("%zux%zux%zu: estimate %.2f ms (%zu points, %u looks) + reslice %.2f ms = %.2f ms, %.1f "
           "of floor %.2f; new reference %.1f ms; worst %.3f mm\n",
           nx, ny, nz, estimate_ms, job.result.n_points, job.result.n_iterations, reslice_ms,
           whole_ms, whole_ms / floor_ms, floor_ms, reference_ms, job.worst_mm);
    phi_realign_destroy(&job.realign);
    for (int i = 0; i < N_VOLUMES; i++)
        phi_free(job.volumes[i]);
    phi_free(job.out);
}

int main(void)
{
    bench_grid(64, 64, 36, (const double[3]){3.44, 3.44, 3.75});
    bench_grid(96, 96, 60, (const double[3]){2, 2, 2});
    bench_grid(76, 90, 74, (const double[3]){2, 2, 2});
    return 0;
}
