/* SPDX-License-Identifier: MIT */
#include "decode/fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct fork_state {
    phi_fork_fn *fn;
    void *ctx;
    size_t n_tasks;
    atomic_size_t next;
    atomic_int failed;
    pthread_mutex_t lock; /* guards err */
    struct ph_error err;
};

struct fork_worker {
    struct fork_state *state;
    size_t number;
};

static void keep_first_error(struct fork_state *state, const struct ph_error *err, int status)
{
    pthread_mutex_lock(&state->lock);
    if (!atomic_load(&state->failed)) {
        state->err = *err;
        atomic_store(&state->failed, status);
    }
    pthread_mutex_unlock(&state->lock);
}

static void *work(void *arg)
{
    const struct fork_worker *worker = arg;
    struct fork_state *state = worker->state;

    while (!atomic_load(&state->failed)) {
        size_t task = atomic_fetch_add(&state->next, 1);
        struct ph_error err = {0};
        enum ph_status status;

        if (task >= state->n_tasks)
            break;
        status = state->fn(state->ctx, task, worker->number, &err);
        if (status < 0)
            keep_first_error(state, &err, status);
    }
    return NULL;
}

size_t phi_fork_threads(size_t n_threads)
{
    long n_online = n_threads ? 0 : sysconf(_SC_NPROCESSORS_ONLN);

    if (!n_threads)
        n_threads = n_online > 0 ? (size_t)n_online : 1;
    return n_threads < PHI_FORK_MAX_THREADS ? n_threads : PHI_FORK_MAX_THREADS;
}

enum ph_status phi_fork(size_t n_threads, size_t n_tasks, phi_fork_fn *fn, void *ctx,
                        struct ph_error *reterr)
{
    struct fork_state state = {.fn = fn, .ctx = ctx, .n_tasks = n_tasks};
    struct fork_worker workers[PHI_FORK_MAX_THREADS];
    pthread_t threads[PHI_FORK_MAX_THREADS];
    size_t n_started = 0;

    n_threads = phi_fork_threads(n_threads);
    if (n_threads > n_tasks)
        n_threads = n_tasks ? n_tasks : 1;
    pthread_mutex_init(&state.lock, NULL);
    for (size_t i = 0; i < n_threads; i++)
        workers[i] = (struct fork_worker){&state, i};
    while (n_started + 1 < n_threads &&
           pthread_create(&threads[n_started], NULL, work, &workers[n_started + 1]) == 0)
        n_started++;
    (void)work(&workers[0]);
    for (size_t i = 0; i < n_started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&state.lock);
    if (atomic_load(&state.failed) && reterr)
        *reterr = state.err;
    return (enum ph_status)atomic_load(&state.failed);
}
