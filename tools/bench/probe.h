/* SPDX-License-Identifier: MIT
 *
 * What this machine can do at this moment, measured in the same process just before and just after
 * a run: how fast memory is read and copied, how fast floats are multiplied, how long the disk
 * takes to have a volume safe. The floor of a stage is its bytes and its arithmetic at these rates.
 * Main thread, while no run is on.
 */
#ifndef TOOLS_BENCH_PROBE_H
#define TOOLS_BENCH_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct bench_probe {
    double read_gb_s;     /* one thread reading memory */
    double read_all_gb_s; /* `workers` threads reading at once */
    double copy_gb_s;     /* one thread, read plus written bytes of a memcpy of one volume */
    double gflops;        /* float32 matrix product, one thread */
    double gflops_all;    /* `workers` threads, each its own product */
    double sync_p50_ms;   /* write and fdatasync of one volume into the folder of the recording */
    double sync_p99_ms;
    double load; /* processes waiting for a processor, the last minute's mean */
};

struct bench_probe_config {
    size_t n_read_bytes;  /* as much as the largest stage reads; at least 64 MB are read */
    size_t n_image_bytes; /* of one volume on the wire */
    size_t n_float_bytes; /* of one volume as floats */
    size_t workers;
    const char *dir;
    bool quick; /* fewer repeats, for tests */
};

/* Runs the probes, one to three seconds. */
PH_NODISCARD enum ph_status bench_probe_run(const struct bench_probe_config *config,
                                            struct bench_probe *ret_probe, struct ph_error *reterr);

#endif
