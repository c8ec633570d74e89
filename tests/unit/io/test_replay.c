/* SPDX-License-Identifier: MIT
 * A replay gives the stream that the stages saw: order, gaps, events, late volumes; a restarted
 * engine gets the order and what waited in it; damage costs the volumes it hit and no more. */
#include "io/replay.h"

#include "base/mem.h"
#include "io/file.h"
#include "recording.h"
#include "tempdir.h"

static struct tempdir dir;

static int set_up(void **state)
{
    (void)state;
    return tempdir_make(&dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tempdir_remove(&dir);
    return 0;
}

/* The stream as text: a digit a volume, '-' a gap, 'e' an event, 'E' the end. Content is checked.
 */
static void read_stream(struct phi_replay *replay, char *out)
{
    struct phi_replay_item item;
    struct ph_error err;
    enum ph_status status;
    float values[RECORDING_VOXELS];
    uint64_t next = 0;

    while (!(status = phi_replay_next(replay, &item, &err))) {
        if (item.kind == PHI_REPLAY_EVENT || item.kind == PHI_REPLAY_END) {
            *out++ = item.kind == PHI_REPLAY_EVENT ? 'e' : 'E';
            continue;
        }
        assert_int_equal(item.index, next++);
        *out++ = item.kind == PHI_REPLAY_GAP ? '-' : (char)('0' + item.index);
        if (item.kind == PHI_REPLAY_GAP)
            continue;
        phi_nifti_to_float32(&item.image.info, item.image.data, RECORDING_VOXELS, values);
        for (size_t i = 0; i < RECORDING_VOXELS; i++)
            assert_near(values[i], (double)(100 * item.index + i), 0);
    }
    if (status != PH_EOS)
        fail_msg("status %d: %s", status, err.text);
    *out = '\0';
}

static void assert_stream(const char *script, const char *expected)
{
    struct phi_replay *replay = NULL;
    struct ph_error err;
    char stream[64];

    tempdir_remove(&dir);
    assert_true(tempdir_make(&dir));
    recording_write(dir.path, script);
    assert_ok(phi_replay_open(dir.path, 1 << 16, NULL, &replay, &err), err);
    read_stream(replay, stream);
    assert_string_equal(stream, expected);
    assert_string_equal(phi_replay_run(replay)->run, "1");
    assert_int_equal(phi_replay_n_unread(replay), 0);
    phi_replay_close(&replay);
}

static void streams(void **state)
{
    (void)state;
    assert_stream("H012E", "012E");
    assert_stream("He0e1eE", "e0e1eE");
    assert_stream("H021E", "012E");        /* 2 waits for 1 */
    assert_stream("H0e2e1E", "0ee12E");    /* events do not wait */
    assert_stream("H02g213E", "0-23E");    /* 1 was given up and came late */
    assert_stream("H02l1345E", "0-2345E"); /* 1 is known lost */
    assert_stream("H1l02E", "-12E");
    assert_stream("H0", "0");         /* killed */
    assert_stream("H029876543", "0"); /* all wait for 1 */
    assert_stream("H0298765431", "0123456789");
}

static void a_restart_gets_what_waited(void **state)
{
    struct phi_wire_session_config config = {0};
    struct phi_wire_session *session = NULL;
    struct phi_replay *replay = NULL;
    struct phi_replay_held held;
    const struct phi_wire_order *order;
    struct ph_error err;
    char stream[64];

    (void)state;
    recording_write(dir.path, "H0ee53");
    assert_ok(phi_wire_session_create(&config, &session, &err), err);
    assert_ok(phi_replay_open(dir.path, 1 << 16, session, &replay, &err), err);
    read_stream(replay, stream);
    assert_string_equal(stream, "0ee");
    order = phi_replay_order(replay);
    assert_int_equal(order->next, 1);
    assert_int_equal(order->n_held, 2);
    for (size_t i = 0; i < 2; i++) {
        phi_replay_held(replay, order->held[i].token, &held);
        assert_int_equal(held.index, order->held[i].index);
        assert_int_equal(held.n_payload, RECORDING_IMAGE);
    }
    assert_int_equal(phi_wire_session_next(session), 1);
    assert_true(phi_wire_session_knows_event(session, 1));
    assert_false(phi_wire_session_ended(session));
    phi_replay_close(&replay);
    phi_wire_session_destroy(&session);
}

static void damage_costs_what_it_hit(void **state)
{
    struct phi_replay *replay = NULL;
    struct ph_error err;
    unsigned char *bytes;
    char stream[64];
    char path[512];
    unsigned char image[RECORDING_IMAGE];
    unsigned char *hit;
    size_t n;

    (void)state;
    recording_write(dir.path, "H0123e45E");
    (void)snprintf(path, sizeof path, "%s/journal-000000.phj", dir.path);
    assert_ok(phi_file_read(path, 1 << 20, &bytes, &n, &err), err);
    recording_image(2, image);
    hit = memmem(bytes, n, image + 352, 48);
    assert_non_null(hit);
    hit[5] ^= 4;
    assert_ok(phi_file_write(path, bytes, n, &err), err);
    assert_ok(phi_replay_open(dir.path, 1 << 16, NULL, &replay, &err), err);
    read_stream(replay, stream);
    assert_string_equal(stream, "01-3e45E");
    assert_int_equal(phi_replay_report(replay)->n_holes, 1);
    phi_replay_close(&replay);
    phi_free(bytes);
}

static void senseless_records_are_passed_over(void **state)
{
    struct phi_journal_writer *writer = NULL;
    struct phi_wire_message m = phi_wire_message_of(PHI_WIRE_PING);
    struct phi_replay *replay = NULL;
    struct ph_error err;
    char stream[64];

    (void)state;
    recording_write(dir.path, "H0");
    assert_ok(phi_journal_writer_open(dir.path, NULL, &writer, &err), err);
    recording_put(writer, PHI_JOURNAL_VOLUME, 1, NULL, "x", 1);
    recording_put(writer, PHI_JOURNAL_VOLUME, 1, &m, "x", 1);
    recording_put(writer, 77, 1, NULL, NULL, 0);
    recording_put_volume(writer, 1);
    phi_journal_writer_close(&writer);
    assert_ok(phi_replay_open(dir.path, 1 << 16, NULL, &replay, &err), err);
    read_stream(replay, stream);
    assert_string_equal(stream, "01");
    assert_int_equal(phi_replay_n_unread(replay), 2);
    phi_replay_close(&replay);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(streams),
        WITH_DIR(a_restart_gets_what_waited),
        WITH_DIR(damage_costs_what_it_hit),
        WITH_DIR(senseless_records_are_passed_over),
    };
    return cmocka_run_group_tests_name("io/replay", tests, NULL, NULL);
}
