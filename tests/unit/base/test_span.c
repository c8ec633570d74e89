/* SPDX-License-Identifier: MIT
 * A cursor reads little-endian fields and never leaves its span. */
#include "base/span.h"
#include "test.h"

static void reads_fields(void **state)
{
    const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct phi_cursor cursor = phi_cursor_over(bytes, sizeof bytes);

    (void)state;
    assert_int_equal(phi_cursor_u8(&cursor), 1);
    assert_int_equal(phi_cursor_u16le(&cursor), 0x0302);
    assert_int_equal(phi_cursor_u32le(&cursor), 0x07060504);
    assert_true(phi_cursor_u64le(&cursor) == 0x0f0e0d0c0b0a0908ULL);
    assert_int_equal(phi_cursor_left(&cursor), 0);
    assert_false(cursor.failed);
}

static void stays_inside(void **state)
{
    const unsigned char bytes[] = {1, 2, 3};
    struct phi_cursor cursor = phi_cursor_over(bytes, sizeof bytes);

    (void)state;
    assert_int_equal(phi_cursor_u32le(&cursor), 0);
    assert_true(cursor.failed);
    assert_null(phi_cursor_take(&cursor, 1));
    cursor = phi_cursor_over(bytes, sizeof bytes);
    assert_null(phi_cursor_take(&cursor, SIZE_MAX));
    assert_true(cursor.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_fields),
                                       cmocka_unit_test(stays_inside)};
    return cmocka_run_group_tests_name("base/span", tests, NULL, NULL);
}
