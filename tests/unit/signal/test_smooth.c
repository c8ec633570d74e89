/* SPDX-License-Identifier: MIT
 *
 * Smoothing against a plain float64 sum over the whole kernel (tolerance 2e-5 of the data's
 * range), for both methods, with and without a mask, on odd and tiny grids; every instruction set
 * against the plain one; same bits in place and for any number of parts; constants stay constant;
 * bad values and bad settings are answered.
 */
#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/smooth.h"
#include "signal/smooth_internal.h"
#include "signal/spatial_kernels.h"

static struct phi_grid make_grid(size_t nx, size_t ny, size_t nz)
{
    struct phi_grid grid = {{nx, ny, nz}, phi_affine_identity()};

    grid.affine.m[0][0] = -2;
    grid.affine.m[1][1] = 3;
    grid.affine.m[2][2] = 2.5;
    return grid;
}

static float *random_volume(const struct phi_grid *grid, uint64_t seed)
{
    size_t n = phi_grid_count(grid);
    float *volume = phi_calloc(n, sizeof(float));
    struct phi_rng rng;

    assert_non_null(volume);
    phi_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++)
        volume[i] = (float)(1000 * phi_rng_uniform(&rng));
    return volume;
}

static uint8_t *ball_mask(const struct phi_grid *grid)
{
    uint8_t *mask = phi_calloc(phi_grid_count(grid), 1);
    size_t i = 0;

    assert_non_null(mask);
    for (size_t z = 0; z < grid->n[2]; z++)
        for (size_t y = 0; y < grid->n[1]; y++)
            for (size_t x = 0; x < grid->n[0]; x++, i++) {
                double dx = (double)x / (double)grid->n[0] - 0.4;
                double dy = (double)y / (double)grid->n[1] - 0.5;
                double dz = (double)z / (double)grid->n[2] - 0.5;

                mask[i] = dx * dx + dy * dy + dz * dz < 0.15;
            }
    return mask;
}

struct reference {
    const struct phi_grid *grid;
    const float *in;
    const uint8_t *mask;
    float w[3][PHI_SMOOTH_MAX_RADIUS + 1];
    long radius[3];
};

static bool usable(const struct reference *r, long x, long y, long z, size_t *ret)
{
    const size_t *n = r->grid->n;

    if (x < 0 || y < 0 || z < 0 || x >= (long)n[0] || y >= (long)n[1] || z >= (long)n[2])
        return false;
    *ret = ((size_t)z * n[1] + (size_t)y) * n[0] + (size_t)x;
    return !r->mask || r->mask[*ret];
}

/* Normalised convolution at one voxel, straight from the definition. */
static double reference_at(const struct reference *r, long x, long y, long z)
{
    double sum = 0;
    double weight = 0;
    size_t i;

    for (long c = -r->radius[2]; c <= r->radius[2]; c++)
        for (long b = -r->radius[1]; b <= r->radius[1]; b++)
            for (long a = -r->radius[0]; a <= r->radius[0]; a++)
                if (usable(r, x + a, y + b, z + c, &i)) {
                    double w = (double)r->w[0][labs(a)] * (double)r->w[1][labs(b)] *
                               (double)r->w[2][labs(c)];

                    sum += w * (double)r->in[i];
                    weight += w;
                }
    return sum / weight;
}

static void compare(const struct phi_grid *grid, const struct phi_smooth_config *config)
{
    float *in = random_volume(grid, 3);
    float *out = random_volume(grid, 4);
    struct reference r = {.grid = grid, .in = in, .mask = config->mask};
    struct phi_smooth *smooth = NULL;
    struct ph_error err = {0};
    double mm[3];
    size_t i = 0;

    phi_affine_voxel_size(&grid->affine, mm);
    for (int axis = 0; axis < 3; axis++)
        r.radius[axis] = (long)phi_smooth_kernel(config->fwhm_mm[axis], mm[axis], r.w[axis]);
    assert_ok(phi_smooth_plan(config, grid, &smooth, &err), err);
    assert_int_equal(phi_smooth_process(smooth, in, out), 0);
    for (long z = 0; z < (long)grid->n[2]; z++)
        for (long y = 0; y < (long)grid->n[1]; y++)
            for (long x = 0; x < (long)grid->n[0]; x++, i++) {
                bool inside = !config->mask || config->mask[i];

                assert_near(out[i], inside ? reference_at(&r, x, y, z) : 0.0, 0.02);
            }
    phi_smooth_destroy(&smooth);
    phi_free(in);
    phi_free(out);
}

static void test_matches_definition(void **state)
{
    const struct phi_grid grids[] = {make_grid(19, 14, 11), make_grid(33, 5, 3), make_grid(2, 1, 7),
                                     make_grid(1, 1, 1)};

    (void)state;
    for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
        uint8_t *mask = ball_mask(&grids[g]);

        for (uint32_t method = PHI_SMOOTH_SEPARABLE; method <= PHI_SMOOTH_FFT; method++) {
            struct phi_smooth_config config = {.fwhm_mm = {5, 6, 4}, .method = method};

            compare(&grids[g], &config);
            config.mask = mask;
            compare(&grids[g], &config);
            config.fwhm_mm[1] = 0;
            config.n_parts = 3;
            compare(&grids[g], &config);
        }
        phi_free(mask);
    }
}

static void run(const struct phi_grid *grid, uint32_t n_parts, const float *in, float *out)
{
    struct phi_smooth_config config = {.fwhm_mm = {5, 5, 5}, .n_parts = n_parts};
    struct phi_smooth *smooth = NULL;
    struct ph_error err = {0};

    assert_ok(phi_smooth_plan(&config, grid, &smooth, &err), err);
    assert_int_equal(phi_smooth_process(smooth, in, out), 0);
    phi_smooth_destroy(&smooth);
}

static void test_same_bits(void **state)
{
    struct phi_grid grid = make_grid(30, 21, 17);
    size_t n_bytes = phi_grid_count(&grid) * sizeof(float);
    float *in = random_volume(&grid, 5);
    float *one = random_volume(&grid, 6);
    float *many = random_volume(&grid, 7);

    (void)state;
    run(&grid, 1, in, one);
    run(&grid, 2, in, many);
    assert_memory_equal(one, many, n_bytes);
    run(&grid, 8, in, many);
    assert_memory_equal(one, many, n_bytes);
    run(&grid, 64, in, many); /* more parts than slices */
    assert_memory_equal(one, many, n_bytes);
    run(&grid, 1, in, in);
    assert_memory_equal(one, in, n_bytes);
    phi_free(in);
    phi_free(one);
    phi_free(many);
}

static void test_instruction_sets_agree(void **state)
{
    enum { N = 333, MARGIN = 64 };
    const struct phi_spatial_kernels *plain = phi_spatial_kernels_at(0);
    static float in[N + 2 * MARGIN], expected[N], got[N];
    float w[PHI_SMOOTH_MAX_RADIUS + 1];
    size_t radius = phi_smooth_kernel(5, 2, w);
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 9, 0);
    phi_rng_normal_f32(&rng, in, N + 2 * MARGIN);
    assert_true(radius * 7 <= MARGIN);
    for (size_t i = 1; phi_spatial_kernels_at(i); i++)
        for (size_t step = 1; step <= 7; step += 6) {
            plain->stencil(in + MARGIN, step, w, radius, N, expected);
            phi_spatial_kernels_at(i)->stencil(in + MARGIN, step, w, radius, N, got);
            for (size_t j = 0; j < N; j++)
                assert_near(got[j], expected[j], 1e-6);
        }
}

static void test_constant_stays(void **state)
{
    struct phi_grid grid = make_grid(12, 9, 8);
    uint8_t *mask = ball_mask(&grid);
    float *volume = random_volume(&grid, 1);
    struct phi_smooth_config config = {.fwhm_mm = {8, 8, 8}, .mask = mask};
    struct phi_smooth *smooth = NULL;
    struct ph_error err = {0};

    (void)state;
    for (size_t i = 0; i < phi_grid_count(&grid); i++)
        volume[i] = 500;
    assert_ok(phi_smooth_plan(&config, &grid, &smooth, &err), err);
    assert_int_equal(phi_smooth_process(smooth, volume, volume), 0);
    for (size_t i = 0; i < phi_grid_count(&grid); i++)
        assert_near(volume[i], mask[i] ? 500 : 0, 1e-3);
    phi_smooth_destroy(&smooth);
    phi_free(volume);
    phi_free(mask);
}

static void test_bad_values_count_as_zero(void **state)
{
    struct phi_grid grid = make_grid(12, 9, 8);
    size_t n = phi_grid_count(&grid);
    float *volume = random_volume(&grid, 1);
    float *clean = random_volume(&grid, 1);

    (void)state;
    for (uint32_t method = PHI_SMOOTH_SEPARABLE; method <= PHI_SMOOTH_FFT; method++) {
        struct phi_smooth_config config = {.fwhm_mm = {5, 5, 5}, .method = method};
        struct phi_smooth *smooth = NULL;
        struct ph_error err = {0};
        float *a = random_volume(&grid, 8);
        float *b = random_volume(&grid, 9);

        volume[100] = NAN;
        volume[300] = -INFINITY;
        volume[n - 1] = INFINITY;
        clean[100] = clean[300] = clean[n - 1] = 0;
        assert_ok(phi_smooth_plan(&config, &grid, &smooth, &err), err);
        assert_int_equal(phi_smooth_process(smooth, volume, a), 3);
        assert_int_equal(phi_smooth_process(smooth, clean, b), 0);
        assert_memory_equal(a, b, n * sizeof(float));
        phi_smooth_destroy(&smooth);
        phi_free(a);
        phi_free(b);
    }
    phi_free(volume);
    phi_free(clean);
}

static void test_bad_settings(void **state)
{
    struct phi_grid grid = make_grid(12, 9, 8);
    struct phi_smooth *smooth = NULL;
    struct ph_error err = {0};
    const double bad[] = {-1, NAN, INFINITY, 1e9};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct phi_smooth_config config = {.fwhm_mm = {5, bad[i], 5}};

        assert_int_equal(phi_smooth_plan(&config, &grid, &smooth, &err), PH_E_INVAL);
        assert_null(smooth);
        assert_non_null(strstr(err.text, "mm"));
    }
    grid.n[1] = 0;
    assert_int_equal(phi_smooth_plan(&(struct phi_smooth_config){0}, &grid, &smooth, &err),
                     PH_E_SHAPE);
    phi_smooth_destroy(&smooth);
    phi_smooth_destroy(NULL);
}

static void test_auto_goes_by_width(void **state)
{
    const size_t brain[3] = {96, 96, 60};
    const size_t large[3] = {512, 512, 512};
    const size_t narrow[3] = {4, 4, 4};
    const size_t wide[3] = {100, 100, 100};
    struct phi_grid grid = make_grid(12, 9, 8);
    struct phi_smooth_config config = {.fwhm_mm = {5, 5, 5}};
    struct phi_smooth *smooth = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_false(phi_smooth_fft_wins(brain, narrow));
    assert_false(phi_smooth_fft_wins(large, narrow));
    assert_true(phi_smooth_fft_wins(large, wide));
    assert_ok(phi_smooth_plan(&config, &grid, &smooth, &err), err);
    assert_int_equal(phi_smooth_method(smooth), PHI_SMOOTH_SEPARABLE);
    phi_smooth_destroy(&smooth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_definition),       cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_instruction_sets_agree),   cmocka_unit_test(test_constant_stays),
        cmocka_unit_test(test_bad_values_count_as_zero), cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_auto_goes_by_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
