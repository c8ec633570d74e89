/* SPDX-License-Identifier: MIT
 * Deadlines are absolute: a late frame does not shift the ones after it, and is counted. */
#include "display/pacing.h"
#include "test.h"

static void errors_do_not_add_up(void **state)
{
    struct phi_pacing p;
    int64_t now = 1000;

    (void)state;
    phi_pacing_start(&p, 50, now); /* 20 ms */
    for (int i = 0; i < 100; i++) {
        now += phi_pacing_left_ns(&p, now) + 300000; /* each wait is 0.3 ms late */
        phi_pacing_presented(&p, now);
    }
    assert_near(now - 1000, 100 * 20e6 + 300000, 1);
    assert_int_equal(p.n_dropped, 0);
    assert_int_equal(p.n_frames, 100);
}

static void late_frames_are_counted_and_skipped(void **state)
{
    struct phi_pacing p;

    (void)state;
    phi_pacing_start(&p, 50, 0);
    phi_pacing_presented(&p, 20000000);
    phi_pacing_presented(&p, 85000000); /* due at 40 ms: two refreshes went by */
    assert_int_equal(p.n_dropped, 2);
    assert_true(p.deadline_ns == 100000000);
    assert_true(p.worst_ns == 65000000);
    phi_pacing_presented(&p, 100000000);
    assert_int_equal(p.n_dropped, 2);
    phi_pacing_presented(&p, 144500000); /* due at 120 ms, one refresh went by */
    assert_int_equal(p.n_dropped, 3);
    assert_true(phi_pacing_left_ns(&p, 144500000) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_do_not_add_up),
        cmocka_unit_test(late_frames_are_counted_and_skipped),
    };
    return cmocka_run_group_tests_name("display/pacing", tests, NULL, NULL);
}
