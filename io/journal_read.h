/* SPDX-License-Identifier: MIT
 *
 * Reading a journal in order, whatever happened to it: a torn end is passed over, a damaged record
 * is a hole and the next whole one is found again, records that were written twice after a flush
 * error come once. A reader belongs to one thread and may block on the disk. It may run while a
 * writer appends; it then sees what was there when each file was opened.
 */
#ifndef PHI_IO_JOURNAL_READ_H
#define PHI_IO_JOURNAL_READ_H

#include <stdbool.h>

#include "io/journal_record.h"

/* What was met so far. */
struct phi_journal_report {
    uint64_t n_records;
    uint64_t n_bytes;    /* of all files */
    uint64_t n_holes;    /* damaged stretches with whole records after them */
    uint64_t n_lost;     /* sequence numbers that no file has */
    uint64_t n_torn;     /* files that end in an unfinished or damaged record */
    uint64_t n_repeated; /* records left out because a newer file has them */
    uint32_t n_segments; /* files */
    uint64_t bytes_lost; /* in holes and torn ends */
};

struct phi_journal_reader;

/* Opens the journal in the folder `dir`. PH_E_IO if the folder cannot be read; a folder without
 * journal files gives a reader that is at its end. Owned by the caller. */
PH_NODISCARD enum ph_status phi_journal_reader_open(const char *dir,
                                                    struct phi_journal_reader **ret_reader,
                                                    struct ph_error *reterr);

/* The next whole record (never a SEGMENT one). Its pointers are valid until the next call. PH_EOS
 * at the end; PH_E_IO when the disk fails to read, PH_E_NOMEM. */
PH_NODISCARD enum ph_status phi_journal_reader_next(struct phi_journal_reader *reader,
                                                    struct phi_journal_record *ret_record,
                                                    struct ph_error *reterr);

/* Sequence number after the last record seen: what the next one written would get. */
uint64_t phi_journal_reader_next_sequence(const struct phi_journal_reader *reader);

/* What was met so far; complete once phi_journal_reader_next has said PH_EOS. */
const struct phi_journal_report *phi_journal_reader_report(const struct phi_journal_reader *reader);

/* Number of the newest journal file in `dir`, from 0; -1 if there is none. */
PH_NODISCARD enum ph_status phi_journal_last_segment(const char *dir, int64_t *ret_number,
                                                     struct ph_error *reterr);

/* Frees; accepts NULL and *reader == NULL, clears *reader. */
void phi_journal_reader_close(struct phi_journal_reader **reader);

#endif
