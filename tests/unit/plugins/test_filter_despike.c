/* SPDX-License-Identifier: MIT
 * filter/despike: a spike in one voxel is held back, the other voxel passes; censored volumes are
 * left alone and leave the filters alone. */
#include "rig.h"
#include "test.h"

static const float *push(struct rig *rig, float a, float b, uint32_t flags)
{
    const float values[2] = {a, b};

    assert_int_equal(rig_push(rig, values, flags), PH_OK);
    return rig_last(rig)->data;
}

static void holds_spikes(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/despike", "sigma=1", &in);

    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < 10; t++)
            push(rig, 100, 50, 0);
        assert_near(push(rig, 130, 50, 0)[0], 100, 1e-4);
        assert_near(push(rig, 100, 50, 0)[0], 100, 1e-4);
        assert_near(push(rig, 900, 50, PH_FLAG_CENSORED)[0], 900, 0);
        assert_near(push(rig, 130, 50, 0)[0], 100, 1e-4); /* again the first jump */
        assert_near(push(rig, 100, 50, 0)[1], 50, 1e-4);
        rig_reset(rig);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holds_spikes)};

    return cmocka_run_group_tests_name("plugins/filter_despike", tests, NULL, NULL);
}
