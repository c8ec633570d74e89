/* SPDX-License-Identifier: MIT
 * The scanner side step by step: credit, pacing, a volume to be sent again, silence, refusal, the
 * clocks' offset. */
#include "io/wire_sender.h"

#include "test.h"

#define MS ((int64_t)1000000)

static struct phi_wire_sender sender;

static void start(uint64_t n_volumes)
{
    struct phi_wire_sender_config config = {.n_volumes = n_volumes, .silence_ns = 2000 * MS};

    phi_wire_sender_fini(&sender);
    assert_int_equal(phi_wire_sender_init(&sender, &config, 0), PH_OK);
}

static void assert_step(int64_t now, uint64_t n_available, int step, uint64_t index)
{
    uint64_t got = 0;

    assert_int_equal(phi_wire_sender_next(&sender, n_available, now, &got), step);
    if (step == PHI_WIRE_STEP_VOLUME)
        assert_int_equal(got, index);
}

static void hear(enum phi_wire_type type, uint64_t value, uint64_t credit, int64_t now)
{
    struct phi_wire_message m = phi_wire_message_of(type);

    m.next = m.index = value;
    m.has_index = true;
    m.credit = credit;
    phi_wire_sender_heard(&sender, &m, now);
}

static void hear_error(const char *code, uint64_t index, bool fatal, int64_t now)
{
    struct phi_wire_message m = phi_wire_error(code, fatal, "text");

    m.has_index = true;
    m.index = index;
    phi_wire_sender_heard(&sender, &m, now);
}

static void credit_and_pace(void **state)
{
    (void)state;
    start(4);
    assert_step(0, 4, PHI_WIRE_STEP_HELLO, 0);
    assert_step(10 * MS, 4, PHI_WIRE_STEP_WAIT, 0);
    assert_step(500 * MS, 4, PHI_WIRE_STEP_HELLO, 0);
    hear(PHI_WIRE_WELCOME, 0, 2, 510 * MS);
    assert_step(520 * MS, 1, PHI_WIRE_STEP_VOLUME, 0);
    assert_step(520 * MS, 1, PHI_WIRE_STEP_WAIT, 0); /* volume 1 is not acquired yet */
    assert_step(530 * MS, 4, PHI_WIRE_STEP_VOLUME, 1);
    assert_step(530 * MS, 4, PHI_WIRE_STEP_WAIT, 0); /* no credit */
    hear(PHI_WIRE_ACK, 0, 2, 540 * MS);
    hear(PHI_WIRE_ACK, 0, 2, 540 * MS); /* doubled: gives no more credit */
    assert_step(540 * MS, 4, PHI_WIRE_STEP_VOLUME, 2);
    assert_step(540 * MS, 4, PHI_WIRE_STEP_WAIT, 0);
    hear(PHI_WIRE_ACK, 1, 2, 550 * MS);
    hear(PHI_WIRE_ACK, 2, 2, 550 * MS);
    assert_step(550 * MS, 4, PHI_WIRE_STEP_VOLUME, 3);
    hear(PHI_WIRE_ACK, 3, 2, 560 * MS);
    assert_step(560 * MS, 4, PHI_WIRE_STEP_END, 0);
    hear(PHI_WIRE_DONE, 0, 0, 570 * MS);
    assert_int_equal(sender.state, PHI_WIRE_DONE_STATE);
    assert_int_equal(sender.n_resent, 0);
}

static void resume_where_the_engine_says(void **state)
{
    (void)state;
    start(5);
    assert_step(0, 5, PHI_WIRE_STEP_HELLO, 0);
    hear(PHI_WIRE_WELCOME, 3, 8, 1 * MS);
    assert_step(2 * MS, 5, PHI_WIRE_STEP_VOLUME, 3);
    hear_error("hello", 3, false, 3 * MS); /* another engine process */
    assert_step(3 * MS, 5, PHI_WIRE_STEP_HELLO, 0);
    hear(PHI_WIRE_WELCOME, 0, 8, 4 * MS); /* which has lost its journal */
    assert_step(4 * MS, 5, PHI_WIRE_STEP_VOLUME, 0);
    hear(PHI_WIRE_WELCOME, 9, 8, 5 * MS); /* a late copy counts for nothing */
    assert_step(5 * MS, 5, PHI_WIRE_STEP_VOLUME, 1);
}

static void a_bad_crc_is_sent_again(void **state)
{
    (void)state;
    start(3);
    assert_step(0, 3, PHI_WIRE_STEP_HELLO, 0);
    hear(PHI_WIRE_WELCOME, 0, 2, MS);
    assert_step(MS, 3, PHI_WIRE_STEP_VOLUME, 0);
    assert_step(MS, 3, PHI_WIRE_STEP_VOLUME, 1);
    hear_error("crc", 0, false, 2 * MS);
    assert_step(2 * MS, 3, PHI_WIRE_STEP_VOLUME, 0);
    assert_int_equal(sender.n_resent, 1);
}

static void silence_and_missing_acks(void **state)
{
    (void)state;
    start(3);
    assert_step(0, 3, PHI_WIRE_STEP_HELLO, 0);
    assert_step(2001 * MS, 3, PHI_WIRE_STEP_RECONNECT, 0);
    assert_step(2001 * MS, 3, PHI_WIRE_STEP_HELLO, 0);
    hear(PHI_WIRE_WELCOME, 0, 1, 2002 * MS);
    assert_step(2002 * MS, 3, PHI_WIRE_STEP_VOLUME, 0);
    for (int64_t t = 3000; t <= 7000; t += 1000) { /* answers come, but no ACK */
        assert_step(t * MS, 3, PHI_WIRE_STEP_PING, 0);
        hear(PHI_WIRE_PONG, 0, 0, t * MS + 1);
    }
    assert_step(7003 * MS, 3, PHI_WIRE_STEP_HELLO, 0);
}

static void refusals_end_it(void **state)
{
    static const char *const codes[] = {"conflict", "image", "geometry", "ended"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        start(3);
        assert_step(0, 3, PHI_WIRE_STEP_HELLO, 0);
        hear(PHI_WIRE_WELCOME, 0, 2, MS);
        assert_step(MS, 3, PHI_WIRE_STEP_VOLUME, 0);
        hear_error(codes[i], 0, false, MS);
        assert_int_equal(sender.state, PHI_WIRE_REFUSED);
        assert_string_equal(sender.last_error.code, codes[i]);
        assert_step(9000 * MS, 3, PHI_WIRE_STEP_WAIT, 0);
    }
}

static void clocks_are_compared_by_the_quickest_answer(void **state)
{
    struct phi_wire_message pong = phi_wire_message_of(PHI_WIRE_PONG);

    (void)state;
    start(1);
    pong.sent_ns = 100 * MS;
    pong.now_ns = 5105 * MS;
    phi_wire_sender_heard(&sender, &pong, 110 * MS);
    assert_true(sender.round_trip_ns == 10 * MS && sender.offset_ns == 5000 * MS);
    pong.sent_ns = 200 * MS;
    pong.now_ns = 5240 * MS;
    phi_wire_sender_heard(&sender, &pong, 250 * MS); /* slower: less trusted */
    assert_true(sender.round_trip_ns == 10 * MS && sender.offset_ns == 5000 * MS);
}

static int tear_down(void **state)
{
    (void)state;
    phi_wire_sender_fini(&sender);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_and_pace),
        cmocka_unit_test(resume_where_the_engine_says),
        cmocka_unit_test(a_bad_crc_is_sent_again),
        cmocka_unit_test(silence_and_missing_acks),
        cmocka_unit_test(refusals_end_it),
        cmocka_unit_test(clocks_are_compared_by_the_quickest_answer),
    };
    return cmocka_run_group_tests_name("io/wire_sender", tests, NULL, tear_down);
}
