/* SPDX-License-Identifier: MIT
 * Percentiles are right within a step and never too small; the window forgets, the total does not.
 */
#include "rt/latency.h"
#include "test.h"

static void percentiles_of_a_ramp(void **state)
{
    struct phi_latency *latency = NULL;
    struct phi_latency_stats stats;
    struct ph_error err;

    (void)state;
    assert_ok(phi_latency_create(&latency, &err), err);
    phi_latency_total(latency, &stats);
    assert_int_equal(stats.n, 0);
    assert_int_equal(stats.p99_ns, 0);
    for (int64_t i = 1; i <= 1000; i++)
        phi_latency_add(latency, i * 1000);
    phi_latency_total(latency, &stats);
    assert_int_equal(stats.n, 1000);
    assert_in_range(stats.p50_ns, 501000, 520000);
    assert_in_range(stats.p99_ns, 991000, 1023000);
    assert_int_equal(stats.max_ns, 1000000);
    phi_latency_destroy(&latency);
    assert_null(latency);
}

static void window_forgets(void **state)
{
    struct phi_latency *latency = NULL;
    struct phi_latency_stats stats;
    struct ph_error err;

    (void)state;
    assert_ok(phi_latency_create(&latency, &err), err);
    phi_latency_add(latency, 5000000000);
    phi_latency_add(latency, -3);
    for (int i = 0; i < 1024; i++)
        phi_latency_add(latency, 7);
    phi_latency_window(latency, &stats);
    assert_int_equal(stats.n, 1024);
    assert_int_equal(stats.p50_ns, 7);
    assert_int_equal(stats.max_ns, 7);
    phi_latency_total(latency, &stats);
    assert_int_equal(stats.n, 1026);
    assert_int_equal(stats.max_ns, 5000000000);
    phi_latency_add(latency, INT64_MAX);
    phi_latency_total(latency, &stats);
    assert_int_equal(stats.max_ns, INT64_MAX);
    phi_latency_destroy(&latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_of_a_ramp),
        cmocka_unit_test(window_forgets),
    };
    return cmocka_run_group_tests_name("rt/latency", tests, NULL, NULL);
}
