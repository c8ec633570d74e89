/* SPDX-License-Identifier: MIT
 *
 * One run of the real engine over the wire, at a given pace or flat out, with a view attached and
 * read sixty times a second or with the display drawing into memory; and its times, taken from the
 * engine's own trace and from the sender. Main thread.
 */
#ifndef TOOLS_BENCH_PASS_H
#define TOOLS_BENCH_PASS_H

#include "bench/sender.h"
#include "bench/stats.h"
#include "graph/live.h"
#include "host/registry.h"

#define BENCH_MAX_STAGES PHI_VIEW_STAGES
#define BENCH_N_RSS      11 /* at the start, and after each tenth of the run */

struct bench_pass_config {
    const struct bench_setup *setup;
    const struct phi_registry *registry;
    uint64_t n_volumes;
    double rate; /* volumes a second; 0: flat out */
    bool display;
    const char *trace_path; /* Chrome trace JSON; "": none */
};

struct bench_stage {
    char name[32];
    struct bench_stats busy;  /* a call */
    struct bench_stats waits; /* in the queue before the stage; n 0 where it has none */
};

struct bench_result {
    double rate;
    uint64_t n_volumes, n_skipped; /* the first ones count in no time */
    double planned_ms; /* first volume sent -> acknowledged: the models are read meanwhile */
    double seconds;    /* second volume sent -> last one done */
    struct phi_live_summary summary;
    struct bench_sent sent;     /* its arrays are gone */
    bool acks_in_order;         /* acknowledged in the order of the volumes */
    bool stages_in_order;       /* each stage saw rising indices */
    struct bench_stats decoded; /* complete at the socket -> end of the last filter or decoder */
    struct bench_stats picture; /* complete at the socket -> its last picture in the mailbox */
    struct bench_stats first;   /* complete at the socket -> its first picture in the mailbox */
    struct bench_stats shown;   /* sent -> last picture in the mailbox */
    struct bench_stats ack;     /* sent -> acknowledgement heard */
    struct bench_stats filters; /* time in all filters, a volume */
    uint64_t n_pictures;        /* rendered */
    uint64_t n_seen_pictures;   /* taken from the mailbox */
    uint64_t n_drawn;           /* frames that the display drew */
    size_t n_stages;
    struct bench_stage stages[BENCH_MAX_STAGES];
    double rss_mb[BENCH_N_RSS];
};

/* Runs one pass; its recording is made and removed again in the setup's folder. */
PH_NODISCARD enum ph_status bench_pass_run(const struct bench_pass_config *config,
                                           struct bench_result *ret_result,
                                           struct ph_error *reterr);

#endif
