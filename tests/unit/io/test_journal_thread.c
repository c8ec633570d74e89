/* SPDX-License-Identifier: MIT
 * The journal's thread: tokens come back in order once records stand on the disk; while the disk
 * fails nothing comes back and nothing is lost; a full queue says so. */
#include "io/journal_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>

#include "io/journal_read.h"
#include "tempdir.h"
#include "test.h"

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

static enum ph_status submit(struct phi_journal_thread *thread, uint32_t i)
{
    static const char payload[] = "the payload stays";
    char meta[16];
    struct phi_journal_record record = {.kind = PHI_JOURNAL_VOLUME,
                                        .index = i,
                                        .meta = meta,
                                        .payload = payload,
                                        .n_payload = sizeof payload};

    record.n_meta = (uint32_t)snprintf(meta, sizeof meta, "{\"i\":%u}", i);
    return phi_journal_thread_submit(thread, &record, i);
}

/* Waits for the next token; fails the test after ten seconds. */
static uint32_t next_token(struct phi_journal_thread *thread)
{
    struct pollfd item = {.fd = phi_journal_thread_fd(thread), .events = POLLIN};
    uint32_t token;

    while (phi_journal_thread_done(thread, &token) != PH_OK)
        if (poll(&item, 1, 10000) <= 0)
            fail_msg("no token came");
    return token;
}

static uint64_t count_records(void)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    struct ph_error err;
    uint64_t n = 0;

    assert_ok(phi_journal_reader_open(dir.path, &reader, &err), err);
    while (phi_journal_reader_next(reader, &record, &err) == PH_OK)
        assert_int_equal(record.index, n++);
    phi_journal_reader_close(&reader);
    return n;
}

static void tokens_come_in_order(void **state)
{
    struct phi_journal_thread *thread = NULL;
    struct phi_journal_thread_state look;
    struct ph_error err;

    (void)state;
    assert_ok(phi_journal_thread_create(dir.path, NULL, 16, &thread, &err), err);
    for (uint32_t i = 0; i < 100; i++) {
        while (submit(thread, i) == PH_AGAIN)
            fail_msg("the queue is full though every token was fetched");
        if (i % 3 == 2)
            for (uint32_t k = i - 2; k <= i; k++)
                assert_int_equal(next_token(thread), k);
    }
    assert_int_equal(next_token(thread), 99);
    phi_journal_thread_look(thread, &look);
    assert_true(look.n_pending == 0 && look.failing_errno == 0 && look.n_bytes > 0);
    phi_journal_thread_destroy(&thread);
    phi_journal_thread_destroy(&thread);
    assert_int_equal(count_records(), 100);
}

static void destroying_writes_what_waits(void **state)
{
    struct phi_journal_thread *thread = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_journal_thread_create(dir.path, NULL, 64, &thread, &err), err);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(submit(thread, i), PH_OK);
    phi_journal_thread_destroy(&thread);
    assert_int_equal(count_records(), 50);
}

/* A disk that is full until told otherwise. */
static atomic_bool is_full;

static int disk_open(void *context, const char *path)
{
    (void)context;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static ssize_t disk_writev(void *context, int fd, const struct iovec *parts, int n_parts)
{
    (void)context;
    if (!atomic_load(&is_full))
        return writev(fd, parts, n_parts);
    errno = ENOSPC;
    return -1;
}

static int disk_datasync(void *context, int fd)
{
    (void)context;
    return fdatasync(fd);
}

static int disk_truncate(void *context, int fd, off_t n_bytes)
{
    (void)context;
    return ftruncate(fd, n_bytes) != 0 || lseek(fd, n_bytes, SEEK_SET) != n_bytes ? -1 : 0;
}

static void a_full_disk_delays_and_loses_nothing(void **state)
{
    const struct phi_journal_disk disk = {disk_open, disk_writev, disk_datasync, disk_truncate,
                                          NULL};
    const struct phi_journal_config config = {.disk = &disk};
    struct phi_journal_thread *thread = NULL;
    struct phi_journal_thread_state look = {0};
    struct ph_error err;
    uint32_t token;

    (void)state;
    atomic_store(&is_full, false);
    assert_ok(phi_journal_thread_create(dir.path, &config, 8, &thread, &err), err);
    assert_int_equal(submit(thread, 0), PH_OK);
    assert_int_equal(next_token(thread), 0);
    atomic_store(&is_full, true);
    for (uint32_t i = 1; i <= 8; i++)
        assert_int_equal(submit(thread, i), PH_OK);
    assert_int_equal(submit(thread, 9), PH_AGAIN);
    while (look.n_failures < 2) {
        (void)usleep(1000);
        phi_journal_thread_look(thread, &look);
    }
    assert_int_equal(look.failing_errno, ENOSPC);
    assert_int_equal(look.n_pending, 8);
    assert_int_equal(phi_journal_thread_done(thread, &token), PH_AGAIN);
    atomic_store(&is_full, false);
    for (uint32_t i = 1; i <= 8; i++)
        assert_int_equal(next_token(thread), i);
    phi_journal_thread_look(thread, &look);
    assert_int_equal(look.failing_errno, 0);
    phi_journal_thread_destroy(&thread);
    assert_int_equal(count_records(), 9);
}

static void too_much_meta_is_refused(void **state)
{
    static char meta[PHI_JOURNAL_THREAD_META + 1];
    struct phi_journal_record record = {
        .kind = PHI_JOURNAL_EVENT, .meta = meta, .n_meta = sizeof meta};
    struct phi_journal_thread *thread = NULL;
    struct ph_error err;

    (void)state;
    assert_ok(phi_journal_thread_create(dir.path, NULL, 2, &thread, &err), err);
    assert_int_equal(phi_journal_thread_submit(thread, &record, 0), PH_E_LIMIT);
    phi_journal_thread_destroy(&thread);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(tokens_come_in_order),
        WITH_DIR(destroying_writes_what_waits),
        WITH_DIR(a_full_disk_delays_and_loses_nothing),
        WITH_DIR(too_much_meta_is_refused),
    };
    return cmocka_run_group_tests_name("io/journal_thread", tests, NULL, NULL);
}
