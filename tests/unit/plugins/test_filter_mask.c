/* SPDX-License-Identifier: MIT
 * filter/mask: volumes wait for the computed mask and leave in order with their own marks and
 * times; a short run still gets its vectors; after reset all is as before; a mask image selects its
 * voxels and is refused on another grid; empty volumes are answered with an error, then the next
 * ones are tried. */
#include "rig.h"
#include "test.h"

#include "base/rng.h"
#include "io/nifti_write.h"
#include "tempdir.h"

enum { NX = 14, NY = 12, NZ = 8, N = NX * NY * NZ };

static void head(float *values, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    for (int i = 0; i < N; i++) {
        double x = (i % NX - 6.5) / 5, y = (i / NX % NY - 5.5) / 4.5, z = (i / (NX * NY) - 3.5) / 3;

        values[i] = (float)((x * x + y * y + z * z < 1 ? 500 : 10) + phi_rng_normal(&rng));
    }
}

static void push_head(struct rig *rig, uint64_t seed, uint32_t flags, enum ph_status expected)
{
    float values[N];

    head(values, seed);
    assert_int_equal(rig_push(rig, values, flags), expected);
}

static void check_run(struct rig *rig)
{
    const struct ph_frame *frame;
    size_t n;

    push_head(rig, 1, PH_FLAG_DUMMY, PH_SKIP);
    push_head(rig, 2, 0, PH_SKIP);
    assert_int_equal(rig_push(rig, NULL, PH_FLAG_GAP), PH_SKIP);
    assert_int_equal(rig_count(rig), 0);
    push_head(rig, 3, 0, PH_OK);
    assert_int_equal(rig_count(rig), 4);
    n = rig_at(rig, 0)->dims[0];
    assert_in_range(n, 100, N / 2);
    for (size_t k = 0; k < 4; k++) {
        frame = rig_at(rig, k);
        assert_int_equal(frame->kind, PH_FRAME_VECTOR);
        assert_int_equal(frame->index, k);
        assert_int_equal(frame->dims[0], n);
        assert_true(frame->layout != 0 && frame->layout == rig_at(rig, 0)->layout);
        assert_near(frame->acquired_s, 2.0 * (double)k, 1e-9);
    }
    assert_int_equal(rig_at(rig, 0)->flags, PH_FLAG_DUMMY);
    assert_int_equal(rig_at(rig, 2)->flags, PH_FLAG_GAP);
    assert_near(((const float *)rig_at(rig, 2)->data)[0], 0, 0);
    for (size_t i = 0; i < n; i++)
        assert_near(((const float *)rig_at(rig, 3)->data)[i], 500, 6);
    push_head(rig, 4, 0, PH_OK);
    assert_int_equal(rig_count(rig), 5);
}

static void volumes_wait_in_order(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/mask", "n_volumes=2", &in);

    (void)state;
    check_run(rig);
    rig_reset(rig);
    check_run(rig);
    rig_close(&rig);
}

static void many_dummies_do_not_fill_the_queue(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/mask", "n_volumes=2", &in);

    (void)state;
    push_head(rig, 1, 0, PH_SKIP);
    for (uint64_t k = 0; k < 40; k++)
        push_head(rig, k, PH_FLAG_CENSORED, PH_SKIP);
    push_head(rig, 99, 0, PH_OK);
    assert_int_equal(rig_at(rig, 0)->index, 0);
    assert_int_equal(rig_last(rig)->index, 41);
    for (size_t k = 1; k < rig_count(rig); k++)
        assert_true(rig_at(rig, k)->index > rig_at(rig, k - 1)->index);
    rig_close(&rig);
}

static void a_short_run_gets_its_vectors(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/mask", "n_volumes=20", &in);

    (void)state;
    push_head(rig, 1, 0, PH_SKIP);
    push_head(rig, 2, 0, PH_SKIP);
    assert_int_equal(rig_end(rig), PH_OK);
    assert_int_equal(rig_count(rig), 2);
    rig_close(&rig);
}

static void empty_volumes_are_an_error(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = rig_open("filter/mask", "n_volumes=1", &in);

    (void)state;
    assert_int_equal(rig_push(rig, NULL, 0), PH_E_INVAL);
    push_head(rig, 1, 0, PH_OK);
    assert_int_equal(rig_count(rig), 1);
    rig_close(&rig);
}

static void write_mask(const char *path, const struct ph_spec *spec)
{
    struct phi_nifti_info info = {.n_x = NX, .n_y = NY, .n_z = NZ, .n_volumes = 1, .slope = 1};
    struct ph_error err = {0};
    float values[N] = {0};

    info.type = PHI_NIFTI_UINT8;
    for (int i = 0; i < 3; i++) {
        info.voxel_mm[i] = ph_geometry_voxel_mm(&spec->geometry, i);
        for (int j = 0; j < 4; j++)
            info.affine[i][j] = spec->geometry.affine[i][j];
    }
    values[3] = values[17] = values[N - 1] = 1;
    assert_ok(phi_nifti_write_float32(path, &info, values, &err), err);
}

static void an_image_selects(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct rig *rig = NULL;
    struct ph_error err = {0};
    struct tempdir dir;
    char params[600];
    float values[N];

    (void)state;
    assert_true(tempdir_make(&dir));
    write_mask(tempdir_file(&dir, "mask.nii"), &in);
    (void)snprintf(params, sizeof params, "file=%s", dir.joined);
    rig = rig_open("filter/mask", params, &in);
    assert_int_equal(rig_out(rig)->dims[0], 3);
    head(values, 1);
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_near(((const float *)rig_last(rig)->data)[0], values[3], 0);
    assert_near(((const float *)rig_last(rig)->data)[1], values[17], 0);
    assert_near(((const float *)rig_last(rig)->data)[2], values[N - 1], 0);
    assert_true(rig_last(rig)->layout == rig_out(rig)->layout);
    rig_close(&rig);
    in.geometry.affine[0][3] += 3;
    assert_int_equal(rig_try_open(rig_type("filter/mask"), params, &in, &rig, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "other positions"));
    in = rig_volumes(NX + 1, NY, NZ, 2.0);
    assert_int_equal(rig_try_open(rig_type("filter/mask"), params, &in, &rig, &err), PH_E_SHAPE);
    in = rig_volumes(NX, NY, NZ, 2.0);
    assert_int_equal(
        rig_try_open(rig_type("filter/mask"), "file=/nowhere/mask.nii", &in, &rig, &err), PH_E_IO);
    tempdir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes_wait_in_order),
        cmocka_unit_test(many_dummies_do_not_fill_the_queue),
        cmocka_unit_test(a_short_run_gets_its_vectors),
        cmocka_unit_test(empty_volumes_are_an_error),
        cmocka_unit_test(an_image_selects),
    };
    return cmocka_run_group_tests_name("plugins/filter_mask", tests, NULL, NULL);
}
