/* SPDX-License-Identifier: MIT
 * A spike is held back, a step is followed after one volume, a calm signal passes; samples that are
 * not finite leave the state alone. */
#include "signal/despike.h"
#include "test.h"

static void holds_a_spike_and_follows_a_step(void **state)
{
    struct phi_despike d;
    double before;

    (void)state;
    phi_despike_init(&d, 1);
    for (int t = 0; t < 20; t++)
        phi_despike_step(&d, 100 + (t % 2 ? 0.5 : -0.5));
    before = d.level;
    assert_near(before, 100, 0.5);
    assert_true(phi_despike_step(&d, 130) == before);
    assert_true(phi_despike_held(&d));
    assert_near(phi_despike_step(&d, 100), 100, 0.5);
    assert_false(phi_despike_held(&d));
    assert_near(phi_despike_step(&d, 110), 100, 0.5);
    assert_true(phi_despike_held(&d));
    assert_true(phi_despike_step(&d, 110) > 103); /* the second time it is believed */
    assert_false(phi_despike_held(&d));
    for (int t = 0; t < 40; t++)
        phi_despike_step(&d, 110);
    assert_near(d.level, 110, 0.01);
}

static void learns_its_sigma(void **state)
{
    struct phi_despike d;

    (void)state;
    phi_despike_init(&d, 0);
    assert_true(phi_despike_step(&d, 7) == 7); /* no variance yet: passes */
    assert_true(phi_despike_step(&d, 7) == 7);
    for (int t = 0; t < 50; t++)
        phi_despike_step(&d, t % 2 ? 6 : 8);
    assert_true(d.level > 6 && d.level < 8);
    assert_near(phi_despike_step(&d, 60), 7, 1);
    assert_true(phi_despike_held(&d));
}

static void not_finite(void **state)
{
    struct phi_despike d, before;

    (void)state;
    phi_despike_init(&d, NAN); /* as if unknown */
    phi_despike_step(&d, 1);
    phi_despike_step(&d, 2);
    before = d;
    assert_true(phi_despike_step(&d, NAN) == before.level);
    assert_true(phi_despike_step(&d, INFINITY) == before.level);
    assert_true(d.past.n == before.past.n && d.variance == before.variance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_a_spike_and_follows_a_step),
        cmocka_unit_test(learns_its_sigma),
        cmocka_unit_test(not_finite),
    };
    return cmocka_run_group_tests_name("signal/despike", tests, NULL, NULL);
}
