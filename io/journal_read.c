/* SPDX-License-Identifier: MIT
 *
 * Files are read with pread into one buffer that grows to the largest record, not mapped: a disk
 * that fails to read must give an error, not a signal. Which of two copies of a record counts is
 * settled at the start: a record is left out if a later file begins at or before its sequence
 * number, for then the flush of the earlier file had failed and all was written again.
 */
#include "io/journal_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"

#define SCAN_BYTES   (64 * 1024)
#define MAX_SEGMENTS 1000000

struct segment {
    uint32_t number;
    uint64_t limit; /* records from this sequence number on stand in a later file */
};

struct phi_journal_reader {
    char dir[PHI_PATH_MAX];
    struct segment *segments; /* [n_segments], ascending */
    size_t n_segments;
    size_t current; /* index of the open one, or of the next to open */
    int fd;         /* -1 when none is open */
    uint64_t size;  /* of the open file */
    uint64_t at;    /* where its next record should start */
    uint64_t hole;  /* where the damage began that is being passed over; UINT64_MAX if none */
    uint64_t next_sequence;
    unsigned char *buffer; /* [capacity] */
    size_t capacity;
    struct phi_journal_report report;
};

static bool segment_number(const char *name, uint32_t *ret)
{
    int64_t number;
    char digits[16];

    if (!phi_str_starts(name, "journal-") || !phi_str_ends(name, ".phj") ||
        strlen(name) > sizeof digits + 10)
        return false;
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(strlen(name) - 12), name + 8);
    if (!phi_parse_i64(digits, &number) || number < 0 || number >= MAX_SEGMENTS)
        return false;
    *ret = (uint32_t)number;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct segment *)a)->number;
    uint32_t y = ((const struct segment *)b)->number;

    return x < y ? -1 : x > y;
}

static bool add_segment(struct segment **segments, size_t *n, uint32_t number)
{
    if ((*n & (*n - 1)) == 0) { /* full at every power of two */
        struct segment *larger = phi_calloc2(*n ? *n : 1, 2, sizeof *larger);

        if (!larger)
            return false;
        if (*n)
            memcpy(larger, *segments, *n * sizeof *larger);
        phi_free(*segments);
        *segments = larger;
    }
    (*segments)[(*n)++] = (struct segment){number, UINT64_MAX};
    return true;
}

static enum ph_status list_segments(const char *dir, struct segment **ret_segments, size_t *ret_n,
                                    struct ph_error *reterr)
{
    DIR *list = opendir(dir);
    const struct dirent *entry;
    bool fits = true;
    uint32_t number;

    if (!list)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot read the folder '%s'", dir);
    while (fits && (entry = readdir(list)))
        if (segment_number(entry->d_name, &number))
            fits = add_segment(ret_segments, ret_n, number);
    (void)closedir(list);
    if (!fits)
        return phi_error_nomem(reterr, "the list of journal files", *ret_n);
    if (*ret_n)
        qsort(*ret_segments, *ret_n, sizeof **ret_segments, by_number);
    return PH_OK;
}

enum ph_status phi_journal_last_segment(const char *dir, int64_t *ret_number,
                                        struct ph_error *reterr)
{
    struct segment *segments = NULL;
    size_t n = 0;
    enum ph_status status = list_segments(dir, &segments, &n, reterr);

    if (!status)
        *ret_number = n ? (int64_t)segments[n - 1].number : -1;
    phi_free(segments);
    return status;
}

static bool read_at(int fd, uint64_t at, unsigned char *out, size_t n)
{
    while (n > 0) {
        ssize_t got = pread(fd, out, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        out += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static enum ph_status fail_read(const struct phi_journal_reader *reader, struct ph_error *reterr)
{
    return phi_error_os(reterr, PH_E_IO, errno, "cannot read file %u of the journal in '%s'",
                        reader->segments[reader->current].number, reader->dir);
}

static enum ph_status open_segment(struct phi_journal_reader *reader, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX + 32];
    struct stat info;

    (void)snprintf(path, sizeof path, "%s/journal-%06u.phj", reader->dir,
                   reader->segments[reader->current].number);
    reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0 || fstat(reader->fd, &info) != 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot open '%s'", path);
    reader->size = (uint64_t)info.st_size;
    reader->at = 0;
    reader->hole = UINT64_MAX;
    return PH_OK;
}

static void close_segment(struct phi_journal_reader *reader)
{
    if (reader->hole != UINT64_MAX) {
        reader->report.n_torn++;
        reader->report.bytes_lost += reader->size - reader->hole;
        reader->hole = UINT64_MAX;
    }
    (void)close(reader->fd);
    reader->fd = -1;
    reader->current++;
}

static bool grow(struct phi_journal_reader *reader, size_t n_bytes)
{
    if (n_bytes <= reader->capacity)
        return true;
    phi_free(reader->buffer);
    reader->buffer = phi_calloc(n_bytes, 1);
    reader->capacity = reader->buffer ? n_bytes : 0;
    return reader->buffer != NULL;
}

/* Looks for the next magic from `at` on; the end of the file if there is none. */
static enum ph_status scan(struct phi_journal_reader *reader, uint64_t at, struct ph_error *reterr)
{
    if (!grow(reader, SCAN_BYTES))
        return phi_error_nomem(reterr, "reading the journal", SCAN_BYTES);
    while (reader->size - at >= PHI_JOURNAL_HEADER) {
        size_t n = reader->size - at < SCAN_BYTES ? (size_t)(reader->size - at) : SCAN_BYTES;
        const unsigned char *found;

        if (!read_at(reader->fd, at, reader->buffer, n))
            return fail_read(reader, reterr);
        found = memmem(reader->buffer, n, "PHJ1", 4);
        if (found) {
            reader->at = at + (uint64_t)(found - reader->buffer);
            return PH_OK;
        }
        at += n - 3; /* a magic may straddle two pieces */
    }
    reader->at = reader->size;
    return PH_OK;
}

/* Reads what stands at reader->at: PH_OK with a whole record, PH_SKIP if there is none. */
static enum ph_status read_record(struct phi_journal_reader *reader,
                                  struct phi_journal_record *ret_record, size_t *ret_n,
                                  struct ph_error *reterr)
{
    unsigned char header[PHI_JOURNAL_HEADER];

    *ret_n = 0;
    if (reader->size - reader->at < sizeof header)
        return PH_SKIP;
    if (!read_at(reader->fd, reader->at, header, sizeof header))
        return fail_read(reader, reterr);
    if (phi_journal_header_parse(header, ret_record, ret_n) != PHI_JOURNAL_WHOLE ||
        *ret_n > reader->size - reader->at) {
        *ret_n = 0;
        return PH_SKIP;
    }
    if (!grow(reader, *ret_n))
        return phi_error_nomem(reterr, "a journal record", *ret_n);
    if (!read_at(reader->fd, reader->at, reader->buffer, *ret_n))
        return fail_read(reader, reterr);
    return phi_journal_record_parse(reader->buffer, *ret_n, ret_record, ret_n) == PHI_JOURNAL_WHOLE
               ? PH_OK
               : PH_SKIP;
}

/* The next whole record of the open file; PH_EOS at its end. */
static enum ph_status next_in_segment(struct phi_journal_reader *reader,
                                      struct phi_journal_record *ret_record,
                                      struct ph_error *reterr)
{
    while (reader->at < reader->size) {
        size_t n;
        enum ph_status status = read_record(reader, ret_record, &n, reterr);

        if (status == PH_OK) {
            if (reader->hole != UINT64_MAX) {
                reader->report.n_holes++;
                reader->report.bytes_lost += reader->at - reader->hole;
                reader->hole = UINT64_MAX;
            }
            reader->at += n;
            return PH_OK;
        }
        if (status != PH_SKIP)
            return status;
        if (reader->hole == UINT64_MAX)
            reader->hole = reader->at;
        /* A good header tells how far to step; without one the bytes are searched. */
        status = n ? scan(reader, reader->at + n, reterr) : scan(reader, reader->at + 1, reterr);
        if (status)
            return status;
    }
    return PH_EOS;
}

/* The sequence number a file begins with; UINT64_MAX if it has no whole record. */
static enum ph_status first_sequence(struct phi_journal_reader *reader, uint64_t *ret,
                                     struct ph_error *reterr)
{
    struct phi_journal_record record;
    enum ph_status status = open_segment(reader, reterr);

    if (!status)
        status = next_in_segment(reader, &record, reterr);
    *ret = status == PH_OK ? record.sequence : UINT64_MAX;
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
    return status == PH_EOS ? PH_OK : status;
}

static enum ph_status find_limits(struct phi_journal_reader *reader, struct ph_error *reterr)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = reader->n_segments; i > 0; i--) {
        uint64_t first;
        enum ph_status status;

        reader->current = i - 1;
        status = first_sequence(reader, &first, reterr);
        if (status)
            return status;
        reader->segments[i - 1].limit = least;
        least = first < least ? first : least;
        reader->report.n_bytes += reader->size;
    }
    reader->current = 0;
    reader->report = (struct phi_journal_report){.n_bytes = reader->report.n_bytes,
                                                 .n_segments = (uint32_t)reader->n_segments};
    return PH_OK;
}

enum ph_status phi_journal_reader_open(const char *dir, struct phi_journal_reader **ret_reader,
                                       struct ph_error *reterr)
{
    struct phi_journal_reader *reader = phi_calloc(1, sizeof *reader);
    enum ph_status status = PH_OK;

    if (!reader)
        return phi_error_nomem(reterr, "a journal reader", sizeof *reader);
    reader->fd = -1;
    reader->hole = UINT64_MAX;
    if (!phi_str_copy(reader->dir, sizeof reader->dir, dir))
        status = phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", dir);
    if (!status)
        status = list_segments(dir, &reader->segments, &reader->n_segments, reterr);
    if (!status)
        status = find_limits(reader, reterr);
    if (status) {
        phi_journal_reader_close(&reader);
        return status;
    }
    *ret_reader = reader;
    return PH_OK;
}

/* Counts a record that will be given out, and the numbers missing before it. */
static void count(struct phi_journal_reader *reader, const struct phi_journal_record *record)
{
    if (record->sequence > reader->next_sequence)
        reader->report.n_lost += record->sequence - reader->next_sequence;
    reader->next_sequence = record->sequence + 1;
    reader->report.n_records++;
}

enum ph_status phi_journal_reader_next(struct phi_journal_reader *reader,
                                       struct phi_journal_record *ret_record,
                                       struct ph_error *reterr)
{
    struct phi_journal_record record;
    enum ph_status status;

    while (reader->current < reader->n_segments) {
        if (reader->fd < 0 && (status = open_segment(reader, reterr)))
            return status;
        status = next_in_segment(reader, &record, reterr);
        if (status == PH_EOS) {
            close_segment(reader);
            continue;
        }
        if (status)
            return status;
        if (record.kind == PHI_JOURNAL_SEGMENT)
            continue;
        if (record.sequence >= reader->segments[reader->current].limit ||
            record.sequence < reader->next_sequence) {
            reader->report.n_repeated++;
            continue;
        }
        count(reader, &record);
        *ret_record = record;
        return PH_OK;
    }
    return PH_EOS;
}

uint64_t phi_journal_reader_next_sequence(const struct phi_journal_reader *reader)
{
    return reader->next_sequence;
}

const struct phi_journal_report *phi_journal_reader_report(const struct phi_journal_reader *reader)
{
    return &reader->report;
}

void phi_journal_reader_close(struct phi_journal_reader **reader)
{
    if (!reader || !*reader)
        return;
    if ((*reader)->fd >= 0)
        (void)close((*reader)->fd);
    phi_free((*reader)->segments);
    phi_free((*reader)->buffer);
    phi_free(*reader);
    *reader = NULL;
}
