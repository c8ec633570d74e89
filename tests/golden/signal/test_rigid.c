/* SPDX-License-Identifier: MIT
 *
 * The rigid conventions equal the stored numbers of an independent program to 1e-12: matrix of the
 * six parameters and back, inverse, single axes, realigned header, sampling map, composition, and
 * framewise displacement. Realignment finds the stored pose of an analytic head within 0.05 mm and
 * 0.05 degrees.
 */
#include "golden.h"

#include "base/mem.h"
#include "phantom.h"
#include "signal/affine.h"
#include "signal/motion.h"
#include "signal/realign.h"

static struct phi_affine read_affine(const json_t *object, const char *key)
{
    struct phi_affine affine;

    golden_numbers(object, key, &affine.m[0][0], 16);
    return affine;
}

static void assert_same(const struct phi_affine *a, const struct phi_affine *b)
{
    for (int i = 0; i < 16; i++)
        assert_near((&a->m[0][0])[i], (&b->m[0][0])[i], 1e-12);
}

static void test_parameters(void **state)
{
    json_t *root = golden_open("rigid.json");
    struct phi_affine matrix = read_affine(root, "matrix");
    struct phi_affine got;
    double params[6];
    double expected[6];

    (void)state;
    golden_numbers(root, "params_mm_rad", params, 6);
    got = phi_affine_from_params(params);
    assert_same(&got, &matrix);
    phi_affine_to_params(&matrix, params);
    golden_numbers(root, "recovered_params", expected, 6);
    for (int i = 0; i < 6; i++)
        assert_near(params[i], expected[i], 1e-12);
    assert_int_equal(phi_affine_invert(&matrix, &got), PH_OK);
    phi_affine_to_params(&got, params);
    golden_numbers(root, "inverse_params", expected, 6);
    for (int i = 0; i < 6; i++)
        assert_near(params[i], expected[i], 1e-12);
    json_decref(root);
}

static void test_single_axes(void **state)
{
    static const char *const names[3] = {"pitch_0.1", "roll_0.1", "yaw_0.1"};
    json_t *root = golden_open("rigid.json");

    (void)state;
    for (int axis = 0; axis < 3; axis++) {
        struct phi_affine expected = read_affine(golden_field(root, "single_axis"), names[axis]);
        double params[6] = {0};
        struct phi_affine got;

        params[3 + axis] = 0.1;
        got = phi_affine_from_params(params);
        assert_same(&got, &expected);
    }
    json_decref(root);
}

static void test_maps(void **state)
{
    json_t *root = golden_open("rigid.json");
    struct phi_affine matrix = read_affine(root, "matrix");
    struct phi_affine header = read_affine(root, "nifti_affine_0based");
    struct phi_affine expected = read_affine(root, "realigned_affine");
    struct phi_affine got = phi_affine_multiply(&matrix, &header);
    double in[3];
    double out[3];
    double point[3];

    (void)state;
    assert_same(&got, &expected);
    expected = read_affine(root, "vox_ref_to_vox_img");
    assert_int_equal(phi_affine_voxel_map(&matrix, &header, &header, &got), PH_OK);
    assert_same(&got, &expected);
    golden_numbers(root, "point_in", in, 3);
    golden_numbers(root, "point_out", out, 3);
    phi_affine_apply(&matrix, in, point);
    for (int i = 0; i < 3; i++)
        assert_near(point[i], out[i], 1e-12);
    json_decref(root);
}

static void test_composition(void **state)
{
    json_t *root = golden_open("rigid.json");
    const json_t *second = golden_field(root, "composition_second_volume");
    struct phi_affine expected = read_affine(second, "matrix_p2_times_p1");
    struct phi_affine first = read_affine(root, "matrix");
    struct phi_affine got;
    double params[6];
    double fd;

    (void)state;
    golden_numbers(second, "p2", params, 6);
    got = phi_affine_from_params(params);
    got = phi_affine_multiply(&got, &first);
    assert_same(&got, &expected);
    golden_numbers(root, "params_mm_rad", params, 6);
    golden_numbers(root, "fd_power_to_identity", &fd, 1);
    assert_near(phi_motion_fd_power((const double[6]){0}, params), fd, 1e-12);
    json_decref(root);
}

/* The made volume equals the stored intensities "x,y,z": value. */
static void check_samples(const json_t *samples, const struct phi_grid *grid, const float *volume)
{
    const char *key;
    json_t *value;
    int n_checked = 0;

    json_object_foreach((json_t *)(uintptr_t)samples, key, value)
    {
        size_t x, y, z;

        assert_int_equal(sscanf(key, "%zu,%zu,%zu", &x, &y, &z), 3);
        assert_near(volume[(z * grid->n[1] + y) * grid->n[0] + x], json_number_value(value), 1e-3);
        n_checked++;
    }
    assert_int_equal(n_checked, 4);
}

static void test_phantom_pose(void **state)
{
    json_t *root = golden_open("rigid.json");
    const json_t *stored = golden_field(root, "phantom_case");
    const size_t n[3] = {48, 56, 32};
    const double mm[3] = {3, 3, 3};
    struct phi_grid grid = phantom_grid(n, mm);
    float *volume = phi_calloc(phi_grid_count(&grid), sizeof(float));
    struct phi_realign *realign = NULL;
    struct phi_realign_result result;
    struct ph_error err = {0};
    struct phantom head;
    double truth[6];

    (void)state;
    assert_non_null(volume);
    golden_numbers(stored, "blobs", &head.blobs[0][0], sizeof head.blobs / sizeof(double));
    golden_numbers(stored, "pose_image_to_reference", truth, 6);
    assert_ok(phi_realign_create(&(struct phi_realign_config){0}, &grid, &grid, &realign, &err),
              err);
    phantom_sample(&head, &grid, (const double[6]){0}, 0, 0, volume);
    check_samples(golden_field(stored, "ref_samples"), &grid, volume);
    assert_int_equal(phi_realign_set_reference(realign, volume), PH_OK);
    phantom_sample(&head, &grid, truth, 0, 0, volume);
    check_samples(golden_field(stored, "img_samples"), &grid, volume);
    assert_int_equal(phi_realign_estimate(realign, volume, &result), PH_OK);
    assert_int_equal(result.flags, 0);
    for (int i = 0; i < 6; i++)
        assert_near(result.params[i], truth[i], i < 3 ? 0.05 : 0.05 * M_PI / 180);
    phi_realign_destroy(&realign);
    phi_free(volume);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),   cmocka_unit_test(test_single_axes),
        cmocka_unit_test(test_maps),         cmocka_unit_test(test_composition),
        cmocka_unit_test(test_phantom_pose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
