/* SPDX-License-Identifier: MIT
 *
 * Percentiles of measured times. Pure functions on the caller's memory.
 */
#ifndef TOOLS_BENCH_STATS_H
#define TOOLS_BENCH_STATS_H

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

/* Of times in ms. */
struct bench_stats {
    size_t n;
    double p50_ms, p99_ms, max_ms;
};

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts values[n], n > 0, and gives the least value that a share of at least `share` does not
 * exceed. */
static inline double bench_percentile(double *values, size_t n, double share)
{
    size_t rank = (size_t)ceil(share * (double)n);

    qsort(values, n, sizeof *values, bench_compare);
    return values[rank > n ? n - 1 : rank > 0 ? rank - 1 : 0];
}

/* All figures of values[n], which are sorted; zeros without values. */
static inline struct bench_stats bench_stats_of(double *values, size_t n)
{
    struct bench_stats stats = {.n = n};

    if (n == 0)
        return stats;
    stats.p50_ms = bench_percentile(values, n, 0.5);
    stats.p99_ms = bench_percentile(values, n, 0.99);
    stats.max_ms = values[n - 1];
    return stats;
}

#endif
