/* SPDX-License-Identifier: MIT
 * filter/drop: a given number of volumes, the detected start-up, its limit; values stay. */
#include "rig.h"
#include "test.h"

static uint32_t push(struct rig *rig, float level, uint32_t flags)
{
    const float values[4] = {level, level + 1, level - 1, level};

    assert_int_equal(rig_push(rig, values, flags), PH_OK);
    assert_memory_equal(rig_last(rig)->data, values, sizeof values);
    return rig_last(rig)->flags;
}

static void a_given_number(void **state)
{
    struct ph_spec in = rig_volumes(2, 2, 1, 2.0);
    struct rig *rig = rig_open("filter/drop", "volumes=3", &in);

    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < 6; t++)
            assert_int_equal(push(rig, 100, 0), t < 3 ? PH_FLAG_DUMMY : 0);
        rig_reset(rig);
    }
    rig_close(&rig);
}

static void detected(void **state)
{
    const float level[] = {150, 115, 104, 101, 101, 99, 120, 80};
    struct ph_spec in = rig_volumes(2, 2, 1, 2.0);
    struct rig *rig = rig_open("filter/drop", "detect=true", &in);

    (void)state;
    for (int t = 0; t < 8; t++)
        assert_int_equal(push(rig, level[t], 0), t < 4 ? PH_FLAG_DUMMY : 0);
    rig_close(&rig);
}

static void gaps_and_limit(void **state)
{
    struct ph_spec in = rig_volumes(2, 2, 1, 2.0);
    struct rig *rig = rig_open("filter/drop", "detect=true most=3", &in);

    (void)state;
    assert_int_equal(push(rig, 100, 0), PH_FLAG_DUMMY);
    assert_int_equal(push(rig, 0, PH_FLAG_GAP), PH_FLAG_GAP);
    assert_int_equal(push(rig, 90, 0), PH_FLAG_DUMMY);
    assert_int_equal(push(rig, 80, 0), PH_FLAG_DUMMY);
    assert_int_equal(push(rig, 70, 0), 0);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_given_number),
        cmocka_unit_test(detected),
        cmocka_unit_test(gaps_and_limit),
    };
    return cmocka_run_group_tests_name("plugins/filter_drop", tests, NULL, NULL);
}
