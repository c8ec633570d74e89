/* SPDX-License-Identifier: MIT
 * Nulls and intervals do what they claim: p is small for a real effect and uniform without one, an
 * autocorrelated series needs the circular shift, the bootstrap interval covers the truth as often
 * as it says, and a seed gives the same numbers again. */
#include "base/rng.h"
#include "decode/corr.h"
#include "decode/resample.h"
#include "test.h"

#include <stdbool.h>

enum { N = 400 };

static double correlate(void *ctx, const uint32_t *order, size_t n)
{
    return phi_corr_mean_reordered(ctx, NULL, order, n);
}

static double mean_of_chosen(void *ctx, const uint32_t *order, size_t n)
{
    const float *x = ctx;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[order[i]];
    return sum / (double)n;
}

/* AR(1) series with coefficient rho. */
static void series(float *x, double rho, uint64_t seed)
{
    struct phi_rng rng;
    double last = 0;

    phi_rng_init(&rng, seed, 1);
    for (size_t i = 0; i < N; i++) {
        last = rho * last + sqrt(1 - rho * rho) * phi_rng_normal(&rng);
        x[i] = (float)last;
    }
}

/* Share of p values below .05 for pairs of unrelated series. */
static double false_alarms(double rho, bool shift)
{
    float x[N], y[N];
    struct phi_score_pair pair = {x, y, N, 1};
    struct phi_resample what = {correlate, &pair, N, 99, 0};
    struct ph_error err = {0};
    size_t n_low = 0;

    for (uint64_t s = 0; s < 200; s++) {
        struct phi_null null;

        series(x, rho, 2 * s);
        series(y, rho, 2 * s + 1);
        what.seed = s;
        if (shift)
            assert_ok(phi_null_shift(&what, 40, &null, &err), err);
        else
            assert_ok(phi_null_permute(&what, &null, &err), err);
        n_low += null.p <= 0.05;
    }
    return (double)n_low / 200;
}

static void p_is_honest(void **state)
{
    (void)state;
    assert_near(false_alarms(0, false), 0.05, 0.035);
    assert_near(false_alarms(0.9, true), 0.05, 0.06);
    assert_true(false_alarms(0.9, false) > 0.15); /* why the shift is needed */
}

static void effect_is_found_and_repeats(void **state)
{
    float x[N], y[N];
    struct phi_score_pair pair = {x, y, N, 1};
    struct phi_resample what = {correlate, &pair, N, 999, 5};
    struct phi_null first, second;
    struct ph_error err = {0};

    (void)state;
    series(x, 0, 1);
    series(y, 0, 2);
    for (size_t i = 0; i < N; i++)
        y[i] += x[i];
    assert_ok(phi_null_permute(&what, &first, &err), err);
    assert_ok(phi_null_permute(&what, &second, &err), err);
    assert_near(first.p, 0.001, 1e-12);
    assert_near(first.mean, 0, 0.02);
    assert_near(first.sd, 1 / sqrt(N - 1.), 0.01);
    assert_near(first.q95, 1.645 / sqrt(N - 1.), 0.03);
    assert_memory_equal(&first, &second, sizeof first);
}

/* How often the 90 % interval of the mean of an AR(1) series holds the true mean, 0. */
static double covered(double rho, size_t n_block)
{
    float x[N];
    struct phi_resample what = {mean_of_chosen, x, N, 199, 0};
    struct ph_error err = {0};
    size_t n_in = 0;

    for (uint64_t s = 0; s < 300; s++) {
        struct phi_interval ci;

        series(x, rho, 1000 + s);
        what.seed = s;
        assert_ok(phi_bootstrap(&what, n_block, 0.90, &ci, &err), err);
        assert_true(ci.low <= ci.high);
        n_in += ci.low <= 0 && 0 <= ci.high;
    }
    return (double)n_in / 300;
}

static void intervals_cover(void **state)
{
    (void)state;
    assert_near(covered(0, 1), 0.90, 0.05);
    assert_true(covered(0.8, 1) < 0.65); /* neighbours are alike: too narrow */
    assert_true(covered(0.8, 20) > 0.76);
}

static void small_and_bad(void **state)
{
    double values[] = {3, NAN, 1, 2}, mean, sem;
    float x[N] = {0};
    struct phi_resample what = {mean_of_chosen, x, 1, 10, 0};
    struct phi_null null;
    struct phi_interval ci;
    struct ph_error err = {0};

    (void)state;
    phi_sort_doubles(values, 4);
    assert_true(values[0] == 1 && values[2] == 3 && isnan(values[3]));
    assert_near(phi_quantile_sorted(values, 3, 0.25), 1.5, 1e-15);
    assert_true(isnan(phi_quantile_sorted(values, 0, 0.5)));
    phi_mean_sem(values, 3, &mean, &sem);
    assert_near(mean, 2, 1e-15);
    assert_near(sem, 1 / sqrt(3), 1e-15);
    assert_int_equal(phi_null_permute(&what, &null, &err), PH_E_INVAL);
    what.n = 20;
    assert_int_equal(phi_null_shift(&what, 10, &null, &err), PH_E_INVAL);
    assert_non_null(strstr(err.text, "too short"));
    assert_int_equal(phi_bootstrap(&what, 21, 0.9, &ci, &err), PH_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_is_honest),
        cmocka_unit_test(effect_is_found_and_repeats),
        cmocka_unit_test(intervals_cover),
        cmocka_unit_test(small_and_bad),
    };
    return cmocka_run_group_tests_name("decode/resample", tests, NULL, NULL);
}
