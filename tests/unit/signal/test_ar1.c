/* SPDX-License-Identifier: MIT
 * The estimated autocorrelation is that of the noise and not of the residuals: without bias behind
 * many regressors, over gaps, for negative values; constant voxels and hopeless designs are told.
 */
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "signal/ar1.h"
#include "test.h"

enum { N = 60, P = 16, VOXELS = 2000 };

static double x[N * P];
static uint64_t when[N];

/* A constant, slow cosines and random columns, at volumes with or without gaps. */
static void make_design(struct phi_rng *rng, uint64_t gap)
{
    for (int t = 0; t < N; t++) {
        when[t] = (uint64_t)t + (t >= 20 ? gap : 0) + (t >= 41 ? gap : 0);
        for (int i = 0; i < P; i++)
            x[t * P + i] = i < 6 ? cos(3.14159265 * i * (t + 0.5) / N) : phi_rng_normal(rng);
    }
}

/* Means over voxels of the estimate and of the residuals' own autocorrelation. */
static void measure(double rho, uint64_t gap, double *ret_estimate, double *ret_plain)
{
    struct phi_ar1 *ar1 = NULL;
    struct ph_error err;
    struct phi_rng rng;

    phi_rng_init(&rng, 8, 0);
    make_design(&rng, gap);
    assert_ok(phi_ar1_create(N, P, &ar1, &err), err);
    assert_int_equal(phi_ar1_prepare(ar1, x, when, N), PH_OK);
    *ret_estimate = *ret_plain = 0;
    for (int v = 0; v < VOXELS; v++) {
        double e = phi_rng_normal(&rng) / sqrt(1 - rho * rho);
        float y[N];
        int t = 0;

        for (uint64_t at = 0; at <= when[N - 1]; at++) {
            if (at == when[t]) {
                y[t] = (float)(1000 + e);
                t++;
            }
            e = rho * e + phi_rng_normal(&rng);
        }
        *ret_estimate += phi_ar1_estimate(ar1, y, 1) / VOXELS;
        *ret_plain += phi_ar1_plain(ar1, y, 1) / VOXELS;
    }
    phi_ar1_destroy(&ar1);
    assert_null(ar1);
}

static void no_bias(void **state)
{
    double estimate, plain;

    (void)state;
    measure(0, 0, &estimate, &plain);
    assert_near(estimate, 0, 0.02);
    assert_true(plain < -0.05); /* what fitting does to white noise */
    measure(0.3, 0, &estimate, &plain);
    assert_near(estimate, 0.3, 0.03);
    assert_true(plain < 0.2);
    measure(-0.2, 0, &estimate, &plain);
    assert_near(estimate, -0.2, 0.04);
}

static void gaps(void **state)
{
    double estimate, plain;

    (void)state;
    measure(0.3, 5, &estimate, &plain);
    assert_near(estimate, 0.3, 0.03);
}

static void stride(void **state)
{
    struct phi_ar1 *ar1 = NULL;
    struct ph_error err;
    struct phi_rng rng;
    float dense[N], spread[3 * N];

    (void)state;
    phi_rng_init(&rng, 9, 0);
    make_design(&rng, 0);
    for (int t = 0; t < N; t++) {
        spread[3 * t] = dense[t] = (float)phi_rng_normal(&rng);
        spread[3 * t + 1] = spread[3 * t + 2] = NAN;
    }
    assert_ok(phi_ar1_create(N, P, &ar1, &err), err);
    assert_int_equal(phi_ar1_prepare(ar1, x, when, N), PH_OK);
    assert_near(phi_ar1_estimate(ar1, spread, 3), phi_ar1_estimate(ar1, dense, 1), 0);
    phi_ar1_destroy(&ar1);
}

static void nothing_to_say(void **state)
{
    struct phi_ar1 *ar1 = NULL;
    struct ph_error err;
    struct phi_rng rng;
    float y[N];

    (void)state;
    phi_rng_init(&rng, 10, 0);
    make_design(&rng, 0);
    assert_true(phi_ar1_create(3, P, &ar1, &err) < 0);
    assert_ok(phi_ar1_create(N, P, &ar1, &err), err);
    assert_int_equal(phi_ar1_prepare(ar1, x, when, P + 3), PH_E_INVAL);
    assert_int_equal(phi_ar1_prepare(ar1, x, when, N + 1), PH_E_INVAL);
    assert_int_equal(phi_ar1_prepare(ar1, x, when, N), PH_OK);
    for (int t = 0; t < N; t++)
        y[t] = 700;
    assert_true(isnan(phi_ar1_estimate(ar1, y, 1)));
    y[3] = INFINITY;
    assert_true(isnan(phi_ar1_estimate(ar1, y, 1)));
    phi_ar1_destroy(&ar1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bias),
        cmocka_unit_test(gaps),
        cmocka_unit_test(stride),
        cmocka_unit_test(nothing_to_say),
    };

    return cmocka_run_group_tests_name("signal/ar1", tests, NULL, NULL);
}
