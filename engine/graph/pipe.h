/* SPDX-License-Identifier: MIT
 *
 * A row of filters (or one decoder) in one thread: frames are pushed in and delivered behind the
 * last stage. Where frames live, what is timed and what is logged is the owner's: the live graph
 * gives pools, the offline chain gives lists. All calls from one thread.
 */
#ifndef PHI_GRAPH_PIPE_H
#define PHI_GRAPH_PIPE_H

#include <stdatomic.h>

#include "graph/run.h"

/* A set of parameter values on its way to a stage. */
struct phi_snapshot {
    struct phi_params *params;
    uint32_t generation;
    struct phi_snapshot *next; /* in the list of those no longer used */
};

/* One stage of a pipe, and the doors through which new values come in and old ones go out. */
struct phi_pipe_stage {
    struct phi_stage *stage;
    enum phi_on_error on_error;
    bool bypassed;
    uint32_t generation;                     /* of the values in use */
    struct phi_snapshot *live;               /* the values in use; NULL: the first ones */
    _Atomic(struct phi_snapshot *) *pending; /* where new ones arrive; NULL: never */
    _Atomic(struct phi_snapshot *) *retired; /* where old ones go */
};

struct phi_pipe_calls {
    void *arg;
    /* An empty frame for the output of stage number `i`; NULL when the run is being stopped. */
    struct ph_frame *(*take)(void *arg, size_t i);
    /* Ends the use of a frame. */
    void (*release)(void *arg, struct ph_frame *frame);
    /* A frame has left the last stage; the receiver owns it now. */
    void (*deliver)(void *arg, struct ph_frame *frame);
    /* Stage `i` failed on `frame` (NULL: at the end). */
    void (*failed)(void *arg, size_t i, enum ph_status status, const struct ph_frame *frame);
    /* Before and after stage `i` works on `frame`; `away_ns` of the time between went to later
     * stages and to waiting for frames. May be NULL. */
    void (*before)(void *arg, size_t i, const struct ph_frame *frame);
    void (*after)(void *arg, size_t i, const struct ph_frame *frame, int64_t away_ns);
    /* A frame leaves stage `i`. May be NULL. */
    void (*passed)(void *arg, size_t i, const struct ph_frame *frame);
};

struct phi_pipe {
    struct phi_pipe_calls calls;
    struct phi_pipe_stage stages[PHI_MAX_FILTERS];
    size_t n_stages;
    bool mark_failed; /* a failed frame of a stage that is not in place is replaced by a marked one
                       */
    bool stopped;     /* a stage with on_error stop has failed; later frames are released */
};

/* Passes a frame through the stages. Takes it over. */
void phi_pipe_push(struct phi_pipe *pipe, struct ph_frame *frame);

/* The stream has ended: calls `end` of each stage in order; what they emit passes the later ones.
 */
void phi_pipe_end(struct phi_pipe *pipe);

/* Gives stage `stage` the newest pending values, if there are any. Between two frames. */
void phi_pipe_update(struct phi_pipe_stage *stage);

#endif
