/* SPDX-License-Identifier: MIT
 *
 * The brain mask on a made head: it finds the ellipsoid under noise, drops a separate blob,
 * fills a hole, and ignores hot voxels and NaN. Gather and scatter undo each
 * other. Volumes without signal and masks of other geometry are refused.
 */
#include "test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "signal/mask.h"

enum { NX = 40, NY = 44, NZ = 24, N = NX * NY * NZ };

static struct phi_grid head_grid(void)
{
    return (struct phi_grid){{NX, NY, NZ}, phi_affine_identity()};
}

/* Squared normalised radius around the head's centre. */
static double radius2(size_t i)
{
    double x = ((double)(i % NX) - 18) / 13;
    double y = ((double)(i / NX % NY) - 22) / 16;
    double z = ((double)(i / (NX * NY)) - 12) / 8;

    return x * x + y * y + z * z;
}

static float *make_head(void)
{
    float *v = phi_calloc(N, sizeof(float));
    struct phi_rng rng;

    assert_non_null(v);
    phi_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < N; i++) {
        double r2 = radius2(i);
        double signal = r2 < 0.06 ? 40 : (r2 < 1 ? 800 : 0); /* an empty ventricle inside */

        v[i] = (float)fabs(signal + 30 * phi_rng_normal(&rng));
    }
    for (size_t z = 2; z < 6; z++) /* an eye apart from the head */
        for (size_t y = 1; y < 4; y++)
            for (size_t x = 34; x < 38; x++)
                v[(z * NY + y) * NX + x] = 900;
    return v;
}

static void test_finds_the_head(void **state)
{
    struct phi_grid grid = head_grid();
    float *head = make_head();
    struct phi_mask *mask = NULL;
    struct ph_error err = {0};

    (void)state;
    head[5] = 1e7F; /* a hot voxel */
    head[7] = NAN;
    head[9] = INFINITY;
    assert_ok(phi_mask_create(&grid, &mask, &err), err);
    assert_int_equal(phi_mask_from_mean(mask, head), PH_OK);
    for (size_t i = 0; i < N; i++) {
        double r2 = radius2(i);

        if (r2 < 0.8)
            assert_int_equal(mask->inside[i], 1);
        if (r2 > 1.0)
            assert_int_equal(mask->inside[i], 0);
    }
    for (size_t k = 1; k < mask->n_voxels; k++)
        assert_true(mask->index[k] > mask->index[k - 1]);
    phi_mask_destroy(&mask);
    phi_free(head);
}

static void test_clip_level_lies_between(void **state)
{
    float *head = make_head();

    (void)state;
    assert_near(phi_mask_clip_level(head, N), 400, 30);
    phi_free(head);
}

static void test_gather_scatter(void **state)
{
    struct phi_grid grid = head_grid();
    float *head = make_head();
    float *vector = phi_calloc(N, sizeof(float));
    float *back = phi_calloc(N, sizeof(float));
    struct phi_mask *mask = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_mask_create(&grid, &mask, &err), err);
    assert_int_equal(phi_mask_from_values(mask, head, 500), PH_OK);
    phi_mask_gather(mask, head, vector);
    phi_mask_scatter(mask, vector, -1, back);
    for (size_t i = 0; i < N; i++)
        assert_near(back[i], head[i] > 500 ? head[i] : -1, 0);
    phi_mask_destroy(&mask);
    phi_free(head);
    phi_free(vector);
    phi_free(back);
}

static void test_no_signal_is_refused(void **state)
{
    struct phi_grid grid = head_grid();
    float *flat = phi_calloc(N, sizeof(float));
    struct phi_mask *mask = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_mask_create(&grid, &mask, &err), err);
    assert_int_equal(phi_mask_from_mean(mask, flat), PH_E_INVAL);
    for (size_t i = 0; i < N; i++)
        flat[i] = i % 2 ? NAN : -5;
    assert_int_equal(phi_mask_from_mean(mask, flat), PH_E_INVAL);
    assert_int_equal(mask->n_voxels, 0);
    assert_int_equal(phi_mask_from_values(mask, flat, 0), PH_E_INVAL);
    phi_mask_destroy(&mask);
    phi_mask_destroy(NULL);
    phi_free(flat);
}

static void test_thin_shapes_survive(void **state)
{
    struct phi_grid grid = {{8, 1, 1}, phi_affine_identity()};
    const float line[8] = {0, 100, 100, 100, 0, 100, 0, 0};
    struct phi_mask *mask = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_mask_create(&grid, &mask, &err), err);
    assert_int_equal(phi_mask_from_mean(mask, line), PH_OK);
    assert_true(mask->inside[2]);
    assert_false(mask->inside[0]);
    phi_mask_destroy(&mask);
}

static void test_other_geometry_is_refused(void **state)
{
    struct phi_grid grid = head_grid();
    struct phi_grid other = grid;
    struct phi_mask *mask = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_ok(phi_mask_create(&grid, &mask, &err), err);
    assert_ok(phi_mask_check(mask, &other, "volume 3", &err), err);
    other.affine.m[2][3] += 1;
    assert_int_equal(phi_mask_check(mask, &other, "volume 3", &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "volume 3"));
    other = grid;
    other.n[0]++;
    assert_int_equal(phi_mask_check(mask, &other, "volume 4", &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "41 x 44 x 24"));
    phi_mask_destroy(&mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_head),
        cmocka_unit_test(test_clip_level_lies_between),
        cmocka_unit_test(test_gather_scatter),
        cmocka_unit_test(test_no_signal_is_refused),
        cmocka_unit_test(test_thin_shapes_survive),
        cmocka_unit_test(test_other_geometry_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
