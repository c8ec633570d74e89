/* SPDX-License-Identifier: MIT
 *
 * After a failed fdatasync the kernel may have dropped the dirty pages and marked them clean, so a
 * second fdatasync of the same file would lie. Hence: a failed flush ends the file. A failed write
 * for want of space is milder: what was half written is cut off and the file goes on.
 */
#include "io/journal_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/file.h"
#include "io/journal_read.h"

struct phi_journal_writer {
    char dir[PHI_PATH_MAX];
    const struct phi_journal_disk *disk;
    uint64_t segment_bytes;
    int lock_fd;
    int fd;                 /* of the current file; -1 when one has to be begun */
    uint32_t next_segment;  /* number of the next file */
    uint32_t n_segments;    /* begun by this writer */
    uint64_t good_bytes;    /* of the current file, flushed */
    uint64_t written_bytes; /* of the current file */
    uint64_t total_bytes;
    uint64_t next_sequence;
};

static int disk_open(void *context, const char *path)
{
    (void)context;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static ssize_t disk_writev(void *context, int fd, const struct iovec *parts, int n_parts)
{
    (void)context;
    return writev(fd, parts, n_parts);
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

static const struct phi_journal_disk real_disk = {disk_open, disk_writev, disk_datasync,
                                                  disk_truncate, NULL};

static enum ph_status lock_dir(struct phi_journal_writer *writer, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];

    if (!phi_path_join(path, sizeof path, writer->dir, "journal.lock"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", writer->dir);
    writer->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (writer->lock_fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot create '%s'", path);
    if (flock(writer->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return phi_error(reterr, PH_E_STATE,
                         "another engine is writing the journal in '%s'; stop it, or record into "
                         "another folder",
                         writer->dir);
    return PH_OK;
}

/* Reads the journal through to know the last sequence number. */
static enum ph_status find_end(struct phi_journal_writer *writer, struct ph_error *reterr)
{
    struct phi_journal_reader *reader = NULL;
    struct phi_journal_record record;
    int64_t last = -1;
    enum ph_status status = phi_journal_last_segment(writer->dir, &last, reterr);

    if (!status)
        status = phi_journal_reader_open(writer->dir, &reader, reterr);
    while (!status)
        status = phi_journal_reader_next(reader, &record, reterr);
    if (status == PH_EOS) {
        writer->next_sequence = phi_journal_reader_next_sequence(reader);
        writer->next_segment = (uint32_t)(last + 1);
        status = PH_OK;
    }
    phi_journal_reader_close(&reader);
    return status;
}

enum ph_status phi_journal_writer_open(const char *dir, const struct phi_journal_config *config,
                                       struct phi_journal_writer **ret_writer,
                                       struct ph_error *reterr)
{
    struct phi_journal_writer *writer = phi_calloc(1, sizeof *writer);
    enum ph_status status = PH_OK;

    if (!writer)
        return phi_error_nomem(reterr, "a journal writer", sizeof *writer);
    writer->fd = writer->lock_fd = -1;
    writer->disk = config && config->disk ? config->disk : &real_disk;
    writer->segment_bytes =
        config && config->segment_bytes ? config->segment_bytes : PHI_JOURNAL_SEGMENT_BYTES;
    if (strlen(dir) + 32 > sizeof writer->dir)
        status = phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", dir);
    else
        (void)phi_str_copy(writer->dir, sizeof writer->dir, dir);
    if (!status)
        status = phi_dir_make(dir, reterr);
    if (!status)
        status = lock_dir(writer, reterr);
    if (!status)
        status = find_end(writer, reterr);
    if (status) {
        phi_journal_writer_close(&writer);
        return status;
    }
    *ret_writer = writer;
    return PH_OK;
}

/* One record to the current file. A short write is followed up, for the rest may still fit. */
static int write_record(struct phi_journal_writer *writer, const struct phi_journal_record *record)
{
    unsigned char header[PHI_JOURNAL_HEADER];
    unsigned char tail[12];
    size_t n_tail;
    /* iovec has no const pointer; writev only reads. */
    union {
        const void *in;
        void *out;
    } meta = {record->meta}, payload = {record->payload};

    phi_journal_record_format(record, header, tail, &n_tail);
    struct iovec parts[4] = {{header, sizeof header},
                             {meta.out, record->n_meta},
                             {payload.out, record->n_payload},
                             {tail, n_tail}};

    for (int first = 0; first < 4;) {
        ssize_t n =
            writer->disk->writev(writer->disk->context, writer->fd, parts + first, 4 - first);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        writer->written_bytes += (uint64_t)n;
        for (; first < 4 && (size_t)n >= parts[first].iov_len; first++)
            n -= (ssize_t)parts[first].iov_len;
        if (first < 4) {
            parts[first].iov_base = (unsigned char *)parts[first].iov_base + n;
            parts[first].iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int begin_segment(struct phi_journal_writer *writer)
{
    char path[PHI_PATH_MAX + 32];
    struct phi_journal_record first = {.kind = PHI_JOURNAL_SEGMENT,
                                       .sequence = writer->next_sequence};
    struct timespec wall;
    struct ph_error err;

    (void)clock_gettime(CLOCK_REALTIME, &wall);
    first.wall_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
    (void)snprintf(path, sizeof path, "%s/journal-%06u.phj", writer->dir, writer->next_segment);
    writer->fd = writer->disk->open(writer->disk->context, path);
    if (writer->fd < 0) {
        if (errno == EEXIST)
            writer->next_segment++;
        return errno;
    }
    writer->next_segment++;
    writer->n_segments++;
    writer->written_bytes = writer->good_bytes = 0;
    if (phi_dir_sync_of(path, &err))
        return err.os_errno;
    return write_record(writer, &first);
}

static void end_segment(struct phi_journal_writer *writer)
{
    if (writer->fd >= 0)
        (void)close(writer->fd);
    writer->fd = -1;
}

/* After a failure: what is left of the current file. */
static void give_up(struct phi_journal_writer *writer, int os_errno, bool in_flush)
{
    bool full = os_errno == ENOSPC || os_errno == EDQUOT;

    if (writer->fd < 0)
        return;
    if (!in_flush && full && writer->good_bytes > 0 &&
        writer->disk->truncate(writer->disk->context, writer->fd, (off_t)writer->good_bytes) == 0) {
        writer->written_bytes = writer->good_bytes;
        return;
    }
    if (!in_flush && writer->good_bytes == 0) /* nothing worth keeping; give its space back */
        (void)writer->disk->truncate(writer->disk->context, writer->fd, 0);
    end_segment(writer);
}

static int write_batch(struct phi_journal_writer *writer, struct phi_journal_record *records,
                       size_t n)
{
    int failed = 0;

    if (writer->fd >= 0 && writer->good_bytes >= writer->segment_bytes)
        end_segment(writer);
    if (writer->fd < 0)
        failed = begin_segment(writer);
    for (size_t i = 0; i < n && !failed; i++) {
        records[i].sequence = writer->next_sequence + i;
        failed = write_record(writer, &records[i]);
    }
    if (failed) {
        give_up(writer, failed, false);
        return failed;
    }
    if (writer->disk->datasync(writer->disk->context, writer->fd) != 0) {
        failed = errno;
        give_up(writer, failed, true);
        return failed;
    }
    return 0;
}

enum ph_status phi_journal_writer_put(struct phi_journal_writer *writer,
                                      struct phi_journal_record *records, size_t n, int *ret_errno)
{
    int failed;

    for (size_t i = 0; i < n; i++)
        if (phi_journal_record_bytes(&records[i]) == 0)
            return PH_E_LIMIT;
    failed = write_batch(writer, records, n);
    if (failed) {
        *ret_errno = failed;
        return PH_E_IO;
    }
    writer->next_sequence += n;
    writer->total_bytes += writer->written_bytes - writer->good_bytes;
    writer->good_bytes = writer->written_bytes;
    return PH_OK;
}

uint64_t phi_journal_writer_bytes(const struct phi_journal_writer *writer)
{
    return writer->total_bytes;
}

uint32_t phi_journal_writer_segments(const struct phi_journal_writer *writer)
{
    return writer->n_segments;
}

void phi_journal_writer_close(struct phi_journal_writer **writer)
{
    if (!writer || !*writer)
        return;
    end_segment(*writer);
    if ((*writer)->lock_fd >= 0)
        (void)close((*writer)->lock_fd);
    phi_free(*writer);
    *writer = NULL;
}
