/* SPDX-License-Identifier: MIT
 * filter/smooth: equals the kernel, 0 mm changes nothing, voxels that are bad in one volume mark it
 * while a background that is bad in all does not, missing volumes stay, vectors are refused. */
#include "rig.h"
#include "test.h"

#include "base/rng.h"
#include "signal/geometry.h"
#include "signal/smooth.h"

enum { NX = 12, NY = 10, NZ = 6, N = NX * NY * NZ };

static void fill(float *values, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    for (int i = 0; i < N; i++)
        values[i] = (float)(100 + 10 * phi_rng_normal(&rng));
}

static void equals_the_kernel(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/smooth", "fwhm_mm=7", &in);
    struct phi_smooth_config config = {.fwhm_mm = {7, 7, 7}};
    struct phi_grid grid = phi_grid_from_geometry(&in.geometry);
    struct phi_smooth *smooth = NULL;
    struct ph_error err = {0};
    float values[N], expected[N];

    (void)state;
    fill(values, 1);
    assert_ok(phi_smooth_plan(&config, &grid, &smooth, &err), err);
    assert_int_equal(phi_smooth_process(smooth, values, expected), 0);
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_memory_equal(rig_last(rig)->data, expected, sizeof expected);
    assert_int_equal(rig_last(rig)->flags, 0);
    phi_smooth_destroy(&smooth);
    rig_close(&rig);
}

static void no_width_changes_nothing(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/smooth", "fwhm_mm=0", &in);
    float values[N];

    (void)state;
    fill(values, 2);
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_memory_equal(rig_last(rig)->data, values, sizeof values);
    rig_close(&rig);
}

static void marks_bad_values(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/smooth", "", &in);
    float values[N];

    (void)state;
    fill(values, 3);
    values[0] = NAN; /* background in every volume */
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_int_equal(rig_last(rig)->flags, 0);
    values[200] = INFINITY;
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_INVALID);
    for (int i = 0; i < N; i++)
        assert_true(isfinite(((const float *)rig_last(rig)->data)[i]));
    assert_int_equal(rig_push(rig, NULL, PH_FLAG_GAP), PH_OK);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_GAP);
    rig_close(&rig);
}

static void refuses_vectors(void **state)
{
    struct ph_spec in = rig_vectors(10, 2.0);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(rig_try_open(rig_type("filter/smooth"), "", &in, &rig, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "before the mask"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_kernel),
        cmocka_unit_test(no_width_changes_nothing),
        cmocka_unit_test(marks_bad_values),
        cmocka_unit_test(refuses_vectors),
    };
    return cmocka_run_group_tests_name("plugins/filter_smooth", tests, NULL, NULL);
}
