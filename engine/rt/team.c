/* SPDX-License-Identifier: MIT */
#include "rt/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "rt/thread.h"

struct phi_team {
    _Atomic bool busy;
    _Alignas(PHI_ALIGN) _Atomic size_t next; /* round to do next */
    _Alignas(PHI_ALIGN) pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t done;
    /* below: protected by lock */
    unsigned job;    /* counts the loops */
    bool open;       /* the loop may have rounds left: threads that wake may join it */
    size_t n_active; /* threads that have joined and not finished */
    bool stop;
    size_t n;
    void (*fn)(void *arg, size_t i);
    void *arg;
    /* constant after create */
    size_t n_threads;
    struct phi_thread **threads;
};

static void do_rounds(struct phi_team *team, size_t n, void (*fn)(void *arg, size_t i), void *arg)
{
    size_t i;

    while ((i = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed)) < n)
        fn(arg, i);
}

static void work(void *self)
{
    struct phi_team *team = self;
    unsigned seen = 0;

    (void)pthread_mutex_lock(&team->lock);
    for (;;) {
        size_t n;
        void (*fn)(void *arg, size_t i);
        void *arg;

        while (!team->stop && (!team->open || team->job == seen))
            (void)pthread_cond_wait(&team->work, &team->lock);
        if (team->stop)
            break;
        seen = team->job;
        team->n_active++;
        n = team->n;
        fn = team->fn;
        arg = team->arg;
        (void)pthread_mutex_unlock(&team->lock);
        do_rounds(team, n, fn, arg);
        (void)pthread_mutex_lock(&team->lock);
        if (--team->n_active == 0)
            (void)pthread_cond_signal(&team->done);
    }
    (void)pthread_mutex_unlock(&team->lock);
}

static enum ph_status start_threads(struct phi_team *team, size_t n, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 0; i < n && status == PH_OK; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "worker%u", (unsigned)(i % 1000));
        status = phi_thread_create(name, -1, work, team, &team->threads[i], reterr);
        if (status == PH_OK)
            team->n_threads++;
    }
    return status;
}

enum ph_status phi_team_create(size_t n_workers, struct phi_team **ret_team,
                               struct ph_error *reterr)
{
    struct phi_team *team = phi_calloc(1, sizeof *team);
    enum ph_status status;

    if (!team)
        return phi_error_nomem(reterr, "the workers", sizeof *team);
    team->threads = phi_calloc(n_workers, sizeof *team->threads);
    if (!team->threads) {
        phi_free(team);
        return phi_error_nomem(reterr, "the workers", n_workers);
    }
    (void)pthread_mutex_init(&team->lock, NULL);
    (void)pthread_cond_init(&team->work, NULL);
    (void)pthread_cond_init(&team->done, NULL);
    status = start_threads(team, n_workers ? n_workers - 1 : 0, reterr);
    if (status != PH_OK) {
        phi_team_destroy(&team);
        return status;
    }
    *ret_team = team;
    return PH_OK;
}

void phi_team_destroy(struct phi_team **team)
{
    struct phi_team *t = team ? *team : NULL;

    if (!t)
        return;
    (void)pthread_mutex_lock(&t->lock);
    t->stop = true;
    (void)pthread_cond_broadcast(&t->work);
    (void)pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < t->n_threads; i++)
        phi_thread_join(&t->threads[i]);
    (void)pthread_cond_destroy(&t->work);
    (void)pthread_cond_destroy(&t->done);
    (void)pthread_mutex_destroy(&t->lock);
    phi_free(t->threads);
    phi_free(t);
    *team = NULL;
}

void phi_team_for(struct phi_team *team, size_t n, void (*fn)(void *arg, size_t i), void *arg)
{
    if (n < 2 || team->n_threads == 0 || atomic_exchange(&team->busy, true)) {
        for (size_t i = 0; i < n; i++)
            fn(arg, i);
        return;
    }
    (void)pthread_mutex_lock(&team->lock);
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    team->n = n;
    team->fn = fn;
    team->arg = arg;
    team->open = true;
    team->job++;
    (void)pthread_cond_broadcast(&team->work);
    (void)pthread_mutex_unlock(&team->lock);
    do_rounds(team, n, fn, arg);
    (void)pthread_mutex_lock(&team->lock);
    /* A thread that has not woken has nothing to do any more: on a busy machine it may be long in
     * coming, and the volume does not wait for it. */
    team->open = false;
    while (team->n_active > 0)
        (void)pthread_cond_wait(&team->done, &team->lock);
    (void)pthread_mutex_unlock(&team->lock);
    atomic_store(&team->busy, false);
}

size_t phi_team_size(const struct phi_team *team)
{
    return team->n_threads + 1;
}
