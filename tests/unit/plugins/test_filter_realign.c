/* SPDX-License-Identifier: MIT
 * filter/realign: brings a moved phantom back and states its motion; jumps and unlike volumes are
 * censored, missing ones pass; a later reference volume makes the earlier ones dummies; a stored
 * image of another grid gives its grid to the output; measuring only leaves values alone; after
 * reset all is as before. */
#include "rig.h"
#include "test.h"

#include "base/mem.h"
#include "io/nifti_write.h"
#include "phantom.h"
#include "signal/geometry.h"
#include "tempdir.h"

enum { NX = 40, NY = 48, NZ = 26, N = NX * NY * NZ };

static const double rest[6] = {0};
static const double moved[6] = {0.7, -0.5, 0.4, 0.008, -0.01, 0.012};
static const double far_away[6] = {9, -6, 5, 0.03, 0, -0.05};

static struct ph_spec phantom_spec(double mm)
{
    const size_t n[3] = {NX, NY, NZ};
    const double size[3] = {mm, mm, mm};
    struct phi_grid grid = phantom_grid(n, size);
    struct ph_spec spec = rig_volumes(NX, NY, NZ, 2.0);

    phi_grid_to_geometry(&grid, &spec.geometry);
    return spec;
}

static void push(struct rig *rig, const struct ph_spec *in, const double pose[6], uint64_t seed)
{
    struct phi_grid grid = phi_grid_from_geometry(&in->geometry);
    struct phantom head = phantom_make(1);
    float *volume = phi_calloc(N, sizeof(float));

    assert_non_null(volume);
    phantom_sample(&head, &grid, pose, 5, seed, volume);
    assert_int_equal(rig_push(rig, volume, 0), PH_OK);
    phi_free(volume);
}

static void assert_motion(const struct ph_frame *frame, const double pose[6], double size)
{
    for (int i = 0; i < 6; i++)
        assert_near(frame->quality.motion[i], pose[i], size * (i < 3 ? 1 : M_PI / 180));
}

/* Root mean square difference of the central slices to the head at rest. */
static double distance_to_rest(const struct ph_frame *frame, const struct ph_spec *out)
{
    struct phi_grid grid = phi_grid_from_geometry(&out->geometry);
    struct phantom head = phantom_make(1);
    float *volume = phi_calloc(phi_grid_count(&grid), sizeof(float));
    const float *data = frame->data;
    size_t slice = grid.n[0] * grid.n[1];
    double sum = 0;

    assert_non_null(volume);
    phantom_sample(&head, &grid, rest, 0, 0, volume);
    for (size_t i = slice * grid.n[2] / 3; i < slice * grid.n[2] * 2 / 3; i++)
        sum += ((double)data[i] - (double)volume[i]) * ((double)data[i] - (double)volume[i]);
    phi_free(volume);
    return sqrt(sum / (double)(slice * grid.n[2] / 3));
}

static void check_run(struct rig *rig, const struct ph_spec *in)
{
    push(rig, in, rest, 1);
    assert_motion(rig_last(rig), rest, 0.01);
    assert_near(rig_last(rig)->quality.fd_mm, 0, 0);
    push(rig, in, moved, 2);
    assert_motion(rig_last(rig), moved, 0.05);
    assert_near(rig_last(rig)->quality.fd_mm, 1.6 + 50 * 0.03, 0.1);
    assert_int_equal(rig_last(rig)->flags, 0);
    assert_true(distance_to_rest(rig_last(rig), rig_out(rig)) < 10);
    assert_int_equal(rig_push(rig, NULL, PH_FLAG_GAP), PH_OK);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_GAP);
    assert_true(isnan(rig_last(rig)->quality.fd_mm));
    push(rig, in, far_away, 3);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_CENSORED);
    assert_motion(rig_last(rig), far_away, 0.1);
    assert_int_equal(rig_push(rig, NULL, 0), PH_OK); /* a volume of zeros */
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_CENSORED | PH_FLAG_INVALID);
    assert_motion(rig_last(rig), far_away, 0.1);
}

static void corrects_motion(void **state)
{
    struct ph_spec in = phantom_spec(3.5);
    struct rig *rig = rig_open("filter/realign", "", &in);

    (void)state;
    check_run(rig, &in);
    rig_reset(rig);
    check_run(rig, &in);
    rig_close(&rig);
}

static void a_later_reference(void **state)
{
    struct ph_spec in = phantom_spec(3.5);
    struct rig *rig = rig_open("filter/realign", "reference_volume=1", &in);

    (void)state;
    push(rig, &in, rest, 1);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_DUMMY);
    push(rig, &in, moved, 2);
    assert_int_equal(rig_last(rig)->flags, 0);
    assert_motion(rig_last(rig), rest, 0.01);
    rig_close(&rig);
}

static void only_measures(void **state)
{
    struct ph_spec in = phantom_spec(3.5);
    struct rig *rig = rig_open("filter/realign", "reslice=false", &in);
    double before;

    (void)state;
    push(rig, &in, rest, 1);
    push(rig, &in, moved, 2);
    assert_motion(rig_last(rig), moved, 0.05);
    before = distance_to_rest(rig_last(rig), rig_out(rig));
    assert_true(before > 12);
    rig_close(&rig);
}

static void write_reference(const char *path, const struct phi_grid *grid)
{
    struct phi_nifti_info info = {.n_volumes = 1, .slope = 1};
    struct phantom head = phantom_make(1);
    struct ph_error err = {0};
    float *volume = phi_calloc(phi_grid_count(grid), sizeof(float));

    assert_non_null(volume);
    info.type = PHI_NIFTI_FLOAT32;
    info.n_x = (uint32_t)grid->n[0];
    info.n_y = (uint32_t)grid->n[1];
    info.n_z = (uint32_t)grid->n[2];
    phi_affine_voxel_size(&grid->affine, info.voxel_mm);
    memcpy(info.affine, grid->affine.m, sizeof info.affine);
    phantom_sample(&head, grid, rest, 5, 9, volume);
    assert_ok(phi_nifti_write_float32(path, &info, volume, &err), err);
    phi_free(volume);
}

static void a_stored_reference(void **state)
{
    const size_t n[3] = {36, 44, 28};
    const double mm[3] = {4, 4, 3.5};
    struct phi_grid grid = phantom_grid(n, mm);
    struct ph_spec in = phantom_spec(3.5);
    struct rig *rig = NULL;
    struct ph_error err = {0};
    struct tempdir dir;
    char params[600];

    (void)state;
    assert_true(tempdir_make(&dir));
    write_reference(tempdir_file(&dir, "mean.nii"), &grid);
    (void)snprintf(params, sizeof params, "reference=%s", dir.joined);
    rig = rig_open("filter/realign", params, &in);
    assert_int_equal(rig_out(rig)->dims[0], 28);
    assert_int_equal(rig_out(rig)->dims[2], 36);
    push(rig, &in, far_away, 4);
    assert_int_equal(rig_last(rig)->flags, 0);
    assert_motion(rig_last(rig), far_away, 0.1);
    assert_true(distance_to_rest(rig_last(rig), rig_out(rig)) < 15);
    rig_close(&rig);
    (void)snprintf(params, sizeof params, "reference=%s reslice=false", dir.joined);
    assert_int_equal(rig_try_open(rig_type("filter/realign"), params, &in, &rig, &err), PH_E_SHAPE);
    tempdir_remove(&dir);
}

static void refuses(void **state)
{
    struct ph_spec in = rig_vectors(10, 2.0);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(rig_try_open(rig_type("filter/realign"), "", &in, &rig, &err), PH_E_SHAPE);
    in = rig_volumes(3, 3, 2, 2.0);
    assert_int_equal(rig_try_open(rig_type("filter/realign"), "", &in, &rig, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "too small"));
    in = phantom_spec(3.5);
    assert_int_equal(
        rig_try_open(rig_type("filter/realign"), "reference=/nowhere.nii", &in, &rig, &err),
        PH_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corrects_motion), cmocka_unit_test(a_later_reference),
        cmocka_unit_test(only_measures),   cmocka_unit_test(a_stored_reference),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests_name("plugins/filter_realign", tests, NULL, NULL);
}
