/* SPDX-License-Identifier: MIT
 * Errors carry status, errno and text; long texts are cut, never overrun. */
#include <errno.h>

#include "base/error.h"
#include "test.h"

static void stores_and_returns(void **state)
{
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_error(&err, PH_E_SHAPE, "mask is %dx%d", 3, 4), PH_E_SHAPE);
    assert_int_equal(err.status, PH_E_SHAPE);
    assert_string_equal(err.text, "mask is 3x4");
    assert_int_equal(phi_error_prefix(&err, "run.yaml:%d", 7), PH_E_SHAPE);
    assert_string_equal(err.text, "run.yaml:7: mask is 3x4");
    assert_int_equal(phi_error(NULL, PH_E_IO, "x"), PH_E_IO);
}

static void names_the_os_error(void **state)
{
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_error_os(&err, PH_E_IO, ENOENT, "cannot open '%s'", "a.nii"), PH_E_IO);
    assert_int_equal(err.os_errno, ENOENT);
    assert_string_equal(err.text, "cannot open 'a.nii': No such file or directory");
}

static void long_texts_are_cut(void **state)
{
    struct ph_error err;
    char many[2000];

    (void)state;
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    phi_error_os(&err, PH_E_IO, ENOENT, "%s", many);
    phi_error_prefix(&err, "%s", many);
    assert_int_equal(strlen(err.text), PH_ERROR_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_and_returns),
        cmocka_unit_test(names_the_os_error),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
