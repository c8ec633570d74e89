/* SPDX-License-Identifier: MIT
 * Sidecars: known fields are taken and checked, errors name the field, a missing file says nothing,
 * what is written reads back. */
#include "io/sidecar.h"

#include "io/file.h"
#include "tempdir.h"
#include "test.h"

static enum ph_status parse(const char *text, struct phi_sidecar *sidecar, struct ph_error *err)
{
    return phi_sidecar_parse(text, strlen(text), "x.json", sidecar, err);
}

static void fields_are_taken(void **state)
{
    struct ph_error err;
    struct phi_sidecar sidecar;

    (void)state;
    assert_ok(
        parse("{\"RepetitionTime\": 2, \"SliceTiming\": [0, 1.0, 0.5], \"TaskName\": \"faces\","
              " \"EchoTime\": 0.03}",
              &sidecar, &err),
        err);
    assert_near(sidecar.tr_s, 2, 0);
    assert_int_equal(sidecar.n_slices, 3);
    assert_near(sidecar.slice_timing_s[1], 1, 0);
    assert_string_equal(sidecar.task_name, "faces");
    assert_ok(parse("{}", &sidecar, &err), err);
    assert_near(sidecar.tr_s, 0, 0);
}

static void bad_fields_are_named(void **state)
{
    static const char *const bad[][2] = {
        {"{\"RepetitionTime\": 0}", "RepetitionTime"},
        {"{\"RepetitionTime\": \"2\"}", "RepetitionTime"},
        {"{\"RepetitionTime\": 1e9}", "RepetitionTime"},
        {"{\"SliceTiming\": 3}", "SliceTiming"},
        {"{\"SliceTiming\": [0, -1]}", "SliceTiming[1]"},
        {"{\"SliceTiming\": [null]}", "SliceTiming[0]"},
        {"{\"TaskName\": 3}", "TaskName"},
        {"[1]", "object"},
        {"{\"RepetitionTime\": 2", "line 1"},
        {"", "x.json"},
    };
    struct ph_error err;
    struct phi_sidecar sidecar = {.tr_s = 7};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse(bad[i][0], &sidecar, &err), PH_E_FORMAT);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("'%s' does not name %s", err.text, bad[i][1]);
        assert_near(sidecar.tr_s, 7, 0);
    }
}

static void files_beside_images(void **state)
{
    struct tempdir dir;
    struct ph_error err;
    struct phi_sidecar sidecar = {
        .tr_s = 0.8, .n_slices = 2, .slice_timing_s = {0, 0.4}, .task_name = "film"};
    struct phi_sidecar back;

    (void)state;
    assert_true(tempdir_make(&dir));
    assert_ok(phi_sidecar_write(tempdir_file(&dir, "a_bold.json"), &sidecar, &err), err);
    assert_ok(phi_sidecar_read_beside(tempdir_file(&dir, "a_bold.nii.gz"), &back, &err), err);
    assert_memory_equal(&back, &sidecar, sizeof back);
    assert_ok(phi_sidecar_read_beside(tempdir_file(&dir, "a_bold.nii"), &back, &err), err);
    assert_near(back.tr_s, 0.8, 0);
    assert_ok(phi_sidecar_read_beside(tempdir_file(&dir, "b_bold.nii"), &back, &err), err);
    assert_near(back.tr_s, 0, 0);
    assert_ok(phi_file_write(tempdir_file(&dir, "a_bold.json"), "{", 1, &err), err);
    assert_int_equal(phi_sidecar_read_beside(tempdir_file(&dir, "a_bold.nii"), &back, &err),
                     PH_E_FORMAT);
    tempdir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_taken),
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(files_beside_images),
    };
    return cmocka_run_group_tests_name("io/sidecar", tests, NULL, NULL);
}
