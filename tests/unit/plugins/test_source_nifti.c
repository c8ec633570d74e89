/* SPDX-License-Identifier: MIT
 * source/nifti: volumes and events in the order of a live run, values and times right, a wake ends
 * the wait of a paced run, a reset begins again, and what is wrong is named before the run. */
#include "io/file.h"
#include "io/nifti_write.h"
#include "rig.h"
#include "tempdir.h"
#include "test.h"

#define N_VOXELS 24

static struct tempdir dir;

static int set_up(void **state)
{
    struct phi_nifti_info info = {.type = PHI_NIFTI_INT16,
                                  .n_x = 4,
                                  .n_y = 3,
                                  .n_z = 2,
                                  .n_volumes = 5,
                                  .slope = 1,
                                  .tr_s = 2,
                                  .voxel_mm = {3, 3, 3},
                                  .affine = {{3, 0, 0, -6}, {0, 3, 0, 1}, {0, 0, 3, 2}}};
    static const char events[] = "onset\tduration\ttrial_type\n5\t1\tb\n0.5\t1\ta\n100\t1\tz\n";
    float values[5 * N_VOXELS];
    struct ph_error err;

    (void)state;
    for (int i = 0; i < 5 * N_VOXELS; i++)
        values[i] = (float)i;
    return tempdir_make(&dir) &&
                   !phi_nifti_write_float32(tempdir_file(&dir, "r.nii.gz"), &info, values, &err) &&
                   !phi_file_write(tempdir_file(&dir, "e.tsv"), events, sizeof events - 1, &err)
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

static const char *params(const char *rest)
{
    static char text[1024];

    (void)snprintf(text, sizeof text, "path=%s/r.nii.gz %s", dir.path, rest);
    return text;
}

static void run_and_check(struct rig *rig)
{
    static const char order[] = "eVVeVVVe";
    uint64_t volume = 0;
    enum ph_status status;

    while (!(status = rig_poll(rig)))
        ;
    assert_int_equal(status, PH_EOS);
    assert_int_equal(rig_count(rig), strlen(order));
    for (size_t i = 0; order[i]; i++) {
        const struct ph_frame *frame = rig_at(rig, i);

        assert_int_equal(frame->kind, order[i] == 'e' ? PH_FRAME_EVENT : PH_FRAME_VOLUME);
        if (order[i] == 'e')
            continue;
        assert_int_equal(frame->index, volume);
        assert_near(frame->acquired_s, 2.0 * (double)volume, 0);
        assert_true(frame->received_ns > 0);
        assert_near(((const float *)frame->data)[7], (float)volume * N_VOXELS + 7, 0);
        volume++;
    }
    assert_string_equal(rig_at(rig, 0)->u.event.trial_type, "a");
    assert_near(rig_at(rig, 3)->u.event.onset_s, 5, 0);
    assert_string_equal(rig_last(rig)->u.event.trial_type, "z");
}

static void volumes_and_events_in_order(void **state)
{
    char text[512];
    struct rig *rig;
    const struct ph_spec *spec;

    (void)state;
    (void)snprintf(text, sizeof text, "events=%s/e.tsv", dir.path);
    rig = rig_open("source/nifti", params(text), NULL);
    spec = rig_out(rig);
    assert_true(spec->dims[0] == 2 && spec->dims[1] == 3 && spec->dims[2] == 4);
    assert_int_equal(spec->n_volumes, 5);
    assert_near(spec->geometry.tr_s, 2, 0);
    assert_near(spec->geometry.affine[0][3], -6, 1e-6);
    run_and_check(rig);
    rig_reset(rig);
    run_and_check(rig);
    rig_close(&rig);
}

static void a_wake_ends_the_wait(void **state)
{
    struct rig *rig = rig_open("source/nifti", params("speed=0.001"), NULL);

    (void)state;
    phi_stage_wake(rig_stage(rig)); /* volume 0 would be due in half an hour */
    assert_int_equal(rig_poll(rig), PH_AGAIN);
    assert_int_equal(rig_count(rig), 0);
    rig_close(&rig);
    rig = rig_open("source/nifti", params("speed=1000"), NULL);
    while (rig_poll(rig) == PH_OK)
        ;
    assert_int_equal(rig_count(rig), 5);
    rig_close(&rig);
}

static void sidecar_and_parameter_before_header(void **state)
{
    static const char sidecar[] = "{\"RepetitionTime\": 0.75}";
    struct ph_error err;
    struct rig *rig;

    (void)state;
    assert_ok(phi_file_write(tempdir_file(&dir, "r.json"), sidecar, sizeof sidecar - 1, &err), err);
    rig = rig_open("source/nifti", params(""), NULL);
    assert_near(rig_out(rig)->geometry.tr_s, 0.75, 0);
    rig_close(&rig);
    rig = rig_open("source/nifti", params("tr_s=1.25"), NULL);
    assert_near(rig_out(rig)->geometry.tr_s, 1.25, 0);
    rig_close(&rig);
    (void)unlink(tempdir_file(&dir, "r.json"));
}

static void what_is_wrong_is_named(void **state)
{
    struct rig *rig = NULL;
    struct ph_error err;
    char text[512];

    (void)state;
    (void)snprintf(text, sizeof text, "path=%s/none.nii", dir.path);
    assert_int_equal(rig_try_open(rig_type("source/nifti"), text, NULL, &rig, &err), PH_E_IO);
    assert_non_null(strstr(err.text, "none.nii"));
    (void)snprintf(text, sizeof text, "events=%s/r.nii.gz", dir.path);
    assert_int_equal(rig_try_open(rig_type("source/nifti"), params(text), NULL, &rig, &err),
                     PH_E_FORMAT);
    assert_null(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes_and_events_in_order),
        cmocka_unit_test(a_wake_ends_the_wait),
        cmocka_unit_test(sidecar_and_parameter_before_header),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests_name("source/nifti", tests, set_up, tear_down);
}
