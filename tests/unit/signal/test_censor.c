/* SPDX-License-Identifier: MIT
 * Each rule censors alone, figures that were not measured do not speak, volumes after a bad one are
 * counted off, rules can be off. */
#include "signal/censor.h"
#include "test.h"

static uint32_t step(struct phi_censor *c, double fd, double dvars, double outliers)
{
    const struct phi_censor_figures figures = {fd, dvars, outliers};

    return phi_censor_step(c, &figures);
}

static void rules(void **state)
{
    const struct phi_censor_config config = {0.5, 1.5, 0.1, 0};
    struct phi_censor c;

    (void)state;
    phi_censor_init(&c, &config);
    assert_int_equal(step(&c, 0.4, 1.2, 0.01), 0);
    assert_int_equal(step(&c, 0.6, 1.2, 0.01), PHI_CENSOR_MOTION);
    assert_int_equal(step(&c, 0.4, 1.7, 0.01), PHI_CENSOR_DVARS);
    assert_int_equal(step(&c, 0.4, 1.2, 0.2), PHI_CENSOR_OUTLIERS);
    assert_int_equal(step(&c, 9, 9, 9), PHI_CENSOR_MOTION | PHI_CENSOR_DVARS | PHI_CENSOR_OUTLIERS);
    assert_int_equal(step(&c, NAN, NAN, NAN), 0);
    assert_int_equal(c.n_bad, 4);
}

static void volumes_after(void **state)
{
    const struct phi_censor_config config = {0.5, 0, 0, 2};
    struct phi_censor c;

    (void)state;
    phi_censor_init(&c, &config);
    assert_int_equal(step(&c, 0.6, 99, 99), PHI_CENSOR_MOTION); /* the other rules are off */
    assert_int_equal(step(&c, 0, 0, 0), PHI_CENSOR_AFTER);
    assert_int_equal(step(&c, 0.7, 0, 0), PHI_CENSOR_MOTION); /* counts anew */
    assert_int_equal(step(&c, 0, 0, 0), PHI_CENSOR_AFTER);
    assert_int_equal(step(&c, 0, 0, 0), PHI_CENSOR_AFTER);
    assert_int_equal(step(&c, 0, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(volumes_after)};

    return cmocka_run_group_tests_name("signal/censor", tests, NULL, NULL);
}
