/* SPDX-License-Identifier: MIT
 * filter/censor: marks by the frame's own figures, also after a live change; unmeasured figures and
 * missing volumes do not censor. */
#include "rig.h"
#include "test.h"

static uint32_t push(struct rig *rig, float fd_mm, float std_dvars, uint32_t flags)
{
    float values[2] = {1, 2};
    struct ph_frame frame = {.struct_size = sizeof frame,
                             .kind = PH_FRAME_VECTOR,
                             .flags = flags,
                             .dtype = PH_DTYPE_F32,
                             .rank = 1,
                             .dims = {2},
                             .capacity_bytes = sizeof values,
                             .data = values};

    frame.quality.fd_mm = fd_mm;
    frame.quality.std_dvars = std_dvars;
    frame.quality.outlier_fraction = NAN;
    assert_int_equal(rig_push_frame(rig, &frame), PH_OK);
    return rig_last(rig)->flags;
}

static void rules(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/censor", "after=1", &in);

    (void)state;
    assert_int_equal(push(rig, 0.1F, 1, 0), 0);
    assert_int_equal(push(rig, 0.7F, 1, 0), PH_FLAG_CENSORED);
    assert_int_equal(push(rig, 0.1F, 1, 0), PH_FLAG_CENSORED);
    assert_int_equal(push(rig, 0.1F, 1, 0), 0);
    assert_int_equal(push(rig, NAN, NAN, 0), 0);
    assert_int_equal(push(rig, 9, 9, PH_FLAG_GAP), PH_FLAG_GAP);
    assert_int_equal(push(rig, 0.1F, 3, PH_FLAG_LATE), PH_FLAG_CENSORED | PH_FLAG_LATE);
    rig_close(&rig);
}

static void live(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/censor", "after=0", &in);

    (void)state;
    assert_int_equal(push(rig, 0.4F, 1, 0), 0);
    rig_set(rig, "fd_mm", "0.3");
    assert_int_equal(push(rig, 0.4F, 1, 0), PH_FLAG_CENSORED);
    rig_set(rig, "fd_mm", "0");
    assert_int_equal(push(rig, 9, 1, 0), 0);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(live)};

    return cmocka_run_group_tests_name("plugins/filter_censor", tests, NULL, NULL);
}
