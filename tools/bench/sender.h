/* SPDX-License-Identifier: MIT
 *
 * The scanner side of a benchmark: a thread that sends the made-up volumes to the engine at a given
 * pace or as fast as the engine takes them, announces the stimuli, and notes when each volume was
 * sent and when its acknowledgement came. What to send next is decided by io/wire_sender.
 */
#ifndef TOOLS_BENCH_SENDER_H
#define TOOLS_BENCH_SENDER_H

#include "bench/setup.h"

struct bench_sender;

/* What it saw. */
struct bench_sent {
    uint64_t n_acked, n_resent, n_events, n_events_answered;
    uint64_t n_received, n_lost, n_duplicates; /* as DONE says */
    bool done;
    const int64_t *sent_ns;  /* [n_volumes], of the last time it was sent; 0: never */
    const int64_t *acked_ns; /* [n_volumes]; 0: never */
    char problem[256];       /* "" if there was none */
};

/* Starts the thread: `n_volumes` volumes, `rate` a second (0: flat out), called `run` in the
 * engine. `setup` must outlive it. Owned by the caller. */
PH_NODISCARD enum ph_status bench_sender_start(const struct bench_setup *setup, uint64_t n_volumes,
                                               double rate, struct bench_sender **ret_sender,
                                               struct ph_error *reterr);

/* Lets the thread give up if the engine does not answer any more, waits for it and tells what it
 * saw, valid until destroy. */
void bench_sender_finish(struct bench_sender *sender, struct bench_sent *ret_sent);

/* Finishes and frees; accepts NULL and *sender == NULL, clears *sender. */
void bench_sender_destroy(struct bench_sender **sender);

#endif
