/* SPDX-License-Identifier: MIT
 *
 * Affine algebra by its properties: inverse and product, parameters there and back for random
 * poses, aliasing, and refusal of singular, non-finite and oversized geometry. Displacements by
 * hand-made cases. The golden file of the same area holds the numbers.
 */
#include "test.h"

#include "base/rng.h"
#include "signal/affine.h"
#include "signal/motion.h"

static void random_pose(struct phi_rng *rng, double params[6])
{
    for (int i = 0; i < 6; i++)
        params[i] = (2 * phi_rng_uniform(rng) - 1) * (i < 3 ? 50.0 : 1.4);
}

static void test_params_round_trip(void **state)
{
    struct phi_rng rng;
    double params[6];
    double back[6];

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (int trial = 0; trial < 200; trial++) {
        struct phi_affine rigid;

        random_pose(&rng, params);
        rigid = phi_affine_from_params(params);
        phi_affine_to_params(&rigid, back);
        for (int i = 0; i < 6; i++)
            assert_near(back[i], params[i], 1e-12);
    }
}

static void test_inverse_undoes(void **state)
{
    struct phi_affine identity = phi_affine_identity();
    struct phi_rng rng;
    double params[6];

    (void)state;
    phi_rng_init(&rng, 2, 0);
    for (int trial = 0; trial < 50; trial++) {
        struct phi_affine a;
        struct phi_affine inverse;
        struct phi_affine product;

        random_pose(&rng, params);
        a = phi_affine_from_params(params);
        a.m[0][0] *= 3; /* no longer rigid */
        assert_int_equal(phi_affine_invert(&a, &inverse), PH_OK);
        product = phi_affine_multiply(&a, &inverse);
        assert_true(phi_affine_near(&product, &identity, 1e-12));
        assert_int_equal(phi_affine_invert(&inverse, &inverse), PH_OK);
        assert_true(phi_affine_near(&inverse, &a, 1e-11));
    }
}

static void test_bad_affines_are_refused(void **state)
{
    struct phi_affine a = phi_affine_identity();
    struct phi_affine ret = phi_affine_identity();
    struct phi_grid grid = {{4, 4, 4}, phi_affine_identity()};
    struct ph_error err;

    (void)state;
    a.m[1][1] = 0;
    assert_int_equal(phi_affine_invert(&a, &ret), PH_E_INVAL);
    a.m[1][1] = NAN;
    assert_int_equal(phi_affine_invert(&a, &ret), PH_E_INVAL);
    a = phi_affine_identity();
    a.m[0][3] = INFINITY;
    assert_int_equal(phi_affine_invert(&a, &ret), PH_E_INVAL);
    assert_near(ret.m[0][0], 1.0, 0);
    assert_int_equal(phi_grid_check(&grid, "grid", &err), PH_OK);
    grid.n[2] = 0;
    assert_int_equal(phi_grid_check(&grid, "grid", &err), PH_E_SHAPE);
    grid.n[2] = 100000;
    assert_int_equal(phi_grid_check(&grid, "grid", &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "grid"));
}

static void test_voxel_size_and_map(void **state)
{
    struct phi_affine affine = {{{0, -2, 0, 5}, {3, 0, 0, 1}, {0, 0, 4, 2}, {0, 0, 0, 1}}};
    struct phi_affine identity = phi_affine_identity();
    struct phi_affine map;
    double mm[3];

    (void)state;
    phi_affine_voxel_size(&affine, mm);
    assert_near(mm[0], 3, 1e-15);
    assert_near(mm[1], 2, 1e-15);
    assert_near(mm[2], 4, 1e-15);
    assert_int_equal(phi_affine_voxel_map(&identity, &affine, &affine, &map), PH_OK);
    assert_true(phi_affine_near(&map, &identity, 1e-14));
}

static void test_displacement(void **state)
{
    const double rest[6] = {0};
    const double moved[6] = {1, -2, 0.5, 0.01, 0, -0.02};
    const double shifted[6] = {3, 0, 4, 0, 0, 0};
    const double centre[3] = {10, 20, 30};
    struct phi_affine a = phi_affine_from_params(rest);
    struct phi_affine b = phi_affine_from_params(shifted);

    (void)state;
    assert_near(phi_motion_fd_power(rest, moved), 3.5 + 50 * 0.03, 1e-12);
    assert_near(phi_motion_fd_jenkinson(&a, &b, centre), 5.0, 1e-12);
    assert_near(phi_motion_fd_jenkinson(&b, &b, centre), 0.0, 1e-12);
    a.m[0][0] = NAN;
    assert_true(isnan(phi_motion_fd_jenkinson(&a, &b, centre)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_round_trip),
        cmocka_unit_test(test_inverse_undoes),
        cmocka_unit_test(test_bad_affines_are_refused),
        cmocka_unit_test(test_voxel_size_and_map),
        cmocka_unit_test(test_displacement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
