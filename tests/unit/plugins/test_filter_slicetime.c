/* SPDX-License-Identifier: MIT
 * filter/slicetime: a ramp is exact in every slice, bad volumes do not reach the next, wrong
 * placements and lists are refused by name. */
#include "rig.h"
#include "test.h"

/* A ramp as slices see it that are taken at times_s. */
static void ramp(const double *times_s, int t, float *y)
{
    for (int i = 0; i < 8; i++)
        y[i] = (float)(50 + 4 * (2.0 * t + times_s[i / 2]));
}

static void ramps(void **state)
{
    const double times_s[4] = {0, 1, 0.5, 1.5};
    struct ph_spec in = rig_volumes(2, 1, 4, 2.0);
    struct rig *rig = rig_open("filter/slicetime", "order=interleaved", &in);
    float y[8];

    (void)state;
    for (int t = 0; t < 8; t++) {
        uint32_t flags = t == 4 ? PH_FLAG_CENSORED : 0;

        ramp(times_s, t, y);
        assert_int_equal(rig_push(rig, y, flags), PH_OK);
        for (int i = 0; i < 8; i++)
            assert_near(((const float *)rig_last(rig)->data)[i],
                        t == 0 || t == 5 ? y[i] : 50 + 4 * 2.0 * t, 1e-4);
    }
    rig_close(&rig);
}

static void not_finite(void **state)
{
    struct ph_spec in = rig_volumes(2, 1, 4, 2.0);
    struct rig *rig = rig_open("filter/slicetime", "times_s=0,1", &in); /* two bands of two */
    float y[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    (void)state;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    y[2] = NAN;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_INVALID);
    y[2] = 100;
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    assert_near(((const float *)rig_last(rig)->data)[2], 100, 0);
    assert_int_equal(rig_push(rig, y, 0), PH_OK);
    rig_close(&rig);
}

static void refusals(void **state)
{
    struct ph_spec volumes = rig_volumes(2, 1, 4, 2.0);
    struct ph_spec vectors = rig_vectors(9, 2.0);
    const struct ph_stage_type *type = rig_type("filter/slicetime");
    struct rig *rig = NULL;
    struct ph_error err;

    (void)state;
    assert_true(rig_try_open(type, "", &vectors, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "mask"));
    assert_true(rig_try_open(type, "multiband=3", &volumes, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "multiband"));
    assert_true(rig_try_open(type, "times_s=0,1,2", &volumes, &rig, &err) < 0);
    assert_true(rig_try_open(type, "ref_s=1", &volumes, &rig, &err) < 0);
    assert_non_null(strstr(err.text, "reference"));
    assert_null(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ramps),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("plugins/filter_slicetime", tests, NULL, NULL);
}
