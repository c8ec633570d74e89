/* SPDX-License-Identifier: MIT */
#include "rt/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

struct phi_thread {
    pthread_t id;
    char name[16];
    int core;
    void (*fn)(void *arg);
    void *arg;
};

static void *start(void *self)
{
    struct phi_thread *thread = self;
    cpu_set_t cores;

    (void)pthread_setname_np(pthread_self(), thread->name);
    if (thread->core >= 0 && thread->core < CPU_SETSIZE) {
        CPU_ZERO(&cores);
        CPU_SET((size_t)thread->core, &cores);
        (void)pthread_setaffinity_np(pthread_self(), sizeof cores, &cores); /* only a wish */
    }
    thread->fn(thread->arg);
    return NULL;
}

/* pthread_create hands on the signal mask, so all is blocked before anything runs in it. */
static int create_masked(struct phi_thread *thread)
{
    sigset_t all;
    sigset_t old;
    int code;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    code = pthread_create(&thread->id, NULL, start, thread);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return code;
}

enum ph_status phi_thread_create(const char *name, int core, void (*fn)(void *arg), void *arg,
                                 struct phi_thread **ret_thread, struct ph_error *reterr)
{
    struct phi_thread *thread = phi_calloc(1, sizeof *thread);
    int code;

    if (!thread)
        return phi_error_nomem(reterr, "a thread", sizeof *thread);
    (void)phi_str_copy(thread->name, sizeof thread->name, name);
    thread->core = core;
    thread->fn = fn;
    thread->arg = arg;
    code = create_masked(thread);
    if (code != 0) {
        phi_free(thread);
        return phi_error_os(reterr, PH_E_NOMEM, code, "cannot start the thread '%s'", name);
    }
    *ret_thread = thread;
    return PH_OK;
}

void phi_thread_join(struct phi_thread **thread)
{
    if (!thread || !*thread)
        return;
    (void)pthread_join((*thread)->id, NULL);
    phi_free(*thread);
    *thread = NULL;
}

enum ph_status phi_thread_realtime(int priority, struct ph_error *reterr)
{
    struct sched_param param = {.sched_priority = priority};
    int code = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);

    if (code == 0)
        return PH_OK;
    return phi_error_os(reterr, PH_E_IO, code, "real-time priority %d is not allowed here",
                        priority);
}

int phi_thread_cores(void)
{
    cpu_set_t cores;

    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    return CPU_COUNT(&cores) > 0 ? CPU_COUNT(&cores) : 1;
}
