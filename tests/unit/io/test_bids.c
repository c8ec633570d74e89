/* SPDX-License-Identifier: MIT
 * A recording becomes a BIDS dataset: volumes in the order of their indices with late ones in place
 * and missing ones zero, exact values and stored type, events by onset, sidecar and descriptions.
 */
#include "io/bids.h"

#include "base/mem.h"
#include "io/events.h"
#include "io/nifti_file.h"
#include "io/sidecar.h"
#include "recording.h"
#include "tempdir.h"

static struct tempdir dir;

static int set_up(void **state)
{
    (void)state;
    return tempdir_make(&dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

static void a_recording_is_exported(void **state)
{
    char journal[512];
    char path[PHI_PATH_MAX + 64];
    struct phi_bids_report report;
    struct phi_nifti_info info;
    struct phi_events events;
    struct phi_sidecar sidecar;
    struct ph_error err;
    float *values = NULL;

    (void)state;
    (void)snprintf(journal, sizeof journal, "%s", tempdir_file(&dir, "journal"));
    recording_write(journal, "He0e2g21l34eE"); /* 1 came late, 3 is lost */
    assert_ok(phi_bids_export(journal, tempdir_file(&dir, "bids"), "faces", &report, &err), err);
    assert_int_equal(report.n_volumes, 5);
    assert_int_equal(report.n_missing, 1);
    assert_int_equal(report.n_events, 3);
    (void)snprintf(path, sizeof path, "%s/bids/sub-x/ses-s/func/sub-x_ses-s_task-faces_run-1",
                   dir.path);
    assert_string_equal(report.stem, path);
    (void)snprintf(path, sizeof path, "%s_bold.nii.gz", report.stem);
    assert_ok(phi_nifti_read_float32(path, 1 << 20, &info, &values, &err), err);
    assert_int_equal(info.n_volumes, 5);
    assert_int_equal(info.type, PHI_NIFTI_INT16);
    assert_near(info.tr_s, 2, 0);
    assert_near(info.affine[0][3], -5, 0);
    for (int t = 0; t < 5; t++)
        for (int i = 0; i < RECORDING_VOXELS; i++)
            assert_near(values[t * RECORDING_VOXELS + i], t == 3 ? 0 : 100 * t + i, 0);
    phi_free(values);
    (void)snprintf(path, sizeof path, "%s_events.tsv", report.stem);
    assert_ok(phi_events_read(path, &events, &err), err);
    assert_int_equal(events.n, 3);
    assert_string_equal(events.rows[2].stim_file, "face.png");
    phi_events_free(&events);
    (void)snprintf(path, sizeof path, "%s_events.json", report.stem);
    assert_true(phi_path_exists(path));
    (void)snprintf(path, sizeof path, "%s_bold.json", report.stem);
    assert_ok(phi_sidecar_read(path, &sidecar, &err), err);
    assert_string_equal(sidecar.task_name, "faces");
    assert_near(sidecar.tr_s, 2, 0);
    assert_true(phi_path_exists(tempdir_file(&dir, "bids/dataset_description.json")));
    assert_true(phi_path_exists(tempdir_file(&dir, "bids/README")));
}

static void labels_are_cut_down(void **state)
{
    struct phi_wire_message hello = recording_hello();
    char stem[PHI_PATH_MAX];
    char folder[PHI_PATH_MAX];

    (void)state;
    (void)strcpy(hello.subject, "");
    (void)strcpy(hello.session, "a-b_c.1");
    assert_int_equal(phi_bids_stem(&hello, "o", "", stem, folder), PH_OK);
    assert_string_equal(stem, "o/sub-01/ses-abc1/func/sub-01_ses-abc1_task-task_run-1");
    assert_string_equal(folder, "o/sub-01/ses-abc1/func");
}

static void nothing_recorded_is_an_error(void **state)
{
    char journal[512];
    struct phi_bids_report report;
    struct ph_error err;

    (void)state;
    (void)snprintf(journal, sizeof journal, "%s", tempdir_file(&dir, "journal"));
    recording_write(journal, "He");
    assert_int_equal(phi_bids_export(journal, tempdir_file(&dir, "b"), "x", &report, &err),
                     PH_E_FORMAT);
    assert_non_null(strstr(err.text, "journal"));
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(a_recording_is_exported),
        WITH_DIR(labels_are_cut_down),
        WITH_DIR(nothing_recorded_is_an_error),
    };
    return cmocka_run_group_tests_name("io/bids", tests, NULL, NULL);
}
