/* SPDX-License-Identifier: MIT
 * Record queues keep order, drop and count when full, and go on after the wrap. */
#include "rt/records.h"
#include "test.h"

static void one_to_one(void **state)
{
    struct phi_records *records = NULL;
    struct ph_error err;
    int out = 0;

    (void)state;
    assert_ok(phi_records_create(4, sizeof(int), &records, &err), err);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 4; i++)
            assert_true(phi_records_push(records, &i));
        assert_false(phi_records_push(records, &out));
        for (int i = 0; i < 4; i++) {
            assert_true(phi_records_pop(records, &out));
            assert_int_equal(out, i);
        }
        assert_false(phi_records_pop(records, &out));
    }
    assert_int_equal(phi_records_dropped(records), 50);
    phi_records_destroy(&records);
    assert_null(records);
}

static void many_to_one(void **state)
{
    struct phi_mrecords *records = NULL;
    struct ph_error err;
    int out = 0;

    (void)state;
    assert_ok(phi_mrecords_create(4, sizeof(int), &records, &err), err);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 4; i++)
            assert_true(phi_mrecords_push(records, &i));
        assert_false(phi_mrecords_push(records, &out));
        for (int i = 0; i < 4; i++) {
            assert_true(phi_mrecords_pop(records, &out));
            assert_int_equal(out, i);
        }
        assert_false(phi_mrecords_pop(records, &out));
    }
    assert_int_equal(phi_mrecords_dropped(records), 50);
    phi_mrecords_destroy(&records);
    assert_null(records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_to_one),
        cmocka_unit_test(many_to_one),
    };
    return cmocka_run_group_tests_name("rt/records", tests, NULL, NULL);
}
