/* SPDX-License-Identifier: MIT
 *
 * A run with its threads: source, filter chain, decoder, each generator and each sink has one, with
 * bounded lossless queues between them (docs/architecture.md). The main thread creates, starts,
 * waits, stops and joins; everything else happens inside.
 *
 *     created --start--> planned --first volume--> running --end or stop--> draining --> stopped
 *
 * The source's thread waits for the spec of the volumes, then plans and initialises all stages and
 * starts the other threads: until then the run is `created` and there is no view.
 */
#ifndef PHI_GRAPH_LIVE_H
#define PHI_GRAPH_LIVE_H

#include "graph/run.h"
#include "rt/latency.h"
#include "rt/log.h"
#include "rt/trace.h"
#include "rt/view.h"

struct phi_live;

enum phi_live_state {
    PHI_LIVE_CREATED = 0,
    PHI_LIVE_PLANNED = 1,
    PHI_LIVE_RUNNING = 2,
    PHI_LIVE_DRAINING = 3,
    PHI_LIVE_STOPPED = 4
};

struct phi_live_options {
    struct phi_log *log; /* not owned; may be NULL */
    const char *run_dir; /* absolute folder for recordings; NULL or "": none */
    bool offline;        /* replay: stages that are only for offline use are allowed */
    /* Called in stage threads around each call into a stage from that stage's second frame on, with
     * true before and false after; tests forbid allocation in between. NULL: nothing. */
    void (*guard)(bool inside);
};

struct phi_live_summary {
    uint64_t n_volumes;
    uint64_t n_missing;
    uint64_t n_late;
    uint64_t n_events;
    uint64_t n_failures;              /* calls into stages that failed */
    struct phi_latency_stats latency; /* of the whole run */
    bool interrupted;                 /* ended by a stop request */
};

/* Creates all stages of `run` and initialises the source (which opens its sockets or files). `run`
 * must outlive the graph. Owned by the caller. */
PH_NODISCARD enum ph_status phi_live_create(const struct phi_run *run,
                                            const struct phi_live_options *options,
                                            struct phi_live **ret_live, struct ph_error *reterr);

/* Starts the source's thread. Once. */
PH_NODISCARD enum ph_status phi_live_start(struct phi_live *live, struct ph_error *reterr);

/* Any thread. */
enum phi_live_state phi_live_state(const struct phi_live *live);

/* Waits until the state is `state` or a later one (for PHI_LIVE_STOPPED: until all threads have
 * finished), at most `timeout_ns` (negative: for ever). True if it is. Main thread. */
bool phi_live_wait(struct phi_live *live, enum phi_live_state state, int64_t timeout_ns);

/* Any thread: true when all threads have come to their end, so that phi_live_join does not wait. */
bool phi_live_finished(const struct phi_live *live);

/* The view for the display; NULL before `planned`. Valid until destroy. */
struct phi_view *phi_live_view(struct phi_live *live);

/* Any thread: the source ends, what is under way is finished, sinks write what is left. Never
 * blocks; further calls do nothing. */
void phi_live_stop(struct phi_live *live);

/* Any thread: as phi_live_stop, but what is under way is dropped. */
void phi_live_abort(struct phi_live *live);

/* Sets a LIVE parameter; the stage sees it at its next frame. Any thread that is not a stage's. */
PH_NODISCARD enum ph_status phi_live_set_param(struct phi_live *live, const char *key,
                                               const char *value, struct ph_error *reterr);

/* Waits for the end of all threads. PH_OK, or what ended the run early (also PH_E_... of planning);
 * *ret_summary is filled in both cases. Main thread; once, after start. */
PH_NODISCARD enum ph_status
phi_live_join(struct phi_live *live, struct phi_live_summary *ret_summary, struct ph_error *reterr);

/* After join: the trace; NULL if the run was never planned. */
const struct phi_trace *phi_live_trace(const struct phi_live *live);

/* Stops and joins if need be, frees all; accepts NULL and *live == NULL, clears *live. */
void phi_live_destroy(struct phi_live **live);

#endif
