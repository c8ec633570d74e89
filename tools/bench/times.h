/* SPDX-License-Identifier: MIT
 *
 * From the engine's trace and the sender's notes to the figures of one pass. All clocks are the
 * same one, so differences between the two sides are times. Main thread, after the run.
 */
#ifndef TOOLS_BENCH_TIMES_H
#define TOOLS_BENCH_TIMES_H

#include "bench/pass.h"

/* Fills the figures of `result`, whose `sent` and `n_volumes` are there. The trace keeps the newest
 * 16384 spans of a stage: longer runs are judged by their end. */
PH_NODISCARD enum ph_status bench_times_of(const struct phi_trace *trace,
                                           const struct phi_view_info *info,
                                           struct bench_result *result, struct ph_error *reterr);

#endif
