/* SPDX-License-Identifier: MIT
 * filter/normalise: percent and z on frames, a mask known only later, unusable frames teach
 * nothing, values that are not finite mark the frame. */
#include "rig.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent),
        cmocka_unit_test(zscore_and_bad_values),
        cmocka_unit_test(a_mask_known_later),
    };
    return cmocka_run_group_tests_name("plugins/filter_normalise", tests, NULL, NULL);
}
