/* SPDX-License-Identifier: MIT
 *
 * Timing for the benchmarks of the temporal kernels. The machine may be busy, so that each figure
 * is the least of many repeats, and what is compared is measured turn by turn. One thread.
 */
#ifndef TESTS_BENCH_TEMPORAL_TIMING_H
#define TESTS_BENCH_TEMPORAL_TIMING_H

#include <time.h>

static inline double timing_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* What is timed. */
typedef void timing_fn(void *arg);

/* Times `n` functions turn by turn, `repeats` rounds; ret_ms[n] are the least times. */
static inline void timing_least(timing_fn *const *run, void *const *arg, int n, int repeats,
                                double *ret_ms)
{
    for (int i = 0; i < n; i++)
        ret_ms[i] = 1e30;
    for (int r = 0; r < repeats; r++)
        for (int i = 0; i < n; i++) {
            double start = timing_now_ms();
            double took;

            run[i](arg[i]);
            took = timing_now_ms() - start;
            ret_ms[i] = took < ret_ms[i] ? took : ret_ms[i];
        }
}

#endif
