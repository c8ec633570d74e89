/* SPDX-License-Identifier: MIT */
#include "rt/latency.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"

#define STEPS    32 /* an octave */
#define SHIFT    5  /* log2 of STEPS */
#define OCTAVES  44 /* 2^48 ns are 3 days */
#define N_COUNTS (STEPS * OCTAVES)
#define WINDOW   1024

struct phi_latency {
    _Atomic uint64_t total[N_COUNTS];
    _Atomic uint32_t window[N_COUNTS];
    _Atomic int64_t max_ns;
    uint16_t newest[WINDOW]; /* bucket of each value in the window; adder's */
    uint64_t n;
};

enum ph_status phi_latency_create(struct phi_latency **ret_latency, struct ph_error *reterr)
{
    struct phi_latency *latency = phi_calloc(1, sizeof *latency);

    if (!latency)
        return phi_error_nomem(reterr, "a histogram", sizeof *latency);
    *ret_latency = latency;
    return PH_OK;
}

void phi_latency_destroy(struct phi_latency **latency)
{
    if (!latency || !*latency)
        return;
    phi_free(*latency);
    *latency = NULL;
}

/* Values below STEPS have a bucket each; above, the leading bit picks the octave and the next SHIFT
 * bits the step in it. */
static size_t bucket_of(int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    unsigned octave;
    size_t bucket;

    if (value < STEPS)
        return (size_t)value;
    octave = 63u - (unsigned)__builtin_clzll(value) - SHIFT;
    bucket = (size_t)(octave + 1) * STEPS + (size_t)((value >> octave) & (STEPS - 1));
    return bucket < N_COUNTS ? bucket : N_COUNTS - 1;
}

/* Largest value that falls into the bucket. */
static int64_t upper_edge(size_t bucket)
{
    uint64_t octave;

    if (bucket < STEPS)
        return (int64_t)bucket;
    octave = bucket / STEPS - 1;
    return (int64_t)(((STEPS + bucket % STEPS + 1) << octave) - 1);
}

void phi_latency_add(struct phi_latency *latency, int64_t ns)
{
    size_t bucket = bucket_of(ns);
    size_t place = latency->n % WINDOW;

    if (latency->n >= WINDOW)
        atomic_fetch_sub_explicit(&latency->window[latency->newest[place]], 1,
                                  memory_order_relaxed);
    latency->newest[place] = (uint16_t)bucket;
    latency->n++;
    atomic_fetch_add_explicit(&latency->window[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&latency->total[bucket], 1, memory_order_relaxed);
    if (ns > atomic_load_explicit(&latency->max_ns, memory_order_relaxed))
        atomic_store_explicit(&latency->max_ns, ns, memory_order_relaxed);
}

static uint64_t count_at(const struct phi_latency *latency, bool window, size_t i)
{
    return window ? atomic_load_explicit(&latency->window[i], memory_order_relaxed)
                  : atomic_load_explicit(&latency->total[i], memory_order_relaxed);
}

static int64_t percentile(const struct phi_latency *latency, bool window, uint64_t n, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)n);
    uint64_t sum = 0;

    if (n == 0)
        return 0;
    if (wanted >= n)
        wanted = n - 1;
    for (size_t i = 0; i < N_COUNTS; i++) {
        sum += count_at(latency, window, i);
        if (sum > wanted)
            return upper_edge(i);
    }
    return upper_edge(N_COUNTS - 1); /* counts changed while we looked */
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void stats(const struct phi_latency *latency, bool window,
                  struct phi_latency_stats *ret_stats)
{
    uint64_t n = 0;
    size_t last = 0;

    for (size_t i = 0; i < N_COUNTS; i++) {
        uint64_t count = count_at(latency, window, i);

        n += count;
        if (count)
            last = i;
    }
    *ret_stats = (struct phi_latency_stats){
        .n = n,
        .p50_ns = percentile(latency, window, n, 0.5),
        .p99_ns = percentile(latency, window, n, 0.99),
        .p999_ns = percentile(latency, window, n, 0.999),
        .max_ns = n ? upper_edge(last) : 0,
    };
    if (n == 0 || window)
        return;
    ret_stats->max_ns = atomic_load_explicit(&latency->max_ns, memory_order_relaxed);
    ret_stats->p50_ns = least(ret_stats->p50_ns, ret_stats->max_ns);
    ret_stats->p99_ns = least(ret_stats->p99_ns, ret_stats->max_ns);
    ret_stats->p999_ns = least(ret_stats->p999_ns, ret_stats->max_ns);
}

void phi_latency_window(const struct phi_latency *latency, struct phi_latency_stats *ret_stats)
{
    stats(latency, true, ret_stats);
}

void phi_latency_total(const struct phi_latency *latency, struct phi_latency_stats *ret_stats)
{
    stats(latency, false, ret_stats);
}
