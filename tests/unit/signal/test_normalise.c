/* SPDX-License-Identifier: MIT
 * Each mode follows its formula; a frozen baseline stays; censored volumes do not teach; voxels
 * without signal or variance give 0. */
#include "base/rng.h"
#include "signal/normalise.h"
#include "signal/running.h"
#include "test.h"

enum { Q = 4 };

static struct phi_normalise *make(enum phi_normalise_mode mode, size_t n_baseline, bool exclude)
{
    const struct phi_normalise_config config = {Q, mode, n_baseline, exclude, 10, 0.9};
    struct phi_normalise *n = NULL;
    struct ph_error err;

    assert_ok(phi_normalise_create(&config, &n, &err), err);
    return n;
}

/* Voxel 0 varies around 1000, 1 is constant, 2 is below the floor, 3 is zero. */
static void volume(struct phi_rng *rng, float *y)
{
    y[0] = (float)(1000 + 10 * phi_rng_normal(rng));
    y[1] = 500;
    y[2] = (float)phi_rng_normal(rng);
    y[3] = 0;
}

static void percent_on_a_frozen_baseline(void **state)
{
    struct phi_normalise *n = make(PHI_NORMALISE_PERCENT, 10, false);
    struct phi_welford w = {0};
    struct phi_rng rng;
    float y[Q];

    (void)state;
    phi_rng_init(&rng, 1, 0);
    for (int t = 0; t < 30; t++) {
        double raw;

        volume(&rng, y);
        raw = (double)y[0];
        if (t < 10)
            phi_welford_add(&w, raw);
        assert_true(phi_normalise_frozen(n) == (t >= 10));
        phi_normalise_process(n, y, true);
        assert_near(y[0], 100 * (raw - w.mean) / w.mean, 1e-6);
        assert_true(y[1] == 0 && y[2] == 0 && y[3] == 0);
    }
    assert_int_equal(phi_normalise_n(n), 10);
    phi_normalise_reset(n);
    assert_false(phi_normalise_frozen(n));
    assert_int_equal(phi_normalise_resize(n, Q + 1), PH_E_SHAPE);
    assert_int_equal(phi_normalise_resize(n, 1), PH_OK);
    y[0] = 40;
    y[1] = NAN; /* beyond its voxels */
    phi_normalise_process(n, y, true);
    y[0] = 60;
    phi_normalise_process(n, y, true);
    assert_near(y[0], 20, 1e-5); /* mean 50 */
    assert_true(isnan(y[1]));
    phi_normalise_destroy(&n);
}

static void running_z(void **state)
{
    struct phi_normalise *with = make(PHI_NORMALISE_Z, 0, false);
    struct phi_normalise *without = make(PHI_NORMALISE_Z, 0, true);
    struct phi_welford w = {0};
    struct phi_rng rng;
    float y[Q], z[Q];

    (void)state;
    phi_rng_init(&rng, 2, 0);
    for (int t = 0; t < 30; t++) {
        double raw;

        volume(&rng, y);
        memcpy(z, y, sizeof z);
        raw = (double)y[0];
        phi_normalise_process(without, z, true);
        assert_near(z[0], phi_welford_z(&w, raw), 1e-5);
        phi_welford_add(&w, raw);
        phi_normalise_process(with, y, true);
        assert_near(y[0], phi_welford_z(&w, raw), 1e-5);
        assert_true(y[1] == 0 && z[1] == 0 && y[3] == 0);
        assert_false(phi_normalise_frozen(with));
    }
    phi_normalise_destroy(&with);
    phi_normalise_destroy(&without);
}

static void censored_volumes_do_not_teach(void **state)
{
    for (int mode = PHI_NORMALISE_PERCENT; mode <= PHI_NORMALISE_EMA; mode++) {
        struct phi_normalise *a = make((enum phi_normalise_mode)mode, 0, false);
        struct phi_normalise *b = make((enum phi_normalise_mode)mode, 0, false);
        struct phi_rng rng;
        float y[Q], z[Q];

        (void)state;
        phi_rng_init(&rng, 3, 0);
        for (int t = 0; t < 12; t++) {
            volume(&rng, y);
            memcpy(z, y, sizeof z);
            if (t == 5) {
                float bad[Q] = {1e6F, 1e6F, 1e6F, 1e6F};

                phi_normalise_process(b, bad, false);
                assert_true(isfinite(bad[0]));
            }
            phi_normalise_process(a, y, true);
            phi_normalise_process(b, z, true);
            assert_memory_equal(y, z, sizeof y);
        }
        phi_normalise_destroy(&a);
        phi_normalise_destroy(&b);
    }
}

static void ema_and_centre(void **state)
{
    struct phi_normalise *ema = make(PHI_NORMALISE_EMA, 0, false);
    struct phi_normalise *centre = make(PHI_NORMALISE_CENTRE, 2, false);
    struct phi_ema level = {.keep = 0.9};
    struct phi_rng rng;
    float y[Q], first = 0;

    (void)state;
    phi_rng_init(&rng, 4, 0);
    volume(&rng, y);
    phi_normalise_process(ema, y, false);
    assert_true(y[0] == 0); /* nothing to compare with */
    for (int t = 0; t < 20; t++) {
        double raw;

        volume(&rng, y);
        raw = (double)y[0];
        phi_normalise_process(ema, y, true);
        assert_near(y[0], phi_ema_step(&level, raw), 1e-4);
    }
    y[0] = 100;
    phi_normalise_process(centre, y, true);
    y[0] = 200;
    phi_normalise_process(centre, y, true);
    first = y[0];
    y[0] = 250;
    phi_normalise_process(centre, y, true);
    assert_true(first == 50 && y[0] == 100);
    phi_normalise_destroy(&ema);
    phi_normalise_destroy(&centre);
}

static void wrong_configurations(void **state)
{
    const struct phi_normalise_config wrong[] = {{0, PHI_NORMALISE_Z, 0, false, 0, 0},
                                                 {1, (enum phi_normalise_mode)9, 0, false, 0, 0},
                                                 {1, PHI_NORMALISE_Z, 0, false, -1, 0},
                                                 {1, PHI_NORMALISE_EMA, 0, false, 0, 1}};
    struct phi_normalise *n = NULL;
    struct ph_error err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(phi_normalise_create(&wrong[i], &n, &err), PH_E_INVAL);
    assert_null(n);
    phi_normalise_destroy(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_on_a_frozen_baseline),  cmocka_unit_test(running_z),
        cmocka_unit_test(censored_volumes_do_not_teach), cmocka_unit_test(ema_and_centre),
        cmocka_unit_test(wrong_configurations),
    };
    return cmocka_run_group_tests_name("signal/normalise", tests, NULL, NULL);
}
