/* SPDX-License-Identifier: MIT
 * source/journal: a recording comes out as the stages saw it, twice the same; an empty one is
 * refused before the run. */
#include "io/file.h"
#include "recording.h"
#include "rig.h"
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

static const char *path_param(const char *rest)
{
    static char text[512];

    (void)snprintf(text, sizeof text, "path=%s %s", dir.path, rest);
    return text;
}

static void run_and_check(struct rig *rig, const char *expected)
{
    uint32_t n_events = 0;
    uint64_t n_volumes = 0;
    enum ph_status status;

    while (!(status = rig_poll(rig)))
        ;
    assert_int_equal(status, PH_EOS);
    assert_int_equal(rig_count(rig), strlen(expected));
    for (size_t i = 0; expected[i]; i++) {
        const struct ph_frame *frame = rig_at(rig, i);

        if (expected[i] == 'e') {
            assert_int_equal(frame->kind, PH_FRAME_EVENT);
            assert_int_equal(frame->u.event.number, n_events);
            assert_near(frame->u.event.onset_s, n_events + 0.5, 0);
            assert_string_equal(frame->u.event.stim_file, "face.png");
            n_events++;
            continue;
        }
        assert_int_equal(frame->kind, PH_FRAME_VOLUME);
        assert_int_equal(frame->index, n_volumes);
        assert_int_equal(frame->flags & PH_FLAG_GAP, expected[i] == '-' ? PH_FLAG_GAP : 0);
        assert_near(frame->acquired_s, 2.0 * (double)n_volumes, 0);
        assert_near(((const float *)frame->data)[5],
                    expected[i] == '-' ? 0 : 100.0 * (double)n_volumes + 5, 0);
        n_volumes++;
    }
}

static void the_recorded_stream_comes_out(void **state)
{
    struct rig *rig;

    (void)state;
    recording_write(tempdir_file(&dir, "journal"), "He0e2g21e3E");
    rig = rig_open("source/journal", path_param(""), NULL);
    assert_near(rig_out(rig)->geometry.tr_s, 2, 0);
    run_and_check(rig, "e0e-2e3");
    rig_reset(rig);
    run_and_check(rig, "e0e-2e3");
    rig_close(&rig);
    rig = rig_open("source/journal", path_param("speed=10"), NULL); /* microseconds apart */
    run_and_check(rig, "e0e-2e3");
    rig_close(&rig);
}

static void journal_files_may_be_named_themselves(void **state)
{
    struct rig *rig;

    (void)state;
    recording_write(dir.path, "H012");
    rig = rig_open("source/journal", path_param(""), NULL);
    run_and_check(rig, "012");
    rig_close(&rig);
}

static void nothing_recorded_is_refused(void **state)
{
    struct rig *rig = NULL;
    struct ph_error err;

    (void)state;
    recording_write(dir.path, "He");
    assert_int_equal(rig_try_open(rig_type("source/journal"), path_param(""), NULL, &rig, &err),
                     PH_E_FORMAT);
    assert_non_null(strstr(err.text, dir.path));
    assert_int_equal(
        rig_try_open(rig_type("source/journal"), "path=/nonexistent", NULL, &rig, &err), PH_E_IO);
    assert_null(rig);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(the_recorded_stream_comes_out),
        WITH_DIR(journal_files_may_be_named_themselves),
        WITH_DIR(nothing_recorded_is_refused),
    };
    return cmocka_run_group_tests_name("source/journal", tests, NULL, NULL);
}
