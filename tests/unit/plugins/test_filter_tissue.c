/* SPDX-License-Identifier: MIT
 * filter/tissue: means over stored masks arrive on the frame, also as regressors of filter/glm's
 * noise mask; masks on another grid and missing ones are refused. */
#include "io/nifti_write.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

enum { NX = 4, NY = 3, NZ = 2, N = NX * NY * NZ };

/* A mask of voxels `from` to below `to` on the grid of `in`. */
static void write_mask(const char *path, const struct ph_spec *in, int from, int to)
{
    struct phi_nifti_info info = {.type = PHI_NIFTI_FLOAT32,
                                  .n_x = NX,
                                  .n_y = NY,
                                  .n_z = NZ,
                                  .n_volumes = 1,
                                  .voxel_mm = {3, 3, 3},
                                  .slope = 1};
    struct ph_error err;
    float values[N];

    memcpy(info.affine, in->geometry.affine, sizeof info.affine);
    for (int i = 0; i < N; i++)
        values[i] = i >= from && i < to;
    assert_ok(phi_nifti_write_float32(path, &info, values, &err), err);
}

static void means_over_masks(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct ph_error err = {0};
    struct tempdir dir;
    struct rig *rig = NULL;
    char params[1200];
    float y[N];

    (void)state;
    assert_true(tempdir_make(&dir));
    write_mask(tempdir_file(&dir, "wm.nii"), &in, 0, 4);
    write_mask(tempdir_file(&dir, "csf.nii"), &in, 20, 22);
    (void)snprintf(params, sizeof params, "white_matter=%s/wm.nii csf=%s/csf.nii", dir.path,
                   dir.path);
    rig = rig_open("filter/tissue", params, &in);
    for (int i = 0; i < N; i++)
        y[i] = (float)i;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_memory_equal(rig_last(rig)->data, y, sizeof y);
    assert_near(rig_last(rig)->quality.white_matter, 1.5, 0);
    assert_near(rig_last(rig)->quality.csf, 20.5, 0);
    assert_int_equal(rig_push(rig, y, PH_FLAG_GAP), PH_OK);
    assert_true(isnan(rig_last(rig)->quality.csf));
    rig_close(&rig);
    in.geometry.affine[0][3] += 5;
    assert_int_equal(rig_try_open(rig_type("filter/tissue"), params, &in, &rig, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "wm.nii"));
    tempdir_remove(&dir);
    assert_true(rig_try_open(rig_type("filter/tissue"), params, &in, &rig, &err) < 0);
    assert_null(rig);
}

/* What is left of a shared wave outside the noise region, at the end of a run of n values. */
static double wave_left(const char *params, const struct ph_spec *in, const uint32_t *voxels, int n,
                        enum ph_status expected)
{
    struct rig *rig = rig_open("filter/glm", params, in);
    float y[N];
    double left = 0;

    if (voxels)
        rig_tell_voxels(rig, in->layout, voxels, (size_t)n);
    for (int t = 0; t < 40; t++) {
        for (int i = 0; i < n; i++)
            y[i] = (float)(100 + 5 * sin(t) + 0.01 * ((t * 7 + i * 13) % 11));
        assert_int_equal(rig_push(rig, y, 0), expected);
        if (t > 30 && expected == PH_OK)
            left = fmax(left, fabs((double)((const float *)rig_last(rig)->data)[n - 1] - 100));
    }
    rig_close(&rig);
    return left;
}

static void a_noise_mask_for_glm(void **state)
{
    struct ph_spec in = rig_volumes(NX, NY, NZ, 2.0);
    struct ph_spec vectors = in;
    struct tempdir dir;
    uint32_t voxels[N];
    char params[600];

    (void)state;
    for (uint32_t i = 0; i < N; i++)
        voxels[i] = i;
    vectors.kind = PH_FRAME_VECTOR;
    vectors.rank = 1;
    vectors.layout = 5;
    assert_true(tempdir_make(&dir));
    write_mask(tempdir_file(&dir, "wm.nii"), &in, 0, 4);
    (void)snprintf(params, sizeof params,
                   "drift=none noise_components=1 noise_volumes=5 noise_mask=%s", dir.joined);
    /* a tenth of the shared wave is left, outside the noise region too */
    assert_true(wave_left(params, &in, NULL, N, PH_OK) < 0.5);
    /* behind a mask that holds voxels 2 and 3 of the region's 0 to 3 */
    vectors.dims[0] = N - 2;
    assert_true(wave_left(params, &vectors, voxels + 2, N - 2, PH_OK) < 0.5);
    vectors.dims[0] = N - 4; /* and none of them */
    (void)wave_left(params, &vectors, voxels + 4, N - 4, PH_E_INVAL);
    (void)wave_left(params, &vectors, NULL, N - 4, PH_E_INVAL);
    tempdir_remove(&dir);
}

static void refusals(void **state)
{
    struct ph_spec volumes = rig_volumes(NX, NY, NZ, 2.0);
    struct ph_spec vectors = rig_vectors(N, 2.0);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(rig_try_open(rig_type("filter/tissue"), "", &volumes, &rig, &err), PH_E_INVAL);
    assert_int_equal(rig_try_open(rig_type("filter/tissue"), "", &vectors, &rig, &err), PH_E_SHAPE);
    assert_null(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_over_masks),
        cmocka_unit_test(a_noise_mask_for_glm),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("plugins/filter_tissue", tests, NULL, NULL);
}
