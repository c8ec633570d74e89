/* SPDX-License-Identifier: MIT
 *
 * Realignment of the two real runs in data/bold: the poses equal those of an independent general
 * solver within 0.03 mm and 0.03 degrees; none is flagged; a real volume moved by a known
 * amount is found within 0.05 mm and 0.05 degrees, at 3 mm / 3 degrees within 0.1, at 15 mm / 9
 * degrees within 0.3; the brain mask has the size of a brain and contains the bright inside.
 */
#include "golden.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/nifti_file.h"
#include "signal/bspline.h"
#include "signal/mask.h"
#include "signal/realign.h"

#define SIEMENS   DATA_DIR "/pyneal_siemens_series13_bold.nii.gz"
#define LOCALIZER DATA_DIR "/studyforrest_sub-02_task-localizer_run-1_bold.nii.gz"
#define DEG       (M_PI / 180)

struct run {
    struct phi_nifti_reader *reader;
    struct phi_grid grid;
    float *volume;
    size_t n;
    uint32_t n_volumes;
};

static struct run run_open(const char *path)
{
    struct run run = {.grid = {.affine = phi_affine_identity()}};
    const struct phi_nifti_info *info;
    struct ph_error err = {0};

    assert_ok(phi_nifti_reader_open(path, &run.reader, &err), err);
    info = phi_nifti_reader_info(run.reader);
    run.grid.n[0] = info->n_x;
    run.grid.n[1] = info->n_y;
    run.grid.n[2] = info->n_z;
    memcpy(run.grid.affine.m, info->affine, sizeof info->affine);
    run.n = info->n_voxels;
    run.n_volumes = info->n_volumes;
    run.volume = phi_calloc(run.n, sizeof(float));
    assert_non_null(run.volume);
    return run;
}

static void run_close(struct run *run)
{
    phi_nifti_reader_close(&run->reader);
    phi_free(run->volume);
}

static void next(struct run *run)
{
    struct ph_error err = {0};

    assert_ok(phi_nifti_reader_next_float32(run->reader, run->volume, &err), err);
}

static struct phi_realign *realign_to_first(struct run *run)
{
    struct phi_realign *realign = NULL;
    struct ph_error err = {0};

    next(run);
    assert_ok(
        phi_realign_create(&(struct phi_realign_config){0}, &run->grid, &run->grid, &realign, &err),
        err);
    assert_int_equal(phi_realign_set_reference(realign, run->volume), PH_OK);
    return realign;
}

static void assert_pose(const struct phi_realign_result *result, const double truth[6], double size)
{
    for (int i = 0; i < 6; i++)
        assert_near(result->params[i], truth[i], size * (i < 3 ? 1 : DEG));
}

/* The volumes of the run that are in the table. */
static void check_run(const char *path, const char *key)
{
    json_t *root = golden_open("real_motion.json");
    const json_t *stored = golden_field(root, key);
    struct run run = run_open(path);
    struct phi_realign *realign = realign_to_first(&run);
    size_t n_compared = 0;

    for (uint32_t t = 1; t < run.n_volumes && n_compared < json_object_size(stored); t++) {
        struct phi_realign_result result;
        char name[16];
        double truth[6];

        next(&run);
        (void)snprintf(name, sizeof name, "%u", (unsigned)t);
        if (!json_object_get(stored, name))
            continue;
        assert_int_equal(phi_realign_estimate(realign, run.volume, &result), PH_OK);
        assert_int_equal(result.flags, 0);
        assert_true(result.correlation > 0.99);
        golden_numbers(stored, name, truth, 6);
        assert_pose(&result, truth, 0.03);
        n_compared++;
    }
    assert_int_equal(n_compared, 4);
    phi_realign_destroy(&realign);
    run_close(&run);
    json_decref(root);
}

static void test_siemens(void **state)
{
    (void)state;
    check_run(SIEMENS, "siemens");
}

static void test_localizer(void **state)
{
    (void)state;
    check_run(LOCALIZER, "localizer");
}

/* What the scanner would see with the head in `pose`: the volume at inv(A) pose A. */
static void move_volume(const struct run *run, const double pose[6], float *out)
{
    struct phi_affine rigid = phi_affine_from_params(pose);
    struct phi_affine map;
    struct phi_bspline *spline = NULL;
    struct ph_error err = {0};

    assert_int_equal(phi_affine_invert(&rigid, &rigid), PH_OK);
    assert_int_equal(phi_affine_voxel_map(&rigid, &run->grid.affine, &run->grid.affine, &map),
                     PH_OK);
    assert_ok(phi_bspline_create(run->grid.n, &spline, &err), err);
    assert_int_equal(phi_bspline_prefilter(spline, run->volume), 0);
    (void)phi_bspline_reslice(spline, &map, run->grid.n, 0, run->grid.n[2], out);
    phi_bspline_destroy(&spline);
}

static void test_known_moves(void **state)
{
    static const double poses[4][6] = {
        {0.3, -0.2, 0.1, 0.2 * DEG, -0.3 * DEG, 0.25 * DEG},
        {-1, 0.8, 0.6, -0.8 * DEG, 0.9 * DEG, -1 * DEG},
        {3, -2.5, 2, 2 * DEG, -3 * DEG, 2.5 * DEG},
        {12, -15, 8, 6 * DEG, -5 * DEG, 9 * DEG},
    };
    struct run run = run_open(LOCALIZER);
    struct phi_realign *realign = realign_to_first(&run);
    float *moved = phi_calloc(run.n, sizeof(float));

    (void)state;
    assert_non_null(moved);
    for (int k = 0; k < 4; k++) {
        struct phi_realign_result result;

        move_volume(&run, poses[k], moved);
        phi_realign_restart(realign);
        assert_int_equal(phi_realign_estimate(realign, moved, &result), PH_OK);
        assert_pose(&result, poses[k], k < 2 ? 0.05 : (k < 3 ? 0.1 : 0.3));
    }
    phi_free(moved);
    phi_realign_destroy(&realign);
    run_close(&run);
}

static void test_brain_mask(void **state)
{
    struct run run = run_open(LOCALIZER);
    struct phi_mask *mask = NULL;
    struct ph_error err = {0};
    double voxel_ml = 3 * 3 * 3.3 * 1e-3;
    double inside = 0;
    double all = 0;

    (void)state;
    next(&run);
    assert_ok(phi_mask_create(&run.grid, &mask, &err), err);
    assert_int_equal(phi_mask_from_mean(mask, run.volume), PH_OK);
    assert_in_range((uintmax_t)((double)mask->n_voxels * voxel_ml), 1100, 1900); /* ml */
    for (size_t i = 0; i < run.n; i++) {
        all += (double)run.volume[i];
        inside += mask->inside[i] ? (double)run.volume[i] : 0;
    }
    assert_true(inside > 0.8 * all);
    phi_mask_destroy(&mask);
    run_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siemens),
        cmocka_unit_test(test_localizer),
        cmocka_unit_test(test_known_moves),
        cmocka_unit_test(test_brain_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
