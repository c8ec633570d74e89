/* SPDX-License-Identifier: MIT
 *
 * Every instruction set's inner loops against the plain one: copying rows with masks and bad
 * values (same bits), sums along lines and across slices, scaling, and the spline prefilter (2e-6
 * of the range), at widths that are no multiple of a vector.
 */
#include "test.h"

#include "base/rng.h"
#include "signal/smooth.h"
#include "signal/spatial_kernels.h"

enum { WIDTH = 83, ROWS = 9, STRIDE = 90, N = ROWS * STRIDE, MARGIN = 40 };

static const struct phi_rows rows = {ROWS, WIDTH, STRIDE, STRIDE};

static void fill(float *values, size_t n, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    phi_rng_normal_f32(&rng, values, n);
}

static void assert_close(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_near(a[i], b[i], 2e-6);
}

static void test_load_rows(void **state)
{
    static float in[N], expected[N];
    static uint8_t keep[N];
    size_t n_bad = 0;

    (void)state;
    fill(in, N, 1);
    for (size_t i = 0; i < N; i++) {
        keep[i] = i % 3 ? (uint8_t)(i % 5 + 1) : 0;
        if (i % 7 == 0)
            in[i] = i % 2 ? NAN : -INFINITY;
    }
    for (int masked = 0; masked < 2; masked++) {
        n_bad = 0;
        for (size_t i = 0; i < N; i++) {
            bool kept = i % STRIDE < WIDTH && (!masked || keep[i]);

            expected[i] = kept && isfinite(in[i]) ? in[i] : 0;
            n_bad += kept && !isfinite(in[i]);
        }
        for (size_t k = 0; phi_spatial_kernels_at(k); k++) {
            static float out[N];

            memset(out, 0, sizeof out);
            assert_int_equal(
                phi_spatial_kernels_at(k)->load_rows(in, masked ? keep : NULL, &rows, out), n_bad);
            assert_memory_equal(out, expected, sizeof out);
        }
    }
}

static void test_sums(void **state)
{
    static float in[N + 2 * MARGIN], expected[N], got[N];
    const float *slices[9];
    float w[PHI_SMOOTH_MAX_RADIUS + 1];
    size_t radius = phi_smooth_kernel(5, 2, w);

    (void)state;
    assert_int_equal(radius, 4);
    fill(in, N + 2 * MARGIN, 2);
    for (size_t i = 0; i < 9; i++)
        slices[i] = in + 5 * i;
    for (size_t k = 0; phi_spatial_kernels_at(k); k++) {
        const struct phi_spatial_kernels *kernels = phi_spatial_kernels_at(k);

        for (size_t step = 1; step <= 10; step += 9) {
            for (size_t i = 0; i < N; i++) {
                double sum = (double)w[0] * (double)in[MARGIN + i];

                for (size_t r = 1; r <= radius; r++)
                    sum += (double)w[r] *
                           ((double)in[MARGIN + i - r * step] + (double)in[MARGIN + i + r * step]);
                expected[i] = (float)sum;
            }
            kernels->stencil(in + MARGIN, step, w, radius, N, got);
            assert_close(got, expected, N);
        }
        kernels->stencil(in + 20, 5, w, radius, N, expected);
        kernels->stencil_slices(slices, w, radius, N, got);
        assert_close(got, expected, N);
    }
}

static void test_stores(void **state)
{
    static float in[N], by[N], columns[WIDTH], out[N];
    const float row_scale[ROWS] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

    (void)state;
    fill(in, N, 3);
    fill(by, N, 4);
    fill(columns, WIDTH, 5);
    for (size_t k = 0; phi_spatial_kernels_at(k); k++) {
        phi_spatial_kernels_at(k)->store_scaled(in, columns, row_scale, &rows, out);
        for (size_t i = 0; i < N; i++)
            if (i % STRIDE < WIDTH)
                assert_near(out[i], in[i] * (columns[i % STRIDE] * row_scale[i / STRIDE]), 1e-5);
        phi_spatial_kernels_at(k)->store_weighted(in, by, &rows, out);
        for (size_t i = 0; i < N; i++)
            if (i % STRIDE < WIDTH)
                assert_near(out[i], in[i] * by[i], 2e-6);
    }
}

/* The prefilter's answer, put through the spline at the nodes, is the input again. */
static void test_prefilter(void **state)
{
    static float in[N], c[N];

    (void)state;
    fill(in, N, 6);
    for (size_t k = 0; phi_spatial_kernels_at(k); k++)
        for (size_t n = 2; n <= ROWS; n++) {
            memcpy(c, in, sizeof c);
            phi_spatial_kernels_at(k)->prefilter(c, n, STRIDE, WIDTH);
            for (size_t r = 0; r < n; r++)
                for (size_t i = 0; i < WIDTH; i++) {
                    float before = c[(r > 0 ? r - 1 : 1) * STRIDE + i];
                    float after = c[(r + 1 < n ? r + 1 : n - 2) * STRIDE + i];

                    assert_near((before + 4 * c[r * STRIDE + i] + after) / 6, in[r * STRIDE + i],
                                5e-6);
                }
            assert_near(c[WIDTH], in[WIDTH], 0); /* the gap stays */
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_rows),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_stores),
        cmocka_unit_test(test_prefilter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
