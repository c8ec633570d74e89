/* SPDX-License-Identifier: MIT
 *
 * What each stage did when: one track a stage, a fixed ring of the newest spans, always on. A track
 * is written by its stage's thread alone and read after that thread has been joined.
 */
#ifndef PHI_RT_TRACE_H
#define PHI_RT_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_TRACE_SPANS 16384 /* newest spans kept a track */

struct phi_trace;

struct phi_span_record {
    uint64_t index;    /* volume */
    int64_t queued_ns; /* entered the stage's queue; 0 if unknown */
    int64_t start_ns;
    int64_t end_ns;
    uint32_t kind;  /* enum ph_frame_kind */
    uint32_t depth; /* frames still waiting when it started */
};

/* `n_tracks` empty tracks of `n_spans` spans (0: PHI_TRACE_SPANS). Owned by the caller. */
PH_NODISCARD enum ph_status phi_trace_create(size_t n_tracks, size_t n_spans,
                                             struct phi_trace **ret_trace, struct ph_error *reterr);

/* Frees; accepts NULL and *trace == NULL, clears *trace. */
void phi_trace_destroy(struct phi_trace **trace);

/* Before the threads start: what the track is called in the file (31 bytes). */
void phi_trace_name(struct phi_trace *trace, size_t track, const char *name);

/* The track's thread: one more span; the oldest is overwritten when the ring is full. */
void phi_trace_add(struct phi_trace *trace, size_t track, const struct phi_span_record *span);

/* After the threads were joined: spans added so far, and span number `i` counted from the oldest
 * kept one; NULL behind the newest. */
uint64_t phi_trace_count(const struct phi_trace *trace, size_t track);
const struct phi_span_record *phi_trace_at(const struct phi_trace *trace, size_t track, size_t i);

/* After the threads were joined: writes Chrome trace JSON (chrome://tracing, ui.perfetto.dev). */
PH_NODISCARD enum ph_status phi_trace_write(const struct phi_trace *trace, const char *path,
                                            struct ph_error *reterr);

#endif
