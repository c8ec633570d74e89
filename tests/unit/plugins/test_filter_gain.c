/* SPDX-License-Identifier: MIT
 * filter/gain: the formula, missing volumes left alone, live change at the next frame, refusals. */
#include "rig.h"
#include "test.h"

static void applies_the_formula(void **state)
{
    struct ph_spec in = rig_volumes(2, 1, 1, 2.0);
    struct rig *rig = rig_open("filter/gain", "factor=2 offset=-1", &in);
    const float values[2] = {3.0f, -0.5f};

    (void)state;
    assert_int_equal(rig_push(rig, values, 0), PH_OK);
    assert_int_equal(rig_count(rig), 1);
    assert_near(((const float *)rig_last(rig)->data)[0], 5, 0);
    assert_near(((const float *)rig_last(rig)->data)[1], -2, 0);
    assert_string_equal(rig_out(rig)->chain, "gain(factor=2 offset=-1)");
    rig_close(&rig);
}

static void leaves_missing_volumes_alone(void **state)
{
    struct ph_spec in = rig_vectors(3, 2.0);
    struct rig *rig = rig_open("filter/gain", "offset=4", &in);

    (void)state;
    assert_int_equal(rig_push(rig, NULL, PH_FLAG_GAP), PH_OK);
    assert_near(((const float *)rig_last(rig)->data)[0], 0, 0);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_GAP);
    rig_close(&rig);
}

static void changes_live(void **state)
{
    struct ph_spec in = rig_vectors(1, 2.0);
    struct rig *rig = rig_open("filter/gain", "", &in);
    const float one = 1.0f;

    (void)state;
    assert_int_equal(rig_push(rig, &one, 0), PH_OK);
    rig_set(rig, "factor", "3");
    assert_int_equal(rig_push(rig, &one, 0), PH_OK);
    assert_near(((const float *)rig_at(rig, 0)->data)[0], 1, 0);
    assert_near(((const float *)rig_at(rig, 1)->data)[0], 3, 0);
    rig_close(&rig);
}

static void refuses_nonsense(void **state)
{
    struct ph_spec in = rig_vectors(1, 2.0);
    struct rig *rig = NULL;
    struct ph_error err = {0};

    (void)state;
    assert_int_equal(rig_try_open(rig_type("filter/gain"), "factor=2e9", &in, &rig, &err),
                     PH_E_INVAL);
    assert_string_equal(err.text, "factor = 2e+09 is above its maximum of 1e+06");
    assert_int_equal(rig_try_open(rig_type("filter/gain"), "facto=2", &in, &rig, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "did you mean 'factor'?"));
    assert_null(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applies_the_formula),
        cmocka_unit_test(leaves_missing_volumes_alone),
        cmocka_unit_test(changes_live),
        cmocka_unit_test(refuses_nonsense),
    };
    return cmocka_run_group_tests_name("plugins/filter_gain", tests, NULL, NULL);
}
