/* SPDX-License-Identifier: MIT
 *
 * A journal written by a thread of its own, so that a slow disk delays acknowledgements and nothing
 * else. Records are submitted from one thread and come back as tokens, in order, once they stand on
 * the disk. While the disk fails, records wait and writing is tried again; nothing is dropped.
 */
#ifndef PHI_IO_JOURNAL_THREAD_H
#define PHI_IO_JOURNAL_THREAD_H

#include "io/journal_write.h"

#define PHI_JOURNAL_THREAD_META ((size_t)16 * 1024) /* most bytes of meta in a submitted record */

/* How the disk is doing. */
struct phi_journal_thread_state {
    uint64_t n_bytes;       /* written and flushed */
    uint64_t n_pending;     /* records that wait */
    uint64_t n_failures;    /* failed attempts so far */
    int failing_errno;      /* why writing fails now; 0 while it works */
    int64_t longest_put_ns; /* longest successful write and flush */
};

struct phi_journal_thread;

/* Opens the journal in `dir` (as phi_journal_writer_open) and starts the thread; at most `capacity`
 * records wait at a time. Owned by the caller. */
PH_NODISCARD enum ph_status phi_journal_thread_create(const char *dir,
                                                      const struct phi_journal_config *config,
                                                      uint32_t capacity,
                                                      struct phi_journal_thread **ret_thread,
                                                      struct ph_error *reterr);

/* Writes what waits (trying for two seconds if the disk fails), joins and frees; accepts NULL and
 * *thread == NULL, clears *thread. */
void phi_journal_thread_destroy(struct phi_journal_thread **thread);

/* Hands a record over. Meta is copied; the payload must stay until the token has come back. Never
 * blocks on the disk. PH_E_LIMIT: too much meta or payload. PH_AGAIN: `capacity` records wait. */
PH_NODISCARD enum ph_status phi_journal_thread_submit(struct phi_journal_thread *thread,
                                                      const struct phi_journal_record *record,
                                                      uint32_t token);

/* The token of the next record that stands on the disk; PH_AGAIN if there is none yet. */
PH_NODISCARD enum ph_status phi_journal_thread_done(struct phi_journal_thread *thread,
                                                    uint32_t *ret_token);

/* A descriptor that is readable when phi_journal_thread_done may have news; it stays the thread's.
 * phi_journal_thread_done clears it when it says PH_AGAIN. */
int phi_journal_thread_fd(const struct phi_journal_thread *thread);

/* A copy of the state. Any thread. */
void phi_journal_thread_look(struct phi_journal_thread *thread,
                             struct phi_journal_thread_state *ret_state);

#endif
