/* SPDX-License-Identifier: MIT */
#include "bench/probe.h"

#include <cblas.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/simd.h"
#include "bench/stats.h"
#include "rt/clock.h"

#define MATRIX      768
#define MIN_READ    ((size_t)64 << 20)
#define MAX_THREADS 16

enum work { READ, MULTIPLY };

struct crew {
    enum work work;
    size_t n_threads, n_repeats;
    uint64_t *words;
    size_t n_words;
    float *a, *c;
    pthread_barrier_t barrier;
    _Atomic uint64_t sink;
};

struct member {
    struct crew *crew;
    size_t number;
    pthread_t thread;
};

/* Many accumulators, so that memory alone is the limit. */
PHI_VECTOR
static uint64_t read_words(const uint64_t *words, size_t n)
{
    uint64_t acc[32] = {0};
    uint64_t sum = 0;

    for (size_t i = 0; i + 32 <= n; i += 32)
        for (size_t l = 0; l < 32; l++)
            acc[l] ^= words[i + l];
    for (size_t l = 0; l < 32; l++)
        sum ^= acc[l];
    return sum;
}

static void do_work(struct crew *crew, size_t number)
{
    size_t share = crew->n_words / crew->n_threads;

    if (crew->work == READ)
        atomic_fetch_xor(&crew->sink, read_words(crew->words + number * share, share));
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, MATRIX, MATRIX, MATRIX, 1.0F,
                    crew->a, MATRIX, crew->a, MATRIX, 0.0F,
                    crew->c + number * MATRIX * (size_t)MATRIX, MATRIX);
}

static void *member_main(void *arg)
{
    struct member *member = arg;

    for (size_t r = 0; r < member->crew->n_repeats; r++) {
        (void)pthread_barrier_wait(&member->crew->barrier);
        do_work(member->crew, member->number);
        (void)pthread_barrier_wait(&member->crew->barrier);
    }
    return NULL;
}

/* Median time in ms of a round in which every member of the crew does its work. */
static enum ph_status time_crew(struct crew *crew, double *ret_ms, struct ph_error *reterr)
{
    struct member members[MAX_THREADS];
    double ms[64];
    size_t n = 0;

    (void)pthread_barrier_init(&crew->barrier, NULL, (unsigned)crew->n_threads);
    for (n = 1; n < crew->n_threads; n++) {
        members[n] = (struct member){crew, n, 0};
        if (pthread_create(&members[n].thread, NULL, member_main, &members[n]) != 0)
            return phi_error(reterr, PH_E_NOMEM, "cannot start a thread"); /* ends the program */
    }
    for (size_t r = 0; r < crew->n_repeats; r++) {
        int64_t start_ns;

        (void)pthread_barrier_wait(&crew->barrier);
        start_ns = phi_clock_ns();
        do_work(crew, 0);
        (void)pthread_barrier_wait(&crew->barrier);
        ms[r] = (double)(phi_clock_ns() - start_ns) / 1e6;
    }
    for (n = 1; n < crew->n_threads; n++)
        (void)pthread_join(members[n].thread, NULL);
    (void)pthread_barrier_destroy(&crew->barrier);
    *ret_ms = bench_percentile(ms, crew->n_repeats, 0.5);
    return PH_OK;
}

static enum ph_status probe_rates(struct crew *crew, size_t workers, struct bench_probe *probe,
                                  struct ph_error *reterr)
{
    const double flop = 2.0 * MATRIX * MATRIX * MATRIX;
    double *const into[2][2] = {{&probe->read_gb_s, &probe->read_all_gb_s},
                                {&probe->gflops, &probe->gflops_all}};

    for (int work = 0; work < 2; work++)
        for (int all = 0; all < 2; all++) {
            double ms = 0;
            enum ph_status status;

            crew->work = work ? MULTIPLY : READ;
            crew->n_threads = all ? workers : 1;
            status = time_crew(crew, &ms, reterr);
            if (status != PH_OK)
                return status;
            *into[work][all] = work ? flop * (double)crew->n_threads / ms * 1e-6
                                    : (double)crew->n_words * 8e-6 / ms;
        }
    return PH_OK;
}

static enum ph_status probe_compute(const struct bench_probe_config *config,
                                    struct bench_probe *probe, struct ph_error *reterr)
{
    size_t n_bytes = config->n_read_bytes > MIN_READ ? config->n_read_bytes : MIN_READ;
    size_t n_matrix = (size_t)MATRIX * MATRIX;
    size_t workers = config->workers < MAX_THREADS ? config->workers : MAX_THREADS;
    struct crew crew = {.n_repeats = config->quick ? 3 : 15};
    enum ph_status status = PH_OK;

    crew.n_words = n_bytes / 8;
    crew.words = phi_calloc(crew.n_words, 8);
    crew.a = phi_calloc(n_matrix, sizeof *crew.a);
    crew.c = phi_calloc2(n_matrix, MAX_THREADS, sizeof *crew.c);
    if (!crew.words || !crew.a || !crew.c)
        status = phi_error_nomem(reterr, "the probe of memory", n_bytes);
    if (status == PH_OK) {
        memset(crew.words, 1, crew.n_words * 8); /* untouched pages would all be one page */
        status = probe_rates(&crew, workers ? workers : 1, probe, reterr);
    }
    phi_free(crew.words);
    phi_free(crew.a);
    phi_free(crew.c);
    return status;
}

static enum ph_status probe_copy(const struct bench_probe_config *config, struct bench_probe *probe,
                                 struct ph_error *reterr)
{
    size_t n = config->n_float_bytes;
    unsigned char *from = phi_calloc(n, 1), *to = phi_calloc(n, 1);
    double ms[32];
    size_t n_repeats = config->quick ? 5 : 32;

    if (!from || !to) {
        phi_free(from);
        phi_free(to);
        return phi_error_nomem(reterr, "the probe of memory", n);
    }
    memset(from, 1, n);
    for (size_t r = 0; r < n_repeats; r++) {
        int64_t start_ns = phi_clock_ns();

        memcpy(to, from, n);
        from[r] = to[n - 1 - r]; /* the copy is needed */
        ms[r] = (double)(phi_clock_ns() - start_ns) / 1e6;
    }
    probe->copy_gb_s = 2e-6 * (double)n / bench_percentile(ms, n_repeats, 0.5);
    phi_free(from);
    phi_free(to);
    return PH_OK;
}

static enum ph_status probe_sync(const struct bench_probe_config *config, struct bench_probe *probe,
                                 struct ph_error *reterr)
{
    char path[PATH_MAX];
    unsigned char *bytes = phi_calloc(config->n_image_bytes, 1);
    size_t n_repeats = config->quick ? 5 : 60;
    double ms[64];
    bool good = bytes != NULL;
    int fd = -1;

    (void)snprintf(path, sizeof path, "%.4000s/sync-probe", config->dir);
    if (good)
        fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    good = good && fd >= 0;
    for (size_t r = 0; r < n_repeats && good; r++) {
        int64_t start_ns = phi_clock_ns();

        bytes[r % config->n_image_bytes] = (unsigned char)r;
        good = write(fd, bytes, config->n_image_bytes) == (ssize_t)config->n_image_bytes &&
               fdatasync(fd) == 0;
        ms[r] = (double)(phi_clock_ns() - start_ns) / 1e6;
    }
    phi_free(bytes);
    if (fd >= 0)
        (void)close(fd);
    (void)unlink(path);
    if (!good)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", path);
    probe->sync_p50_ms = bench_percentile(ms, n_repeats, 0.5);
    probe->sync_p99_ms = bench_percentile(ms, n_repeats, 0.99);
    return PH_OK;
}

enum ph_status bench_probe_run(const struct bench_probe_config *config,
                               struct bench_probe *ret_probe, struct ph_error *reterr)
{
    struct bench_probe probe = {0};
    enum ph_status status = probe_compute(config, &probe, reterr);

    if (status == PH_OK)
        status = probe_copy(config, &probe, reterr);
    if (status == PH_OK)
        status = probe_sync(config, &probe, reterr);
    if (getloadavg(&probe.load, 1) != 1)
        probe.load = 0;
    if (status == PH_OK)
        *ret_probe = probe;
    return status;
}
