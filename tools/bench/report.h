/* SPDX-License-Identifier: MIT
 *
 * The figures of a benchmark as a table for people and as JSON, each beside the floor that this
 * machine's memory, arithmetic and disk set at the same moment. Main thread.
 */
#ifndef TOOLS_BENCH_REPORT_H
#define TOOLS_BENCH_REPORT_H

#include "bench/pass.h"
#include "bench/probe.h"

struct bench_report {
    const struct bench_setup *setup;
    struct bench_probe before, after;
    size_t n_passes;
    struct bench_result passes[2];
};

/* Least time in ms that stage `name` could take on one frame: its bytes and its arithmetic at the
 * better of the probed rates; 0 where none is known. */
double bench_floor_ms(const struct bench_report *report, const char *name);

/* Both print to stdout. */
void bench_report_text(const struct bench_report *report);
void bench_report_json(const struct bench_report *report);

#endif
