/* SPDX-License-Identifier: MIT
 *
 * The stream of a recorded run: volumes in ascending order, missing ones, events, as the stages saw
 * them when it was recorded. A replay and a restarted engine both go through here. One replay
 * belongs to one thread and may block on the disk.
 */
#ifndef PHI_IO_REPLAY_H
#define PHI_IO_REPLAY_H

#include "io/journal_read.h"
#include "io/wire_order.h"
#include "io/wire_payload.h"
#include "io/wire_session.h"

enum phi_replay_kind {
    PHI_REPLAY_VOLUME, /* image and message */
    PHI_REPLAY_GAP,    /* volume `index` is missing */
    PHI_REPLAY_EVENT,  /* message */
    PHI_REPLAY_END     /* the run's end was recorded; nothing follows */
};

/* One entry of the stream; pointers in it are valid until the next call. */
struct phi_replay_item {
    enum phi_replay_kind kind;
    uint64_t index;
    struct phi_wire_message message;
    struct phi_wire_image image;
    int64_t recorded_ns; /* monotonic time of the record on the machine that wrote it */
};

/* A recorded volume that waits for an earlier one. */
struct phi_replay_held {
    uint64_t index;
    const void *meta;
    size_t n_meta;
    const void *payload;
    size_t n_payload;
};

struct phi_replay;

/* Opens the journal in `dir`. Records are also told to `session` (NULL: nobody), in the order they
 * were written. Images may have at most `max_bytes` bytes. Owned by the caller. */
PH_NODISCARD enum ph_status phi_replay_open(const char *dir, size_t max_bytes,
                                            struct phi_wire_session *session,
                                            struct phi_replay **ret_replay,
                                            struct ph_error *reterr);

/* The next entry. PH_EOS at the end of the journal, with or without a recorded end of the run. */
PH_NODISCARD enum ph_status phi_replay_next(struct phi_replay *replay,
                                            struct phi_replay_item *ret_item,
                                            struct ph_error *reterr);

/* The HELLO of the run; NULL before it was met. */
const struct phi_wire_message *phi_replay_run(const struct phi_replay *replay);

/* After PH_EOS: the state of the order, for a restarted engine to go on with, and the volumes that
 * wait in it (their tokens count from 0 to the number held - 1). */
const struct phi_wire_order *phi_replay_order(const struct phi_replay *replay);
void phi_replay_held(const struct phi_replay *replay, uint32_t token,
                     struct phi_replay_held *ret_held);

/* What the reader met, complete after PH_EOS; and how many records did not mean anything. */
const struct phi_journal_report *phi_replay_report(const struct phi_replay *replay);
uint64_t phi_replay_n_unread(const struct phi_replay *replay);

/* Frees; accepts NULL and *replay == NULL, clears *replay. */
void phi_replay_close(struct phi_replay **replay);

#endif
