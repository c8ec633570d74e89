/* SPDX-License-Identifier: MIT
 * The reader gets the newest block, once as new, and keeps it while the writer goes on. */
#include "rt/mailbox.h"
#include "test.h"

static void write_number(struct phi_mailbox *mailbox, int number)
{
    memcpy(phi_mailbox_back(mailbox), &number, sizeof number);
    phi_mailbox_publish(mailbox);
}

static int number_in(const void *block)
{
    int number;

    memcpy(&number, block, sizeof number);
    return number;
}

static void newest_wins(void **state)
{
    struct phi_mailbox *mailbox = NULL;
    struct ph_error err;
    const void *block;

    (void)state;
    assert_ok(phi_mailbox_create(sizeof(int), &mailbox, &err), err);
    assert_false(phi_mailbox_newest(mailbox, &block));
    assert_null(block);
    write_number(mailbox, 1);
    write_number(mailbox, 2);
    write_number(mailbox, 3);
    assert_true(phi_mailbox_newest(mailbox, &block));
    assert_int_equal(number_in(block), 3);
    for (int i = 4; i < 20; i++) {
        write_number(mailbox, i);
        assert_int_equal(number_in(block), 3);
    }
    assert_true(phi_mailbox_newest(mailbox, &block));
    assert_int_equal(number_in(block), 19);
    assert_false(phi_mailbox_newest(mailbox, &block));
    assert_int_equal(number_in(block), 19);
    phi_mailbox_destroy(&mailbox);
    assert_null(mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_wins),
    };
    return cmocka_run_group_tests_name("rt/mailbox", tests, NULL, NULL);
}
