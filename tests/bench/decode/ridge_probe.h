/* SPDX-License-Identifier: MIT
 *
 * What the ridge benchmarks share: processor and wall time, the speed of sgemm here and now, and
 * the peak of resident memory since it was last reset.
 */
#ifndef BENCH_RIDGE_PROBE_H
#define BENCH_RIDGE_PROBE_H

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { PROBE = 1024 };

static inline double clock_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

static inline double wall_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

/* Flops a second of sgemm on one thread, best of five; 0 without memory. */
static inline double sgemm_speed(void)
{
    float *a = phi_calloc2(PROBE, PROBE, sizeof *a), *c = phi_calloc2(PROBE, PROBE, sizeof *c);
    double best = INFINITY;

    for (size_t i = 0; a && i < (size_t)PROBE * PROBE; i++)
        a[i] = (float)(i % 1000) / 1000 - 0.5F;
    for (int i = 0; a && c && i < 5; i++) {
        double start = cpu_s();

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, PROBE, PROBE, PROBE, 1, a, PROBE, a,
                    PROBE, 0, c, PROBE);
        best = fmin(best, cpu_s() - start);
    }
    phi_free(a);
    phi_free(c);
    return 2.0 * PROBE * PROBE * PROBE / best;
}

/* Peak resident memory in GB, as the kernel counts it. */
static inline double peak_gb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1)
            break;
    if (file)
        (void)fclose(file);
    return kb * 1024 / 1e9;
}

static inline void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");

    if (file) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

#endif
