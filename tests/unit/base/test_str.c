/* SPDX-License-Identifier: MIT
 * The builder notes a cut; numbers are taken whole or not at all; edit distances. */
#include "base/str.h"
#include "test.h"

static void builder_cuts_and_says_so(void **state)
{
    char memory[8];
    struct phi_str str = phi_str_over(memory, sizeof memory);

    (void)state;
    phi_str_addf(&str, "%s", "abc");
    phi_str_addf(&str, "%d", 12);
    assert_string_equal(str.text, "abc12");
    assert_false(str.cut);
    phi_str_addf(&str, "%s", "xyz");
    assert_true(str.cut);
    assert_string_equal(str.text, "abc12xy");
    phi_str_addf(&str, "more");
    assert_string_equal(str.text, "abc12xy");
}

static void numbers_are_strict(void **state)
{
    double d = -1;
    int64_t i = -1;

    (void)state;
    assert_true(phi_parse_double("2.5e-1", &d));
    assert_near(d, 0.25, 0);
    assert_false(phi_parse_double("1,5", &d));
    assert_false(phi_parse_double("0x10", &d));
    assert_false(phi_parse_double("inf", &d));
    assert_false(phi_parse_double("1e999", &d));
    assert_false(phi_parse_double("", &d));
    assert_false(phi_parse_double("3 ", &d));
    assert_near(d, 0.25, 0);
    assert_true(phi_parse_i64("-12", &i));
    assert_int_equal(i, -12);
    assert_false(phi_parse_i64("12.0", &i));
    assert_false(phi_parse_i64("99999999999999999999", &i));
    assert_false(phi_parse_i64("--1", &i));
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(phi_str_distance("fwhm_mm", "fwhm_mm"), 0);
    assert_int_equal(phi_str_distance("fwmh_mm", "fwhm_mm"), 1);
    assert_int_equal(phi_str_distance("kitten", "sitting"), 3);
    assert_int_equal(phi_str_distance("", "abc"), 3);
    assert_true(phi_str_distance("a", "0123456789012345678901234567890123456789"
                                      "012345678901234567890123456789") == SIZE_MAX);
    assert_true(phi_str_starts("phosphene", "phos"));
    assert_false(phi_str_starts("ph", "phos"));
    assert_true(phi_str_ends("a.nii.gz", ".gz"));
    assert_false(phi_str_ends("gz", ".gz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builder_cuts_and_says_so),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(distances),
    };
    return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
