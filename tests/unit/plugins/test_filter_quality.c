/* SPDX-License-Identifier: MIT
 * filter/quality: figures arrive on the frame, values pass, gaps leave the figures unmeasured. */
#include "base/rng.h"
#include "rig.h"
#include "test.h"

enum { N = 300 };

static void figures(void **state)
{
    struct ph_spec in = rig_vectors(N, 2.0);
    struct rig *rig = rig_open("filter/quality", "window=32", &in);
    struct phi_rng rng;
    float y[N];
    const struct ph_quality *q;

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (int t = 0; t < 60; t++) {
        for (int v = 0; v < N; v++)
            y[v] = (float)(600 + 6 * phi_rng_normal(&rng) + (t == 50 ? 60 : 0));
        assert_int_equal(rig_push(rig, y, t == 40 ? PH_FLAG_GAP : 0), PH_OK);
        assert_memory_equal(rig_last(rig)->data, y, sizeof y);
        q = &rig_last(rig)->quality;
        if (t == 41)
            assert_true(isnan(q->dvars));
        if (t == 49)
            assert_near(q->std_dvars, 1, 0.2);
        if (t == 50)
            assert_true(q->std_dvars > 4 && q->outlier_fraction > 0.9F && q->n_spikes == 1);
    }
    q = &rig_last(rig)->quality;
    assert_near(q->global_signal, 600, 2);
    assert_near(q->tsnr, 60, 15);
    assert_near(q->drift_percent, 0, 1);
    assert_true(q->n_spikes == 1 && q->gcor > 0 && q->gcor < 0.9F);
    rig_close(&rig);
}

static void not_finite(void **state)
{
    struct ph_spec in = rig_vectors(2, 2.0);
    struct rig *rig = rig_open("filter/quality", "", &in);
    const float bad[2] = {1, INFINITY};

    (void)state;
    assert_int_equal(rig_push(rig, bad, 0), PH_OK);
    assert_int_equal(rig_last(rig)->flags, PH_FLAG_INVALID);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(figures), cmocka_unit_test(not_finite)};

    return cmocka_run_group_tests_name("plugins/filter_quality", tests, NULL, NULL);
}
