/* SPDX-License-Identifier: MIT
 *
 * What live.c, live_plan.c, live_node.c and live_source.c share.
 */
#ifndef PHI_GRAPH_LIVE_INTERNAL_H
#define PHI_GRAPH_LIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "graph/live.h"
#include "graph/order.h"
#include "graph/pipe.h"
#include "rt/doorbell.h"
#include "rt/pool.h"
#include "rt/ring.h"
#include "rt/team.h"
#include "rt/thread.h"

#define PHI_MAX_STAGES (2 + PHI_MAX_FILTERS + PHI_MAX_GENERATORS + PHI_MAX_SINKS)
#define PHI_MAX_NODES  (3 + PHI_MAX_GENERATORS + PHI_MAX_SINKS)
#define PHI_MAX_EDGES  (PHI_MAX_GENERATORS + PHI_MAX_SINKS + 1)

struct node;

/* A lossless queue between two threads. */
struct edge {
    struct phi_ring *ring;
    struct node *from;
    struct node *to;
    bool ended; /* consumer's: the end mark has come */
};

/* One thread with its doorbell and queues. */
struct node {
    struct phi_live *live;
    char name[PHI_STAGE_NAME];
    struct phi_thread *thread;
    struct phi_doorbell *bell;
    struct edge *in[PHI_MAX_EDGES];
    size_t n_in;
    size_t next_in; /* where the search for the next frame begins */
    struct edge *out[PHI_MAX_EDGES];
    size_t n_out;
    void (*run)(struct node *node);
    struct phi_pipe pipe; /* filter chain and decoder nodes */
    size_t first_stage;   /* index of pipe.stages[0], or of the node's own stage */
    struct phi_pool *pools[PHI_MAX_FILTERS]; /* outputs, by stage of the pipe */
    /* generators */
    struct ph_frame *moving; /* picture under way, not from the pool */
    struct ph_frame *aimed;  /* copy of the newest latent */
    bool has_aim;
    _Atomic int64_t move_interval_ns;
    int64_t interval_seen_ns; /* generator's thread: the interval it works by */
    int64_t next_move_ns;
};

/* One stage with what the engine keeps about it. */
struct seat {
    struct phi_stage *stage;
    const struct phi_run_stage *from;
    _Atomic(struct phi_snapshot *) pending;
    uint32_t generation;       /* control side: of the newest snapshot */
    struct phi_params *newest; /* control side: a copy of the newest values */
    uint64_t n_calls;          /* stage's thread */
    int64_t started_ns;        /* stage's thread: of the call under way */
    uint32_t depth;            /* stage's thread: frames that wait behind the one in work */
};

struct phi_live {
    const struct phi_run *run;
    struct phi_live_options options;
    char run_dir[4096];
    struct seat seats[PHI_MAX_STAGES]; /* source, filters, decoder, generators, sinks */
    size_t n_seats;
    size_t n_filters;
    bool has_decoder;
    size_t n_generators;
    size_t n_sinks;

    struct node nodes[PHI_MAX_NODES]; /* source, chain, decoder, generators, sinks */
    size_t n_nodes;
    struct edge edges[PHI_MAX_NODES * 3];
    size_t n_edges;
    struct phi_pool *volumes; /* the source's */
    struct phi_pool *events;
    struct phi_order order;
    struct phi_team *team;
    struct phi_view *view;
    struct phi_voxel_list voxels; /* the filters' thread */
    struct phi_trace *trace;
    struct phi_latency *latency; /* whole run; last science thread */
    size_t view_volume_stage;    /* stage behind which the display's volume is taken; 0: source */
    struct node *last_science;

    _Atomic int state;
    _Atomic bool stop;     /* the source shall end */
    _Atomic bool aborted;  /* drop what is under way */
    _Atomic int n_running; /* threads that have not finished */
    _Atomic uint64_t n_failures;
    _Atomic uint64_t n_events;
    _Atomic(struct phi_snapshot *) retired;

    pthread_mutex_t lock; /* protects: err, failed, seats' control side, waking on state */
    pthread_cond_t changed;
    struct ph_error err;
    enum ph_status failed;
    bool started;
    bool joined;
};

/* The mark that ends a queue. */
extern struct ph_frame phi_live_end_mark;

/* Moves on to a later state and wakes who waits for it. */
void phi_live_advance(struct phi_live *live, enum phi_live_state state);

/* A thread has come to its end. */
void phi_live_leave(struct phi_live *live);

/* Keeps the first failure that ends the run, logs it, and asks the source to end. */
void phi_live_fail(struct phi_live *live, enum ph_status status, const char *format, ...)
    PH_PRINTF(3, 4);

/* The same with an error that a call has filled in. */
void phi_live_fail_as(struct phi_live *live, const struct ph_error *err);

/* Counts and logs a failed call into stage number `i`. */
void phi_live_count_failure(struct phi_live *live, size_t i, enum ph_status status,
                            const struct ph_frame *frame);

/* Rings every node's doorbell. */
void phi_live_wake_all(struct phi_live *live);

/* After discovery, in the source's thread: plans and initialises all stages, makes pools, queues,
 * view and trace, and starts the threads of all other nodes. */
PH_NODISCARD enum ph_status phi_live_plan(struct phi_live *live, struct ph_error *reterr);

/* Thread bodies. */
void phi_node_run_source(struct node *node);
void phi_node_run_pipe(struct node *node);
void phi_node_run_generator(struct node *node);
void phi_node_run_sink(struct node *node);

/* Appends to a queue; waits while it is full. After an abort the frame is released instead. */
void phi_node_push(struct node *node, struct edge *edge, struct ph_frame *frame);

/* Hands a frame (one reference, taken over) to all queues of the node that lead to kinds of nodes
 * that want it: sinks and the next science stages. */
void phi_node_fan_out(struct node *node, struct ph_frame *frame);

/* Puts the end mark into all queues of the node. */
void phi_node_end(struct node *node);

/* A frame from `pool`, waiting until one is free; NULL after an abort. */
struct ph_frame *phi_node_take(struct node *node, struct phi_pool *pool);

/* Around a call into stage number `i`: guard hook, trace, statistics. `away_ns` of the call's time
 * was spent outside the stage. */
void phi_node_before(struct node *node, size_t i);
void phi_node_after(struct node *node, size_t i, const struct ph_frame *frame, int64_t away_ns);

#endif
