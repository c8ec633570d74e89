/* SPDX-License-Identifier: MIT
 *
 * The spline goes through the voxels (1e-5 of the range) for every shape of grid, also one voxel
 * thick; between voxels it equals a float64 evaluation whose coefficients come from solving the
 * interpolation equations directly; it reproduces a cubic far from the border; outside is 0 and
 * counted; non-finite voxels count as 0; slices may be done in any split; all instruction sets
 * agree.
 */
#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "signal/bspline.h"

static float *random_volume(size_t n, uint64_t seed)
{
    float *volume = phi_calloc(n, sizeof(float));
    struct phi_rng rng;

    assert_non_null(volume);
    phi_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++)
        volume[i] = (float)phi_rng_uniform(&rng);
    return volume;
}

static struct phi_bspline *make(const size_t n[3], const float *volume)
{
    struct phi_bspline *spline = NULL;
    struct ph_error err = {0};

    assert_ok(phi_bspline_create(n, &spline, &err), err);
    assert_int_equal(phi_bspline_prefilter(spline, volume), 0);
    return spline;
}

static void test_goes_through_the_voxels(void **state)
{
    static const size_t grids[][3] = {{20, 17, 9}, {3, 2, 4}, {65, 4, 5}, {7, 1, 6},
                                      {1, 1, 1},   {2, 9, 2}, {1, 5, 1}};
    const struct phi_affine identity = phi_affine_identity();

    (void)state;
    for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
        size_t n = grids[g][0] * grids[g][1] * grids[g][2];
        float *volume = random_volume(n, g);
        float *out = random_volume(n, 99);
        struct phi_bspline *spline = make(grids[g], volume);

        assert_int_equal(phi_bspline_reslice(spline, &identity, grids[g], 0, grids[g][2], out), 0);
        for (size_t i = 0; i < n; i++)
            assert_near(out[i], volume[i], 1e-5);
        phi_bspline_destroy(&spline);
        phi_free(volume);
        phi_free(out);
    }
}

enum { LINE = 11 };

/* Coefficients of one line by Gaussian elimination of c[i-1] + 4 c[i] + c[i+1] = 6 v[i], mirrored;
 * nothing in common with the recursive filter. */
static void solve_line(const double v[LINE], double c[LINE])
{
    double a[LINE][LINE + 1] = {{0}};

    for (int i = 0; i < LINE; i++) {
        int before = i > 0 ? i - 1 : 1;
        int after = i < LINE - 1 ? i + 1 : LINE - 2;

        a[i][i] += 4;
        a[i][before] += 1;
        a[i][after] += 1;
        a[i][LINE] = 6 * v[i];
    }
    for (int i = 0; i < LINE; i++)
        for (int r = 0; r < LINE; r++)
            if (r != i) {
                double f = a[r][i] / a[i][i];

                for (int k = 0; k <= LINE; k++)
                    a[r][k] -= f * a[i][k];
            }
    for (int i = 0; i < LINE; i++)
        c[i] = a[i][LINE] / a[i][i];
}

static double beta3(double t)
{
    t = fabs(t);
    if (t < 1)
        return 2.0 / 3 - t * t + t * t * t / 2;
    return t < 2 ? (2 - t) * (2 - t) * (2 - t) / 6 : 0;
}

static double line_at(const double c[LINE], double x)
{
    double sum = 0;

    for (int k = -2; k < LINE + 2; k++) {
        int i = k < 0 ? -k : (k >= LINE ? 2 * LINE - 2 - k : k);

        sum += c[i] * beta3(x - k);
    }
    return sum;
}

/* A volume that varies along one axis only is that axis' line everywhere. */
static void test_matches_direct_solution(void **state)
{
    const size_t n[3] = {LINE, LINE, LINE};
    double v[LINE];
    double c[LINE];
    struct phi_rng rng;

    (void)state;
    phi_rng_init(&rng, 4, 0);
    for (int i = 0; i < LINE; i++)
        v[i] = phi_rng_uniform(&rng);
    solve_line(v, c);
    for (int axis = 0; axis < 3; axis++) {
        float *volume = random_volume(LINE * LINE * LINE, 1);
        float *out = random_volume(LINE * LINE * LINE, 1);
        size_t step = axis == 0 ? 1 : (axis == 1 ? LINE : LINE * LINE);
        struct phi_affine map = phi_affine_identity();
        struct phi_bspline *spline;

        for (size_t i = 0; i < LINE * LINE * LINE; i++)
            volume[i] = (float)v[i / step % LINE];
        spline = make(n, volume);
        map.m[axis][axis] = 0.9;
        map.m[axis][3] = 0.37;
        assert_int_equal(phi_bspline_reslice(spline, &map, n, 0, LINE, out), 0);
        for (size_t i = 0; i < LINE * LINE * LINE; i++)
            assert_near(out[i], line_at(c, 0.9 * (double)(i / step % LINE) + 0.37), 1e-5);
        phi_bspline_destroy(&spline);
        phi_free(volume);
        phi_free(out);
    }
}

static double polynomial(double x, double y, double z)
{
    return 0.3 + 0.02 * x - 0.001 * x * x * x / 27 + 0.002 * y * y + 0.01 * x * z - 0.003 * z * z;
}

static void test_reproduces_a_cubic(void **state)
{
    enum { N = 40 };
    const size_t n[3] = {N, N, N};
    float *volume = random_volume(N * N * N, 1);
    float *out = random_volume(N * N * N, 1);
    const double params[6] = {0.4, -0.3, 0.2, 0.03, -0.02, 0.05};
    struct phi_affine map = phi_affine_from_params(params);
    struct phi_bspline *spline;

    (void)state;
    for (size_t i = 0; i < N * N * N; i++)
        volume[i] = (float)polynomial((double)(i % N), (double)(i / N % N), (double)(i / (N * N)));
    spline = make(n, volume);
    (void)phi_bspline_reslice(spline, &map, n, 0, N, out);
    for (size_t i = 0; i < N * N * N; i++) {
        double at[3] = {(double)(i % N), (double)(i / N % N), (double)(i / (N * N))};
        bool central = true;

        phi_affine_apply(&map, at, at);
        for (int axis = 0; axis < 3; axis++)
            central = central && at[axis] > 12 && at[axis] < N - 13;
        if (central)
            assert_near(out[i], polynomial(at[0], at[1], at[2]), 2e-5);
    }
    phi_bspline_destroy(&spline);
    phi_free(volume);
    phi_free(out);
}

static void test_outside_is_zero(void **state)
{
    const size_t n[3] = {6, 5, 4};
    float *volume = random_volume(120, 1);
    float *out = random_volume(120, 2);
    struct phi_bspline *spline = make(n, volume);
    struct phi_affine map = phi_affine_identity();

    (void)state;
    map.m[0][3] = 2.6; /* x = 0, 1, 2 of 6 remain inside */
    assert_int_equal(phi_bspline_reslice(spline, &map, n, 0, 4, out), 60);
    for (size_t i = 0; i < 120; i++)
        if (i % 6 >= 3)
            assert_near(out[i], 0, 0);
    map.m[0][3] = 0.4; /* half a voxel beyond the border its value holds */
    assert_int_equal(phi_bspline_reslice(spline, &map, n, 0, 4, out), 0);
    for (size_t i = 5; i < 120; i += 6)
        assert_near(out[i], volume[i], 1e-5);
    map.m[0][3] = NAN;
    assert_int_equal(phi_bspline_reslice(spline, &map, n, 0, 4, out), 120);
    map.m[0][3] = 1e300;
    assert_int_equal(phi_bspline_reslice(spline, &map, n, 0, 4, out), 120);
    for (size_t i = 0; i < 120; i++)
        assert_near(out[i], 0, 0);
    phi_bspline_destroy(&spline);
    phi_free(volume);
    phi_free(out);
}

static void test_bad_values_and_splits(void **state)
{
    const size_t n[3] = {33, 8, 7};
    const size_t count = 33 * 8 * 7;
    float *volume = random_volume(count, 1);
    float *whole = random_volume(count, 2);
    float *split = random_volume(count, 3);
    const double params[6] = {0.4, -0.3, 0.2, 0.03, -0.02, 0.05};
    struct phi_affine map = phi_affine_from_params(params);
    struct phi_bspline *spline = make(n, volume);

    (void)state;
    volume[77] = NAN;
    volume[78] = -INFINITY;
    assert_int_equal(phi_bspline_prefilter(spline, volume), 2);
    (void)phi_bspline_reslice(spline, &map, n, 0, 7, whole);
    for (size_t z = 0; z < 7; z++)
        (void)phi_bspline_reslice(spline, &map, n, z, z + 1, split);
    assert_memory_equal(whole, split, count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        assert_true(isfinite(whole[i]));
    phi_bspline_destroy(&spline);
    phi_free(volume);
    phi_free(whole);
    phi_free(split);
}

static void test_instruction_sets_agree(void **state)
{
    const size_t n[3] = {12, 11, 10};
    float *volume = random_volume(12 * 11 * 10, 5);
    struct phi_bspline *spline = make(n, volume);
    struct phi_spline_view view = phi_bspline_view(spline);
    float *x = random_volume(500, 1);
    float *y = random_volume(500, 2);
    float *z = random_volume(500, 3);
    float expected[500], got[500], inside[500], inside_got[500];
    struct phi_spline_points points = {x, y, z, 500, {14, 0, 0, -1, 0, 12, 0, 0, 0, 0, 11, 0}, 0};

    (void)state;
    for (size_t i = 1; phi_spatial_kernels_at(i); i++) {
        size_t a = phi_spatial_kernels_at(0)->sample(&view, &points, expected, inside);
        size_t b = phi_spatial_kernels_at(i)->sample(&view, &points, got, inside_got);

        assert_int_equal(a, b);
        assert_in_range(a, 100, 499);
        assert_memory_equal(inside, inside_got, sizeof inside);
        for (size_t k = 0; k < 500; k++)
            assert_near(got[k], expected[k], 2e-6);
    }
    phi_bspline_destroy(&spline);
    phi_free(volume);
    phi_free(x);
    phi_free(y);
    phi_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_through_the_voxels),
        cmocka_unit_test(test_matches_direct_solution),
        cmocka_unit_test(test_reproduces_a_cubic),
        cmocka_unit_test(test_outside_is_zero),
        cmocka_unit_test(test_bad_values_and_splits),
        cmocka_unit_test(test_instruction_sets_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
