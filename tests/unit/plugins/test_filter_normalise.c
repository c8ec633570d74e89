/* SPDX-License-Identifier: MIT
 * filter/normalise: percent and z on frames, a mask known only later, a window
 * that begins later, the stored baseline of an earlier run, unusable frames teach
 * nothing, values that are not finite mark the frame. */
#include "rig.h"
#include "tempdir.h"
#include "test.h"

static float push(struct rig *rig, float a, uint32_t flags)
{
    const float values[2] = {a, 10};

    assert_int_equal(rig_push(rig, values, flags), PH_OK);
    return ((const float *)rig_last(rig)->data)[0];
}

static void percent(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/normalise", "mode=percent baseline=2", &in);

    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        push(rig, 5000, PH_FLAG_DUMMY);
        push(rig, 90, 0);
        push(rig, 110, 0);
        assert_near(push(rig, 105, 0), 5, 1e-5);
        assert_near(push(rig, 5000, PH_FLAG_CENSORED), 4900, 1e-2);
        assert_near(push(rig, 95, 0), -5, 1e-5);
        rig_reset(rig);
    }
    rig_close(&rig);
}

static void zscore_and_bad_values(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/normalise", "mode=zscore", &in);

    (void)state;
    push(rig, 1, 0);
    push(rig, 2, 0);
    push(rig, NAN, 0);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_INVALID);
    assert_near(push(rig, 3, 0), 1, 1e-6);
    rig_close(&rig);
}

static void a_mask_known_later(void **state)
{
    struct ph_spec in = rig_vectors(5, 2.0);
    float values[3] = {100, 200, 300};
    struct ph_frame frame = {.struct_size = sizeof frame,
                             .kind = PH_FRAME_VECTOR,
                             .dtype = PH_DTYPE_F32,
                             .rank = 1,
                             .dims = {3},
                             .layout = 77,
                             .capacity_bytes = sizeof values,
                             .data = values};
    struct rig *rig = rig_open("filter/normalise", "mode=percent baseline=1", &in);

    (void)state;
    assert_int_equal(rig_push_frame(rig, &frame), PH_OK);
    values[2] = 330;
    assert_int_equal(rig_push_frame(rig, &frame), PH_OK);
    assert_near(((const float *)rig_last(rig)->data)[2], 10, 1e-4);
    assert_int_equal(rig_last(rig)->dims[0], 3);
    rig_close(&rig);
}

static void a_window_that_begins_later(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/normalise", "mode=percent baseline=2 baseline_start=2", &in);

    (void)state;
    assert_near(push(rig, 5000, 0), 0, 0); /* nothing to compare with as yet */
    push(rig, 7000, 0);
    push(rig, 90, 0);
    push(rig, 110, 0);
    assert_near(push(rig, 105, 0), 5, 1e-5);
    rig_close(&rig);
}

/* The second run of a session is normalised from its first volume on by what the first has left. */
static void the_baseline_of_an_earlier_run(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct ph_spec other = rig_vectors(3, 2.0);
    struct rig *rig = NULL;
    struct tempdir dir;
    struct ph_error err;
    char params[400];

    (void)state;
    assert_true(tempdir_make(&dir));
    in.chain = other.chain = "smooth(fwhm_mm=5)";
    (void)snprintf(params, sizeof params, "mode=zscore store=%s/b.safetensors", dir.path);
    rig = rig_open("filter/normalise", params, &in);
    assert_null(strstr(rig_out(rig)->chain, "store")); /* a model fitted here fits runs without */
    push(rig, 99, 0);
    push(rig, 100, 0);
    push(rig, 5000, PH_FLAG_CENSORED);
    push(rig, 101, 0);
    assert_int_equal(rig_end(rig), PH_OK);
    rig_close(&rig);
    (void)snprintf(params, sizeof params, "mode=zscore baseline_from=%s/b.safetensors", dir.path);
    rig = rig_open("filter/normalise", params, &in);
    for (int pass = 0; pass < 2; pass++) {
        assert_near(push(rig, 103, 0), 3, 1e-6);
        assert_near(push(rig, 100, 0), 0, 1e-6);
        assert_near(push(rig, 98, 0), -2, 1e-6); /* frozen: 103 and 100 changed nothing */
        rig_reset(rig);
    }
    rig_close(&rig);
    assert_true(rig_try_open(rig_type("filter/normalise"), params, &other, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "other voxels"));
    in.chain = "smooth(fwhm_mm=6)";
    assert_true(rig_try_open(rig_type("filter/normalise"), params, &in, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "other filters"));
    assert_true(
        rig_try_open(rig_type("filter/normalise"), "baseline_from=/no/file", &in, &rig, &err) < 0);
    (void)snprintf(params, sizeof params, "mode=ema store=%s/b.safetensors", dir.path);
    assert_true(rig_try_open(rig_type("filter/normalise"), params, &in, &rig, &err) < 0);
    in.chain = "smooth(fwhm_mm=5)"; /* a mask that is found later and turns out another */
    in.layout = 0;
    (void)snprintf(params, sizeof params, "mode=zscore baseline_from=%s/b.safetensors", dir.path);
    rig = rig_open("filter/normalise", params, &in);
    assert_int_equal(rig_push(rig, (const float[2]){1, 2}, 0), PH_E_SHAPE);
    rig_close(&rig);
    tempdir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent),
        cmocka_unit_test(zscore_and_bad_values),
        cmocka_unit_test(a_window_that_begins_later),
        cmocka_unit_test(the_baseline_of_an_earlier_run),
        cmocka_unit_test(a_mask_known_later),
    };
    return cmocka_run_group_tests_name("plugins/filter_normalise", tests, NULL, NULL);
}
