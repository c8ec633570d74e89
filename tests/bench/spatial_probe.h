/* SPDX-License-Identifier: MIT
 *
 * Timing for the spatial benchmarks: the median of repeats, and two probes run in the same process
 * right beside what is measured, a matrix product for arithmetic and a copy for memory, so that a
 * figure can be stated as a ratio to what this machine does at this moment. One thread.
 */
#ifndef TESTS_BENCH_SPATIAL_PROBE_H
#define TESTS_BENCH_SPATIAL_PROBE_H

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define PROBE_REPEATS 21
#define PROBE_MATRIX  768

static inline double probe_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static inline int probe_compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median time in ms of PROBE_REPEATS calls of run(arg), after three to warm up. */
static inline double probe_median_ms(void (*run)(void *arg), void *arg)
{
    double times[PROBE_REPEATS];

    for (int i = 0; i < 3; i++)
        run(arg);
    for (int i = 0; i < PROBE_REPEATS; i++) {
        double start = probe_now_ms();

        run(arg);
        times[i] = probe_now_ms() - start;
    }
    qsort(times, PROBE_REPEATS, sizeof *times, probe_compare);
    return times[PROBE_REPEATS / 2];
}

struct probe {
    float *a;
    float *b;
    size_t n_copy;
    double gflops;       /* float32, single precision matrix product */
    double gbytes_per_s; /* read plus write of a copy of n_copy floats */
};

static inline void probe_gemm(void *arg)
{
    struct probe *p = arg;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, PROBE_MATRIX, PROBE_MATRIX, PROBE_MATRIX,
                1.0F, p->a, PROBE_MATRIX, p->a, PROBE_MATRIX, 0.0F, p->b, PROBE_MATRIX);
}

static inline void probe_copy(void *arg)
{
    struct probe *p = arg;

    memcpy(p->b, p->a, p->n_copy * sizeof(float));
}

/* Measures the machine with a copy of `n_copy` floats (the size of the volume at hand). */
static inline struct probe probe_machine(size_t n_copy)
{
    size_t n = (size_t)PROBE_MATRIX * PROBE_MATRIX;
    struct probe p = {.n_copy = n_copy};

    openblas_set_num_threads(1);
    p.a = phi_calloc(n > n_copy ? n : n_copy, sizeof(float));
    p.b = phi_calloc(n > n_copy ? n : n_copy, sizeof(float));
    if (!p.a || !p.b)
        exit(1);
    p.gflops = 2e-6 * (double)n * PROBE_MATRIX / probe_median_ms(probe_gemm, &p);
    p.gbytes_per_s = 8e-6 * (double)n_copy / probe_median_ms(probe_copy, &p);
    phi_free(p.a);
    phi_free(p.b);
    return p;
}

/* The longer of arithmetic and memory time, in ms. */
static inline double probe_floor_ms(const struct probe *p, double mflop, double mbytes)
{
    double arithmetic = mflop / p->gflops;
    double memory = mbytes / p->gbytes_per_s;

    return arithmetic > memory ? arithmetic : memory;
}

#endif
