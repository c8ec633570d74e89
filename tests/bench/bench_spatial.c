/* SPDX-License-Identifier: MIT
 *
 * The spatial chain of a live run, one thread: realign, reslice, smooth 5 mm inside the mask,
 * gather. 76 x 90 x 74 voxels of 2 mm, 300 volumes that move; median, 99th percentile, longest, and
 * the mean over the first and the last hundred, which must not differ: nothing grows with the run.
 */
#include "phantom.h"
#include "signal/mask.h"
#include "signal/realign.h"
#include "signal/smooth.h"
#include "spatial_probe.h"

#define N_DIFFERENT 8
#define N_VOLUMES   300

struct chain {
    struct phi_grid grid;
    struct phi_realign *realign;
    struct phi_mask *mask;
    struct phi_smooth *smooth;
    float *volumes[N_DIFFERENT];
    float *moved;
    float *vector;
};

static void prepare(struct chain *c)
{
    struct phantom head = phantom_make(1);
    size_t n = phi_grid_count(&c->grid);
    struct ph_error err;
    struct phi_rng rng;
    struct phi_smooth_config config = {.fwhm_mm = {5, 5, 5}};
    double pose[6] = {0};
    int failed;

    phi_rng_init(&rng, 3, 0);
    c->moved = phi_calloc(n, sizeof(float));
    c->vector = phi_calloc(n, sizeof(float));
    failed = !c->moved || !c->vector;
    for (int i = 0; !failed && i < N_DIFFERENT; i++) {
        c->volumes[i] = phi_calloc(n, sizeof(float));
        failed = !c->volumes[i];
        for (int k = 0; k < 6; k++)
            pose[k] += 0.2 * phi_rng_normal(&rng) * (k < 3 ? 1 : M_PI / 180);
        if (!failed)
            phantom_sample(&head, &c->grid, pose, 10, 1 + (uint64_t)i, c->volumes[i]);
    }
    failed = failed ||
             phi_realign_create(&(struct phi_realign_config){0}, &c->grid, &c->grid, &c->realign,
                                &err) != PH_OK ||
             phi_realign_set_reference(c->realign, c->volumes[0]) != PH_OK ||
             phi_mask_create(&c->grid, &c->mask, &err) != PH_OK ||
             phi_mask_from_mean(c->mask, c->volumes[0]) != PH_OK;
    config.mask = failed ? NULL : c->mask->inside;
    if (failed || phi_smooth_plan(&config, &c->grid, &c->smooth, &err) != PH_OK)
        exit(1);
}

static double run_one(struct chain *c, const float *volume)
{
    double start = probe_now_ms();
    struct phi_realign_result result;
    size_t n_outside;

    if (phi_realign_estimate(c->realign, volume, &result) != PH_OK ||
        phi_realign_reslice(c->realign, &result.image_to_reference, 0, c->grid.n[2], c->moved,
                            &n_outside) != PH_OK)
        exit(1);
    (void)phi_smooth_process(c->smooth, c->moved, c->moved);
    phi_mask_gather(c->mask, c->moved, c->vector);
    return probe_now_ms() - start;
}

static double mean(const double *times, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += times[i] / n;
    return sum;
}

int main(void)
{
    static double times[N_VOLUMES];
    const size_t n[3] = {76, 90, 74};
    const double mm[3] = {2, 2, 2};
    struct chain c = {.grid = phantom_grid(n, mm)};
    double early, late;

    prepare(&c);
    for (int i = 0; i < N_VOLUMES; i++)
        times[i] = run_one(&c, c.volumes[i % N_DIFFERENT]);
    early = mean(times, 100);
    late = mean(times + N_VOLUMES - 100, 100);
    qsort(times, N_VOLUMES, sizeof *times, probe_compare);
    printf("76x90x74 realign + reslice + smooth + mask (%zu voxels): p50 %.2f ms, p99 %.2f ms, max "
           "%.2f ms; last 100 over first 100: %.3f\n",
           c.mask->n_voxels, times[N_VOLUMES / 2], times[N_VOLUMES * 99 / 100],
           times[N_VOLUMES - 1], late / early);
    phi_realign_destroy(&c.realign);
    phi_mask_destroy(&c.mask);
    phi_smooth_destroy(&c.smooth);
    for (int i = 0; i < N_DIFFERENT; i++)
        phi_free(c.volumes[i]);
    phi_free(c.moved);
    phi_free(c.vector);
    return 0;
}
