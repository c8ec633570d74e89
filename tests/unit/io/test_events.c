/* SPDX-License-Identifier: MIT
 * Events tables: columns in any order, n/a, line ends of any system, sorting; bad cells are named
 * by line and column; what is written reads back the same. */
#include "io/events.h"

#include "base/mem.h"
#include "io/file.h"
#include "tempdir.h"
#include "test.h"

static enum ph_status parse(const char *text, struct phi_events *events, struct ph_error *err)
{
    return phi_events_parse(text, strlen(text), "t.tsv", events, err);
}

static void rows_are_read_and_sorted(void **state)
{
    struct ph_error err;
    struct phi_events events;

    (void)state;
    assert_ok(
        parse("\xef\xbb\xbftrial_type\tonset\tfoo\tduration\tstim_file\tstim_index\tamplitude\r\n"
              "face\t12.5\tx\t0.9\ta.png\t3\t0.5\r\n"
              "\r\n"
              "n/a\t-1\ty\tn/a\tn/a\tn/a\tn/a\r\n"
              "house\t12.5\tz\t1\tb.png\t4\t2",
              &events, &err),
        err);
    assert_int_equal(events.n, 3);
    assert_near(events.rows[0].onset_s, -1, 0);
    assert_near(events.rows[0].duration_s, 0, 0);
    assert_near(events.rows[0].amplitude, 1, 0);
    assert_int_equal(events.rows[0].stim_index, -1);
    assert_string_equal(events.rows[0].trial_type, "");
    assert_string_equal(events.rows[1].trial_type, "face");
    assert_string_equal(events.rows[1].stim_file, "a.png");
    assert_int_equal(events.rows[1].stim_index, 3);
    assert_near(events.rows[1].amplitude, 0.5, 0);
    assert_string_equal(events.rows[2].trial_type, "house");
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(events.rows[i].number, i);
    phi_events_free(&events);
    phi_events_free(&events);
    assert_ok(parse("onset\tduration\n", &events, &err), err);
    assert_int_equal(events.n, 0);
    phi_events_free(&events);
}

static void assert_refused(const char *text, const char *what)
{
    struct ph_error err;
    struct phi_events events = {.n = 77};

    assert_int_equal(parse(text, &events, &err), PH_E_FORMAT);
    if (!strstr(err.text, what) || !strstr(err.text, "t.tsv"))
        fail_msg("'%s' does not name %s", err.text, what);
    assert_int_equal(events.n, 77);
}

static void bad_tables_are_refused(void **state)
{
    (void)state;
    assert_refused("", "onset");
    assert_refused("onset,duration\n1,2\n", "onset");
    assert_refused("onset\ttrial_type\n1\tx\n", "duration");
    assert_refused("onset\tduration\tonset\n", "twice");
    assert_refused("onset\tduration\n1\t2\n3\n", "line 3");
    assert_refused("onset\tduration\n1\t2\t3\n", "line 2");
    assert_refused("onset\tduration\nn/a\t2\n", "line 2: column onset");
    assert_refused("onset\tduration\n1e\t2\n", "onset");
    assert_refused("onset\tduration\nnan\t2\n", "onset");
    assert_refused("onset\tduration\n1\t-2\n", "line 2: column duration");
    assert_refused("onset\tduration\tstim_index\n1\t2\t1.5\n", "stim_index");
    assert_refused("onset\tduration\tstim_index\n1\t2\t99999999999\n", "stim_index");
}

static void long_texts_are_refused(void **state)
{
    char text[2048];

    (void)state;
    (void)snprintf(text, sizeof text, "onset\tduration\ttrial_type\n1\t2\t%064d\n", 0);
    assert_refused(text, "trial_type");
    (void)snprintf(text, sizeof text, "onset\tduration\tother\n1\t2\t%0600d\n", 0);
    assert_refused(text, "line 2");
}

static void a_stimulus_has_two_columns(void **state)
{
    struct ph_error err;
    struct phi_events events;

    (void)state;
    assert_ok(parse("onset\tduration\tstim_file\tstimulus\n0\t1\ta.png\tb\n1\t1\tn/a\tc\n", &events,
                    &err),
              err);
    assert_string_equal(events.rows[0].stim_file, "a.png");
    assert_string_equal(events.rows[1].stim_file, "c");
    phi_events_free(&events);
    assert_ok(parse("onset\tduration\tstimulus\tstim_file\n0\t1\tb\ta.png\n", &events, &err), err);
    assert_string_equal(events.rows[0].stim_file, "a.png");
    phi_events_free(&events);
}

static void written_tables_read_back(void **state)
{
    struct tempdir dir;
    struct ph_error err;
    struct phi_events back;
    unsigned char *text;
    size_t n_text;
    const struct ph_event rows[2] = {
        {.onset_s = 0.125,
         .duration_s = 2,
         .amplitude = 1,
         .stim_index = 9,
         .trial_type = "a b",
         .stim_file = "face.png"},
        {.onset_s = 1234.000123, .amplitude = 1, .stim_index = -1, .number = 1},
    };

    (void)state;
    assert_true(tempdir_make(&dir));
    assert_ok(phi_events_write(tempdir_file(&dir, "e.tsv"), rows, 2, &err), err);
    assert_ok(phi_events_read(tempdir_file(&dir, "e.tsv"), &back, &err), err);
    assert_int_equal(back.n, 2);
    assert_memory_equal(back.rows, rows, sizeof rows);
    phi_events_free(&back);
    assert_ok(phi_file_read(tempdir_file(&dir, "e.tsv"), 1000, &text, &n_text, &err), err);
    assert_memory_equal(text, "onset\tduration\ttrial_type\tstimulus\tstim_index\n", 46);
    phi_free(text);
    assert_int_equal(phi_events_read(tempdir_file(&dir, "none.tsv"), &back, &err), PH_E_IO);
    tempdir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read_and_sorted), cmocka_unit_test(bad_tables_are_refused),
        cmocka_unit_test(long_texts_are_refused),   cmocka_unit_test(a_stimulus_has_two_columns),
        cmocka_unit_test(written_tables_read_back),
    };
    return cmocka_run_group_tests_name("io/events", tests, NULL, NULL);
}
