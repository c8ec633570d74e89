/* SPDX-License-Identifier: MIT
 * A journal as files: what put() has promised is read back once and in order after restarts, torn
 * ends, flipped bytes, full disks and failed flushes, whichever system call fails. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/journal_read.h"
#include "io/journal_write.h"
#include "tempdir.h"
#include "test.h"

#define N_PAYLOAD 300

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

static void fill(unsigned char payload[N_PAYLOAD], uint64_t index)
{
    for (size_t i = 0; i < N_PAYLOAD; i++)
        payload[i] = (unsigned char)(index * 31 + i * 7);
    memcpy(payload + 100, "PHJ1", 4); /* a false magic inside must not mislead anyone */
}

/* Puts volumes first..first+n-1 in one batch; at most 8. */
static enum ph_status put(struct phi_journal_writer *writer, uint64_t first, size_t n,
                          int *ret_errno)
{
    unsigned char payloads[8][N_PAYLOAD];
    struct phi_journal_record records[8];

    for (size_t i = 0; i < n; i++) {
        fill(payloads[i], first + i);
        records[i] = (struct phi_journal_record){.kind = PHI_JOURNAL_VOLUME,
                                                 .index = first + i,
                                                 .meta = "{}",
                                                 .n_meta = 2,
                                                 .payload = payloads[i],
                                                 .n_payload = N_PAYLOAD,
                                                 .session = "s",
                                                 .run = "r"};
    }
    return phi_journal_writer_put(writer, records, n, ret_errno);
}

/* Reads all, checks content, and that indices ascend without doubles. Returns how many there are.
 */
static uint64_t read_all(struct phi_journal_report *ret_report)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    struct ph_error err;
    unsigned char expected[N_PAYLOAD];
    uint64_t n = 0;
    uint64_t last = 0;
    enum ph_status status;

    assert_ok(phi_journal_reader_open(dir.path, &reader, &err), err);
    while (!(status = phi_journal_reader_next(reader, &record, &err))) {
        assert_int_equal(record.kind, PHI_JOURNAL_VOLUME);
        assert_true(n == 0 || record.index > last);
        last = record.index;
        fill(expected, record.index);
        assert_int_equal(record.n_payload, N_PAYLOAD);
        assert_memory_equal(record.payload, expected, N_PAYLOAD);
        n++;
    }
    assert_int_equal(status, PH_EOS);
    *ret_report = *phi_journal_reader_report(reader);
    assert_int_equal(ret_report->n_records, n);
    phi_journal_reader_close(&reader);
    return n;
}

static struct phi_journal_writer *open_writer(const struct phi_journal_config *config)
{
    struct phi_journal_writer *writer = NULL;
    struct ph_error err;

    assert_ok(phi_journal_writer_open(dir.path, config, &writer, &err), err);
    return writer;
}

static void restarts_continue(void **state)
{
    struct phi_journal_report report;
    int os_errno;

    (void)state;
    for (uint64_t k = 0; k < 5; k++) {
        struct phi_journal_writer *writer = open_writer(NULL);

        assert_int_equal(put(writer, 4 * k, 3, &os_errno), PH_OK);
        assert_int_equal(put(writer, 4 * k + 3, 1, &os_errno), PH_OK);
        phi_journal_writer_close(&writer);
    }
    assert_int_equal(read_all(&report), 20);
    assert_int_equal(report.n_segments, 5);
    assert_true(report.n_holes == 0 && report.n_lost == 0 && report.n_torn == 0);
}

static void files_have_a_greatest_size(void **state)
{
    struct phi_journal_config config = {.segment_bytes = 1500};
    struct phi_journal_writer *writer = open_writer(&config);
    struct phi_journal_report report;
    int os_errno;

    (void)state;
    for (uint64_t k = 0; k < 10; k++)
        assert_int_equal(put(writer, k, 1, &os_errno), PH_OK);
    assert_int_equal(phi_journal_writer_segments(writer), 4);
    phi_journal_writer_close(&writer);
    assert_int_equal(read_all(&report), 10);
    assert_int_equal(report.n_segments, 4);
}

static void one_writer_at_a_time(void **state)
{
    struct phi_journal_writer *writer = open_writer(NULL);
    struct phi_journal_writer *second = NULL;
    struct ph_error err;

    (void)state;
    assert_int_equal(phi_journal_writer_open(dir.path, NULL, &second, &err), PH_E_STATE);
    assert_null(second);
    assert_non_null(strstr(err.text, dir.path));
    phi_journal_writer_close(&writer);
}

static unsigned char *read_file(size_t *ret_n)
{
    unsigned char *bytes = NULL;
    struct ph_error err;

    assert_ok(phi_file_read(tempdir_file(&dir, "journal-000000.phj"), 1 << 20, &bytes, ret_n, &err),
              err);
    return bytes;
}

static void write_file(const unsigned char *bytes, size_t n)
{
    struct ph_error err;

    assert_ok(phi_file_write(tempdir_file(&dir, "journal-000000.phj"), bytes, n, &err), err);
}

static void write_six(void)
{
    struct phi_journal_writer *writer = open_writer(NULL);
    int os_errno;

    assert_int_equal(put(writer, 0, 6, &os_errno), PH_OK);
    phi_journal_writer_close(&writer);
}

static void torn_ends_are_passed_over(void **state)
{
    struct phi_journal_report report;
    unsigned char *bytes;
    size_t n;
    size_t record = 504; /* 192 + 2 + 300 + 4, rounded up to 8 */

    (void)state;
    write_six();
    bytes = read_file(&n);
    assert_int_equal(n, 200 + 6 * record);
    for (size_t cut = 1; cut < n; cut += 37) {
        uint64_t whole = n - cut < 200 ? 0 : (n - cut - 200) / record;

        write_file(bytes, n - cut);
        assert_int_equal(read_all(&report), whole);
        assert_int_equal(report.n_torn, (n - cut) % record == 200 ? 0 : 1);
    }
    phi_free(bytes);
}

/* Any damaged byte costs the record it stands in and no other. */
static void damage_costs_one_record(void **state)
{
    struct phi_journal_report report;
    unsigned char *bytes;
    size_t n;

    (void)state;
    write_six();
    bytes = read_file(&n);
    for (size_t at = 0; at < n; at += at < 720 ? 1 : 13) {
        bool in_first = at < 200; /* the SEGMENT record */
        bool in_last = at >= n - 504;

        bytes[at] ^= 0x10;
        write_file(bytes, n);
        assert_int_equal(read_all(&report), in_first ? 6 : 5);
        assert_int_equal(report.n_holes, in_last ? 0 : 1);
        assert_int_equal(report.n_torn, in_last ? 1 : 0);
        assert_int_equal(report.n_lost, in_first || in_last ? 0 : 1);
        bytes[at] ^= 0x10;
    }
    phi_free(bytes);
}

/* A disk whose n-th call fails, once. A failed flush loses what had not been flushed. */
struct faulty {
    int fail_at; /* call number, from 0; -1 never */
    int fail_errno;
    int n_calls;
    int n_left; /* calls that fail in a row */
    off_t flushed;
};

static bool fails(struct faulty *faulty)
{
    bool now = faulty->fail_at >= 0 && faulty->n_calls >= faulty->fail_at && faulty->n_left > 0;

    faulty->n_calls++;
    if (now)
        faulty->n_left--;
    errno = now ? faulty->fail_errno : errno;
    return now;
}

static int faulty_open(void *context, const char *path)
{
    struct faulty *faulty = context;

    faulty->flushed = 0;
    return fails(faulty) ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static ssize_t faulty_writev(void *context, int fd, const struct iovec *parts, int n_parts)
{
    if (!fails(context))
        return writev(fd, parts, n_parts);
    (void)!write(fd, parts[0].iov_base, parts[0].iov_len / 2); /* half gets there */
    errno = ((struct faulty *)context)->fail_errno;
    return -1;
}

static int faulty_datasync(void *context, int fd)
{
    struct faulty *faulty = context;
    struct stat info;
    static const char zeros[4096];

    if (fstat(fd, &info) != 0)
        return -1;
    if (!fails(faulty)) {
        faulty->flushed = info.st_size;
        return 0;
    }
    /* the first dirty page is dropped, the ones after it got to the disk */
    (void)!pwrite(fd, zeros, 600, faulty->flushed);
    errno = faulty->fail_errno;
    return -1;
}

static int faulty_truncate(void *context, int fd, off_t n_bytes)
{
    if (fails(context))
        return -1;
    return ftruncate(fd, n_bytes) != 0 || lseek(fd, n_bytes, SEEK_SET) != n_bytes ? -1 : 0;
}

static void run_with_fault(int fail_at, int fail_errno, int n_left, int *ret_n_calls)
{
    struct faulty faulty = {.fail_at = fail_at, .fail_errno = fail_errno, .n_left = n_left};
    struct phi_journal_disk disk = {faulty_open, faulty_writev, faulty_datasync, faulty_truncate,
                                    &faulty};
    struct phi_journal_config config = {.disk = &disk, .segment_bytes = 3000};
    struct phi_journal_writer *writer;
    struct phi_journal_report report;
    int os_errno = 0;

    assert_true(tempdir_make(&dir));
    writer = open_writer(&config);
    for (uint64_t k = 0; k < 12; k += 2) {
        int tries = 0;

        while (put(writer, k, 2, &os_errno) != PH_OK) {
            assert_int_equal(os_errno, fail_errno);
            assert_true(++tries < 20);
        }
    }
    phi_journal_writer_close(&writer);
    if (read_all(&report) != 12 || report.n_lost != 0)
        fail_msg("call %d failing with %s: %d records, %d lost", fail_at, strerror(fail_errno),
                 (int)report.n_records, (int)report.n_lost);
    *ret_n_calls = faulty.n_calls;
    tempdir_remove(&dir);
}

static void each_call_may_fail(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EFBIG};
    int n_calls;
    int ignored;

    (void)state;
    tempdir_remove(&dir);
    for (size_t e = 0; e < 3; e++) {
        run_with_fault(-1, errors[e], 0, &n_calls);
        assert_true(n_calls > 15);
        for (int at = 0; at < n_calls; at++)
            for (int n_left = 1; n_left <= 4; n_left++)
                run_with_fault(at, errors[e], n_left, &ignored);
    }
    assert_true(tempdir_make(&dir));
}

static void too_large_records_are_refused(void **state)
{
    struct phi_journal_writer *writer = open_writer(NULL);
    struct phi_journal_record record = {.n_meta = PHI_JOURNAL_MAX_META + 1};
    int os_errno;

    (void)state;
    assert_int_equal(phi_journal_writer_put(writer, &record, 1, &os_errno), PH_E_LIMIT);
    phi_journal_writer_close(&writer);
}

static void empty_and_missing_folders(void **state)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_report report;
    struct ph_error err;

    (void)state;
    assert_int_equal(read_all(&report), 0);
    assert_int_equal(phi_journal_reader_open(tempdir_file(&dir, "none"), &reader, &err), PH_E_IO);
    assert_null(reader);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(restarts_continue),
        WITH_DIR(files_have_a_greatest_size),
        WITH_DIR(one_writer_at_a_time),
        WITH_DIR(torn_ends_are_passed_over),
        WITH_DIR(damage_costs_one_record),
        WITH_DIR(each_call_may_fail),
        WITH_DIR(too_large_records_are_refused),
        WITH_DIR(empty_and_missing_folders),
    };
    return cmocka_run_group_tests_name("io/journal", tests, NULL, NULL);
}
