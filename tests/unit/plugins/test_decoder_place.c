/* SPDX-License-Identifier: MIT
 * What is said of two chains of filters that differ: the first that is not the same, whole where it
 * is short, cut to the parameter where it is long, and always with its end. */
#include "plugins/decoder/common/place.h"
#include "test.h"

#include <string.h>

static const char *difference(const char *there, const char *here)
{
    static char text[PH_ERROR_TEXT];
    struct phi_str out = phi_str_over(text, sizeof text);

    phi_decoder_chain_difference(there, here, &out);
    assert_false(out.cut);
    return text;
}

static void names_the_first_that_differs(void **state)
{
    (void)state;
    assert_string_equal(
        difference("a(x=1) smooth(fwhm_mm=8) c(y=2)", "a(x=1) smooth(fwhm_mm=6) c(y=2)"),
        "filter 2 was smooth(fwhm_mm=8) there, here it is smooth(fwhm_mm=6)");
    assert_string_equal(difference("a(x=1)", "b(x=1)"),
                        "filter 1 was a(x=1) there, here it is b(x=1)");
    assert_string_equal(difference("a(x=1) b(y=2)", "a(x=1)"),
                        "filter 2 was b(y=2) there, here it is missing");
    assert_string_equal(difference("a(x=1)", "a(x=1) b(y=2)"),
                        "filter 2 was missing there, here it is b(y=2)");
    assert_string_equal(difference("", "b(y=2)"), "filter 1 was missing there, here it is b(y=2)");
    assert_string_equal(difference("a(x=1) b(y=2) c(z)", "a(x=1) c(z)"),
                        "filter 2 was b(y=2) there, here it is c(z)");
}

static void long_filters_are_cut_to_the_parameter(void **state)
{
    char there[1024] = "first(q=1) long(", here[1024];
    const char *text;

    (void)state;
    for (int i = 0; i < 40; i++)
        (void)strncat(there, "parameter=12345, ", sizeof there - strlen(there) - 1);
    strncat(there, "last=7)", sizeof there - strlen(there) - 1);
    memcpy(here, there, sizeof here);
    here[strlen(here) - 2] = '8';
    text = difference(there, here);
    assert_string_equal(text, "filter 2 was long(... last=7) there, here it is long(... last=8)");
    here[strlen("first(q=1) long(parameter=")] = '9';
    text = difference(there, here);
    assert_non_null(strstr(text, "long(parameter=12345, "));
    assert_non_null(strstr(text, " ...) there, here it is long(parameter=92345, "));
    assert_true(strlen(text) < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_first_that_differs),
        cmocka_unit_test(long_filters_are_cut_to_the_parameter),
    };
    return cmocka_run_group_tests_name("decoder/common/place", tests, NULL, NULL);
}
