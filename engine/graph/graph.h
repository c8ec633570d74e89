/* SPDX-License-Identifier: MIT
 *
 * A run with its threads: source, filter chain, decoder, each generator and each sink has one, with
 * bounded lossless queues between them (docs/architecture.md). The main thread creates, starts,
 * waits, stops and joins; everything else happens inside.
 *
 *     created --start--> planned --first volume--> running --end or stop--> draining --> stopped
 *
 * The source's thread waits for the spec of the volumes, then plans and initialises all stages and
 * starts the other threads: until then the graph is `created` and there is no view.
 */
#ifndef PHI_GRAPH_GRAPH_H
#define PHI_GRAPH_GRAPH_H

#include "graph/run.h"
#include "rt/latency.h"
#include "rt/log.h"
#include "rt/trace.h"
#include "rt/view.h"

struct phi_graph;

enum phi_graph_state {
    PHI_GRAPH_CREATED = 0,
    PHI_GRAPH_PLANNED = 1,
    PHI_GRAPH_RUNNING = 2,
    PHI_GRAPH_DRAINING = 3,
    PHI_GRAPH_STOPPED = 4
};

struct phi_graph_options {
    struct phi_log *log; /* not owned; may be NULL */
    const char *run_dir; /* absolute folder for recordings; NULL or "": none */
    bool offline;        /* replay: stages that are only for offline use are allowed */
    /* Called in stage threads around each call into a stage from that stage's second frame on, with
     * true before and false after; tests forbid allocation in between. NULL: nothing. */
    void (*live)(bool inside);
};

struct phi_graph_summary {
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
PH_NODISCARD enum ph_status phi_graph_create(const struct phi_run *run,
                                             const struct phi_graph_options *options,
                                             struct phi_graph **ret_graph, struct ph_error *reterr);

/* Starts the source's thread. Once. */
PH_NODISCARD enum ph_status phi_graph_start(struct phi_graph *graph, struct ph_error *reterr);

/* Any thread. */
enum phi_graph_state phi_graph_state(const struct phi_graph *graph);

/* Waits until the state is `state` or a later one, at most `timeout_ns` (negative: for ever). True
 * if it is. Main thread. */
bool phi_graph_wait(struct phi_graph *graph, enum phi_graph_state state, int64_t timeout_ns);

/* The view for the display; NULL before `planned`. Valid until destroy. */
struct phi_view *phi_graph_view(struct phi_graph *graph);

/* Any thread: the source ends, what is under way is finished, sinks write what is left. Never
 * blocks; further calls do nothing. */
void phi_graph_stop(struct phi_graph *graph);

/* Any thread: as phi_graph_stop, but what is under way is dropped. */
void phi_graph_abort(struct phi_graph *graph);

/* Sets a LIVE parameter; the stage sees it at its next frame. Any thread that is not a stage's. */
PH_NODISCARD enum ph_status phi_graph_set_param(struct phi_graph *graph, const char *key,
                                                const char *value, struct ph_error *reterr);

/* Waits for the end of all threads. PH_OK, or what ended the run early (also PH_E_... of planning);
 * *ret_summary is filled in both cases. Main thread; once, after start. */
PH_NODISCARD enum ph_status phi_graph_join(struct phi_graph *graph,
                                           struct phi_graph_summary *ret_summary,
                                           struct ph_error *reterr);

/* After join: the trace; NULL if the run was never planned. */
const struct phi_trace *phi_graph_trace(const struct phi_graph *graph);

/* Stops and joins if need be, frees all; accepts NULL and *graph == NULL, clears *graph. */
void phi_graph_destroy(struct phi_graph **graph);

#endif
