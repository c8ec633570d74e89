/* SPDX-License-Identifier: MIT
 * A ring after arming ends the wait; a ring without arming is not kept; time-outs end. */
#include "rt/clock.h"
#include "rt/doorbell.h"
#include "test.h"

static void rings_only_the_armed(void **state)
{
    struct phi_doorbell *bell = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_doorbell_create(&bell, &err), err);
    phi_doorbell_ring(bell);
    assert_false(phi_doorbell_wait(bell, 0));
    phi_doorbell_arm(bell);
    phi_doorbell_ring(bell);
    phi_doorbell_ring(bell);
    assert_true(phi_doorbell_wait(bell, -1));
    assert_false(phi_doorbell_wait(bell, 0));
    phi_doorbell_destroy(&bell);
    assert_null(bell);
}

static void times_out(void **state)
{
    struct phi_doorbell *bell = NULL;
    struct ph_error err;
    int64_t start_ns = phi_clock_ns();

    (void)state;
    assert_ok(phi_doorbell_create(&bell, &err), err);
    phi_doorbell_arm(bell);
    assert_false(phi_doorbell_wait(bell, 2 * PHI_NS_PER_MS));
    assert_true(phi_clock_ns() - start_ns >= 2 * PHI_NS_PER_MS);
    phi_doorbell_destroy(&bell);
}

static void sleeps_until(void **state)
{
    int64_t deadline_ns = phi_clock_ns() + 2 * PHI_NS_PER_MS;

    (void)state;
    phi_clock_sleep_until(deadline_ns);
    assert_true(phi_clock_ns() >= deadline_ns);
    phi_clock_sleep_until(-1);
    assert_true(phi_clock_wall_ns() > INT64_C(1500000000) * PHI_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_only_the_armed),
        cmocka_unit_test(times_out),
        cmocka_unit_test(sleeps_until),
    };
    return cmocka_run_group_tests_name("rt/doorbell", tests, NULL, NULL);
}
