/* SPDX-License-Identifier: MIT
 * Running moments equal two-pass ones, also far from zero; all voxels at once equal one at a time;
 * the exponential mean follows its formula. */
#include "base/rng.h"
#include "signal/running.h"
#include "test.h"

enum { Q = 37, N = 50 };

static void equals_two_passes(void **state)
{
    struct phi_rng rng;
    struct phi_welford w = {0};
    double y[N], mean = 0, m2 = 0;

    (void)state;
    phi_rng_init(&rng, 1, 1);
    for (int t = 0; t < N; t++) {
        y[t] = 1e9 + phi_rng_normal(&rng);
        phi_welford_add(&w, y[t]);
        mean += (y[t] - 1e9) / N;
    }
    for (int t = 0; t < N; t++)
        m2 += (y[t] - 1e9 - mean) * (y[t] - 1e9 - mean);
    assert_near(w.mean - 1e9, mean, 1e-6);
    assert_near(phi_welford_variance(&w), m2 / (N - 1), 1e-6);
    assert_near(phi_welford_z(&w, w.mean + sqrt(m2 / (N - 1))), 1, 1e-6);
}

static void few_samples(void **state)
{
    struct phi_welford w = {0};

    (void)state;
    assert_true(phi_welford_variance(&w) == 0 && phi_welford_z(&w, 3) == 0);
    phi_welford_add(&w, 5);
    assert_true(w.mean == 5 && phi_welford_variance(&w) == 0 && phi_welford_z(&w, 7) == 0);
}

static void voxels_equal_scalars(void **state)
{
    struct phi_rng rng;
    struct phi_moments *moments = NULL;
    struct phi_welford w[Q];
    struct ph_error err;
    float y[Q];

    (void)state;
    phi_rng_init(&rng, 2, 1);
    assert_ok(phi_moments_create(Q, &moments, &err), err);
    for (int pass = 0; pass < 2; pass++) {
        memset(w, 0, sizeof w);
        for (int t = 0; t < N; t++) {
            phi_rng_normal_f32(&rng, y, Q);
            phi_moments_add(moments, y);
            for (int v = 0; v < Q; v++)
                phi_welford_add(&w[v], (double)y[v]);
        }
        assert_int_equal(phi_moments_n(moments), N);
        for (int v = 0; v < Q; v++) {
            assert_near(phi_moments_mean(moments)[v], w[v].mean, 1e-15);
            assert_near(phi_moments_m2(moments)[v], w[v].m2, 1e-13);
        }
        phi_moments_reset(moments, Q);
        assert_true(phi_moments_n(moments) == 0 && phi_moments_mean(moments)[3] == 0);
    }
    phi_moments_destroy(&moments);
    phi_moments_destroy(&moments);
    assert_int_equal(phi_moments_create(SIZE_MAX / 4, &moments, &err), PH_E_NOMEM);
}

static void exponential_mean(void **state)
{
    struct phi_ema ema = {.keep = 0.9};

    (void)state;
    assert_true(phi_ema_step(&ema, 10) == 0);
    assert_near(phi_ema_step(&ema, 20), 9, 1e-14);
    assert_near(ema.level, 11, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_two_passes),
        cmocka_unit_test(few_samples),
        cmocka_unit_test(voxels_equal_scalars),
        cmocka_unit_test(exponential_mean),
    };
    return cmocka_run_group_tests_name("signal/running", tests, NULL, NULL);
}
