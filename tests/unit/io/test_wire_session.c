/* SPDX-License-Identifier: MIT
 * The engine's side: repeated, conflicting, out-of-credit and unannounced volumes, the end,
 * restoring from a journal. And both sides against each other over a channel that loses, doubles
 * and restarts. */
#include "io/wire_session.h"

#include "base/rng.h"
#include "io/wire_sender.h"
#include "test.h"

#define MS 1000000

static struct phi_wire_message hello_of(const char *run)
{
    struct phi_wire_message hello = phi_wire_message_of(PHI_WIRE_HELLO);

    (void)strcpy(hello.session, "s");
    (void)snprintf(hello.run, sizeof hello.run, "%s", run);
    (void)strcpy(hello.datatype, "int16");
    hello.tr_s = 2;
    hello.dims[0] = hello.dims[1] = hello.dims[2] = 8;
    return hello;
}

static struct phi_wire_message volume_of(uint64_t index)
{
    struct phi_wire_message volume = phi_wire_message_of(PHI_WIRE_VOLUME);

    volume.has_index = true;
    volume.index = index;
    volume.crc32 = (uint32_t)index * 7 + 1;
    return volume;
}

static struct phi_wire_session *session_of(uint32_t credit)
{
    struct phi_wire_session_config config = {.credit = credit};
    struct phi_wire_session *session = NULL;
    struct ph_error err;

    assert_ok(phi_wire_session_create(&config, &session, &err), err);
    return session;
}

static void greet(struct phi_wire_session *session)
{
    struct phi_wire_message hello = hello_of("r");
    struct phi_wire_message answer;

    assert_int_equal(phi_wire_session_hello(session, &hello, &answer, NULL), PH_OK);
    assert_int_equal(answer.type, PHI_WIRE_WELCOME);
}

static void take(struct phi_wire_session *session, uint64_t index)
{
    struct phi_wire_message volume = volume_of(index);
    struct phi_wire_message answer;

    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_TAKE);
    phi_wire_session_took(session, &volume);
}

static void greetings(void **state)
{
    struct phi_wire_session *session = session_of(4);
    struct phi_wire_message hello = hello_of("r");
    struct phi_wire_message answer;
    bool is_new = false;

    (void)state;
    assert_null(phi_wire_session_run(session));
    assert_int_equal(phi_wire_session_hello(session, &hello, &answer, &is_new), PH_OK);
    assert_true(is_new);
    assert_int_equal(answer.next, 0);
    assert_int_equal(answer.credit, 4);
    assert_int_equal(phi_wire_session_hello(session, &hello, &answer, &is_new), PH_OK);
    assert_false(is_new);
    hello = hello_of("other");
    assert_int_equal(phi_wire_session_hello(session, &hello, &answer, NULL), PH_E_PEER);
    assert_string_equal(answer.code, "run");
    assert_true(answer.fatal);
    hello = hello_of("r");
    hello.dims[2] = 9;
    assert_int_equal(phi_wire_session_hello(session, &hello, &answer, NULL), PH_E_PEER);
    assert_string_equal(answer.code, "geometry");
    phi_wire_session_destroy(&session);
    session = session_of(4);
    hello.dims[0] = hello.dims[1] = hello.dims[2] = 60000; /* 432 TB */
    assert_int_equal(phi_wire_session_hello(session, &hello, &answer, NULL), PH_E_PEER);
    assert_string_equal(answer.code, "geometry");
    assert_null(phi_wire_session_run(session));
    phi_wire_session_destroy(&session);
}

static void volumes(void **state)
{
    struct phi_wire_session *session = session_of(2);
    struct phi_wire_message volume = volume_of(0);
    struct phi_wire_message answer;

    (void)state;
    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_ANSWER);
    assert_string_equal(answer.code, "hello");
    greet(session);
    take(session, 0);
    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_QUIET);
    take(session, 1);
    volume = volume_of(2);
    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_ANSWER);
    assert_string_equal(answer.code, "flow");
    phi_wire_session_journalled(session, 1, true, &answer);
    assert_int_equal(answer.type, PHI_WIRE_ACK);
    assert_int_equal(answer.index, 1);
    assert_true(answer.journalled);
    assert_int_equal(phi_wire_session_next(session), 0);
    phi_wire_session_journalled(session, 0, true, &answer);
    assert_int_equal(phi_wire_session_next(session), 2);
    volume = volume_of(0);
    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_ANSWER);
    assert_int_equal(answer.type, PHI_WIRE_ACK);
    volume.crc32++;
    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_CONFLICT);
    assert_string_equal(answer.code, "conflict");
    assert_int_equal(answer.index, 0);
    volume = volume_of(PHI_WIRE_MAX_VOLUMES);
    assert_int_equal(phi_wire_session_volume(session, &volume, &answer), PHI_WIRE_ANSWER);
    assert_string_equal(answer.code, "limit");
    phi_wire_session_destroy(&session);
}

static void lost_and_end(void **state)
{
    struct phi_wire_session *session = session_of(4);
    struct phi_wire_message lost = phi_wire_message_of(PHI_WIRE_LOST);
    struct phi_wire_message end = phi_wire_message_of(PHI_WIRE_END);
    struct phi_wire_message answer;

    (void)state;
    greet(session);
    take(session, 0);
    end.n_volumes = 3;
    assert_int_equal(phi_wire_session_end(session, &end, &answer), PH_AGAIN);
    assert_int_equal(answer.type, PHI_WIRE_NONE);
    phi_wire_session_journalled(session, 0, true, &answer);
    assert_int_equal(phi_wire_session_end(session, &end, &answer), PH_AGAIN);
    assert_string_equal(answer.code, "missing");
    assert_int_equal(answer.index, 1);
    lost.index = 1;
    assert_int_equal(phi_wire_session_lost(session, &lost, &answer), PH_OK);
    assert_int_equal(phi_wire_session_lost(session, &lost, &answer), PH_SKIP);
    lost.index = 0;
    assert_int_equal(phi_wire_session_lost(session, &lost, &answer), PH_SKIP);
    take(session, 2);
    phi_wire_session_journalled(session, 2, true, &answer);
    assert_int_equal(phi_wire_session_end(session, &end, &answer), PH_OK);
    assert_int_equal(phi_wire_session_end(session, &end, &answer), PH_SKIP);
    answer = phi_wire_session_done(session);
    assert_int_equal(answer.n_received, 2);
    assert_int_equal(answer.n_lost, 1);
    struct phi_wire_message late = volume_of(5);

    assert_int_equal(phi_wire_session_volume(session, &late, &answer), PHI_WIRE_ANSWER);
    assert_string_equal(answer.code, "ended");
    phi_wire_session_destroy(&session);
}

static void restored_from_a_journal(void **state)
{
    struct phi_wire_session *session = session_of(4);
    struct phi_wire_message m = volume_of(0);

    (void)state;
    assert_int_equal(phi_wire_session_restore(session, &m), PH_E_FORMAT);
    m = hello_of("r");
    assert_int_equal(phi_wire_session_restore(session, &m), PH_OK);
    for (uint64_t i = 0; i < 3; i++) {
        m = volume_of(i);
        assert_int_equal(phi_wire_session_restore(session, &m), PH_OK);
    }
    assert_int_equal(phi_wire_session_restore(session, &m), PH_E_FORMAT);
    m = phi_wire_message_of(PHI_WIRE_EVENT);
    m.has_id = true;
    m.id = 4;
    assert_int_equal(phi_wire_session_restore(session, &m), PH_OK);
    assert_true(phi_wire_session_knows_event(session, 4));
    assert_false(phi_wire_session_knows_event(session, 5));
    assert_int_equal(phi_wire_session_next(session), 3);
    phi_wire_session_destroy(&session);
}

/* A simulated link: each message is lost or doubled with a probability; the engine is killed now
 * and then and starts again from its journal (the order of indices it has acknowledged). */
struct link {
    struct phi_rng rng;
    struct phi_wire_session *session;
    bool greeted;          /* this engine process has had a HELLO */
    uint64_t journal[400]; /* indices in the order they were journalled */
    size_t n_journal;
    uint64_t under_way[16];
    size_t n_under_way;
    struct phi_wire_message to_sender[64];
    size_t n_to_sender;
};

static void answer(struct link *link, const struct phi_wire_message *message)
{
    uint64_t dice = phi_rng_below(&link->rng, 20);

    for (uint64_t copies = dice == 0 ? 0 : dice == 1 ? 2 : 1; copies > 0; copies--)
        if (link->n_to_sender < 64)
            link->to_sender[link->n_to_sender++] = *message;
}

static void engine_hears(struct link *link, const struct phi_wire_message *message)
{
    struct phi_wire_message reply = phi_wire_error("hello", false, "say HELLO first");
    enum phi_wire_verdict verdict;

    if (!link->greeted && message->type != PHI_WIRE_HELLO) {
        answer(link, &reply);
        return;
    }
    switch (message->type) {
    case PHI_WIRE_HELLO:
        assert_int_equal(phi_wire_session_hello(link->session, message, &reply, NULL), PH_OK);
        link->greeted = true;
        answer(link, &reply);
        break;
    case PHI_WIRE_VOLUME:
        verdict = phi_wire_session_volume(link->session, message, &reply);
        assert_int_not_equal(verdict, PHI_WIRE_CONFLICT);
        if (verdict == PHI_WIRE_TAKE) {
            phi_wire_session_took(link->session, message);
            link->under_way[link->n_under_way++] = message->index;
        } else if (verdict == PHI_WIRE_ANSWER) {
            answer(link, &reply);
        }
        break;
    case PHI_WIRE_END:
        if (phi_wire_session_end(link->session, message, &reply) != PH_AGAIN)
            reply = phi_wire_session_done(link->session);
        if (reply.type != PHI_WIRE_NONE)
            answer(link, &reply);
        break;
    case PHI_WIRE_PING:
        reply = phi_wire_message_of(PHI_WIRE_PONG);
        reply.sent_ns = message->sent_ns;
        reply.now_ns = message->sent_ns + 1;
        answer(link, &reply);
        break;
    default:
        fail_msg("the sender said %s", phi_wire_type_name(message->type));
    }
}

static void engine_works(struct link *link)
{
    struct phi_wire_message ack;

    if (link->n_under_way == 0 || phi_rng_below(&link->rng, 3) == 0)
        return;
    link->journal[link->n_journal++] = link->under_way[0];
    phi_wire_session_journalled(link->session, link->under_way[0], true, &ack);
    link->n_under_way--;
    memmove(link->under_way, link->under_way + 1, link->n_under_way * sizeof link->under_way[0]);
    answer(link, &ack);
}

static void engine_is_killed(struct link *link)
{
    struct phi_wire_message m = hello_of("r");

    phi_wire_session_destroy(&link->session);
    link->session = session_of(3);
    link->greeted = false;
    link->n_under_way = link->n_to_sender = 0;
    assert_int_equal(phi_wire_session_restore(link->session, &m), PH_OK);
    for (size_t i = 0; i < link->n_journal; i++) {
        m = volume_of(link->journal[i]);
        assert_int_equal(phi_wire_session_restore(link->session, &m), PH_OK);
    }
}

static void sender_acts(struct link *link, struct phi_wire_sender *sender, int64_t now)
{
    struct phi_wire_message m;
    uint64_t index = 0;

    switch (phi_wire_sender_next(sender, sender->config.n_volumes, now, &index)) {
    case PHI_WIRE_STEP_HELLO:
        m = hello_of("r");
        break;
    case PHI_WIRE_STEP_VOLUME:
        m = volume_of(index);
        break;
    case PHI_WIRE_STEP_PING:
        m = phi_wire_message_of(PHI_WIRE_PING);
        m.sent_ns = now;
        break;
    case PHI_WIRE_STEP_END:
        m = phi_wire_message_of(PHI_WIRE_END);
        m.n_volumes = sender->config.n_volumes;
        break;
    default:
        return;
    }
    if (phi_rng_below(&link->rng, 20) != 0) /* some never arrive */
        engine_hears(link, &m);
}

static void run_link(uint64_t seed)
{
    struct link link = {.session = session_of(3)};
    struct phi_wire_sender_config config = {.n_volumes = 300};
    struct phi_wire_sender sender;
    int64_t now = 0;

    phi_rng_init(&link.rng, seed, 1);
    assert_int_equal(phi_wire_sender_init(&sender, &config, now), PH_OK);
    for (int tick = 0; tick < 400000 && sender.state != PHI_WIRE_DONE_STATE; tick++) {
        now += 5 * MS;
        sender_acts(&link, &sender, now);
        engine_works(&link);
        if (link.n_to_sender > 0) {
            phi_wire_sender_heard(&sender, &link.to_sender[0], now);
            link.n_to_sender--;
            memmove(link.to_sender, link.to_sender + 1,
                    link.n_to_sender * sizeof link.to_sender[0]);
        }
        if (phi_rng_below(&link.rng, 500) == 0)
            engine_is_killed(&link);
        assert_int_not_equal(sender.state, PHI_WIRE_REFUSED);
    }
    assert_int_equal(sender.state, PHI_WIRE_DONE_STATE);
    assert_int_equal(sender.done.n_received, 300);
    assert_int_equal(link.n_journal, 300); /* none lost, none twice */
    assert_int_equal(phi_wire_session_next(link.session), 300);
    phi_wire_sender_fini(&sender);
    phi_wire_session_destroy(&link.session);
}

static void nothing_is_lost_or_taken_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++)
        run_link(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings),
        cmocka_unit_test(volumes),
        cmocka_unit_test(lost_and_end),
        cmocka_unit_test(restored_from_a_journal),
        cmocka_unit_test(nothing_is_lost_or_taken_twice),
    };
    return cmocka_run_group_tests_name("io/wire_session", tests, NULL, NULL);
}
