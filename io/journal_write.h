/* SPDX-License-Identifier: MIT
 *
 * Writing a journal: a folder of append-only files "journal-000000.phj", ... What
 * phi_journal_writer_put has returned PH_OK for stands on the disk. A file whose flush has failed
 * counts as bad and is never written again: the same records go into a new file, and a reader lets
 * the newer file win. A writer belongs to one thread and may block on the disk.
 */
#ifndef PHI_IO_JOURNAL_WRITE_H
#define PHI_IO_JOURNAL_WRITE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "io/journal_record.h"

#define PHI_JOURNAL_SEGMENT_BYTES ((uint64_t)1 << 30) /* a new file from here on */

/* The four system calls a writer makes, so that tests can let the n-th fail. They follow the calls
 * of the same name: -1 and errno on failure. */
struct phi_journal_disk {
    int (*open)(void *context, const char *path); /* creates, fails if it exists; write only */
    ssize_t (*writev)(void *context, int fd, const struct iovec *parts, int n_parts);
    int (*datasync)(void *context, int fd);
    int (*truncate)(void *context, int fd, off_t n_bytes);
    void *context;
};

/* Zero is the default of each field. */
struct phi_journal_config {
    uint64_t segment_bytes;              /* PHI_JOURNAL_SEGMENT_BYTES */
    const struct phi_journal_disk *disk; /* the real one; must outlive the writer */
};

struct phi_journal_writer;

/* Opens the journal in the folder `dir`, which is made if missing. An earlier journal there is
 * continued: records get sequence numbers after its last, in a new file. Only one writer at a time:
 * PH_E_STATE if another process holds the folder. Owned by the caller. */
PH_NODISCARD enum ph_status phi_journal_writer_open(const char *dir,
                                                    const struct phi_journal_config *config,
                                                    struct phi_journal_writer **ret_writer,
                                                    struct ph_error *reterr);

/* Writes records[n] and flushes them, setting their sequence numbers. PH_E_IO: none of them may be
 * taken as written; call again with the same records (more may follow them) until it succeeds.
 * PH_E_LIMIT: a record is too large (nothing written). *ret_errno tells the cause of PH_E_IO. */
PH_NODISCARD enum ph_status phi_journal_writer_put(struct phi_journal_writer *writer,
                                                   struct phi_journal_record *records, size_t n,
                                                   int *ret_errno);

/* Bytes written so far by this writer, and how many files it has begun. */
uint64_t phi_journal_writer_bytes(const struct phi_journal_writer *writer);
uint32_t phi_journal_writer_segments(const struct phi_journal_writer *writer);

/* Closes and frees; accepts NULL and *writer == NULL, clears *writer. */
void phi_journal_writer_close(struct phi_journal_writer **writer);

#endif
