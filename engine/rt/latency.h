/* SPDX-License-Identifier: MIT
 *
 * How long things took: a histogram with 32 steps an octave (3 % resolution) over the newest 1024
 * values and another over all. One thread adds, any thread asks; neither waits.
 */
#ifndef PHI_RT_LATENCY_H
#define PHI_RT_LATENCY_H

#include <stdint.h>

#include "phosphene/status.h"

struct phi_latency;

struct phi_latency_stats {
    uint64_t n; /* values behind the figures */
    int64_t p50_ns;
    int64_t p99_ns;
    int64_t p999_ns;
    int64_t max_ns;
};

/* An empty histogram, owned by the caller. */
PH_NODISCARD enum ph_status phi_latency_create(struct phi_latency **ret_latency,
                                               struct ph_error *reterr);

/* Frees; accepts NULL and *latency == NULL, clears *latency. */
void phi_latency_destroy(struct phi_latency **latency);

/* The adding thread: one more value; negative ones count as 0. */
void phi_latency_add(struct phi_latency *latency, int64_t ns);

/* Any thread: figures over the newest 1024 values, or over all. A percentile is the upper edge of
 * its step, so never too small; 0 without values. */
void phi_latency_window(const struct phi_latency *latency, struct phi_latency_stats *ret_stats);
void phi_latency_total(const struct phi_latency *latency, struct phi_latency_stats *ret_stats);

#endif
