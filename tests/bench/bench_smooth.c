/* SPDX-License-Identifier: MIT
 *
 * Smoothing of one volume, one thread: separable and FFT by width, as time and as ratio to the
 * floor (multiply-adds over the matrix product's rate, bytes over a copy's), and the width where
 * the FFT becomes cheaper.
 */
#include "base/rng.h"
#include "signal/smooth.h"
#include "spatial_probe.h"

struct job {
    struct phi_smooth *smooth;
    float *in;
    float *out;
};

static void run(void *arg)
{
    struct job *job = arg;

    (void)phi_smooth_process(job->smooth, job->in, job->out);
}

static double time_method(struct job *job, const struct phi_grid *grid, double fwhm_mm,
                          uint32_t method, uint32_t *ret_auto)
{
    struct phi_smooth_config config = {.fwhm_mm = {fwhm_mm, fwhm_mm, fwhm_mm}, .method = method};
    struct ph_error err;
    double ms;

    if (phi_smooth_plan(&config, grid, &job->smooth, &err) != PH_OK) {
        printf("%s\n", err.text);
        exit(1);
    }
    *ret_auto = phi_smooth_method(job->smooth);
    ms = method == PHI_SMOOTH_AUTO ? 0 : probe_median_ms(run, job);
    phi_smooth_destroy(&job->smooth);
    return ms;
}

static void bench_grid(size_t nx, size_t ny, size_t nz, double mm)
{
    static const double widths[] = {5, 8, 12, 16, 24, 32, 48, 64, 96};
    struct phi_grid grid = {{nx, ny, nz}, phi_affine_identity()};
    size_t n = phi_grid_count(&grid);
    struct job job = {.in = phi_calloc(n, sizeof(float)), .out = phi_calloc(n, sizeof(float))};
    struct probe probe = probe_machine(n);
    struct phi_rng rng;

    for (int i = 0; i < 3; i++)
        grid.affine.m[i][i] = mm;
    phi_rng_init(&rng, 1, 0);
    phi_rng_normal_f32(&rng, job.in, n);
    printf("%zux%zux%zu, %g mm (probe %.0f GFLOP/s, %.0f GB/s)\n", nx, ny, nz, mm, probe.gflops,
           probe.gbytes_per_s);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        float w[PHI_SMOOTH_MAX_RADIUS + 1];
        double taps = 3.0 * (2.0 * (double)phi_smooth_kernel(widths[i], mm, w) + 1.0);
        double floor_ms = probe_floor_ms(&probe, 2e-6 * taps * (double)n, 8e-6 * (double)n);
        uint32_t chosen;
        double sums = time_method(&job, &grid, widths[i], PHI_SMOOTH_SEPARABLE, &chosen);
        double fft = time_method(&job, &grid, widths[i], PHI_SMOOTH_FFT, &chosen);

        (void)time_method(&job, &grid, widths[i], PHI_SMOOTH_AUTO, &chosen);
        printf("  fwhm %3g mm: separable %7.3f ms (%5.2f of floor %.3f), fft %7.3f ms, auto: %s\n",
               widths[i], sums, sums / floor_ms, floor_ms, fft,
               chosen == PHI_SMOOTH_FFT ? "fft" : "separable");
    }
    phi_free(job.in);
    phi_free(job.out);
}

int main(void)
{
    bench_grid(96, 96, 60, 2.0);
    bench_grid(64, 64, 36, 3.5);
    bench_grid(76, 90, 74, 2.0);
    return 0;
}
