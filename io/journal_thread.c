/* SPDX-License-Identifier: MIT
 *
 * A ring of slots: [done, written) stand on the disk and wait to be fetched, [written, submitted)
 * wait to be written. The thread takes all that waits as one batch, so a disk whose flush takes
 * long gets fewer, larger flushes.
 */
#include "io/journal_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

#define MAX_BATCH   64
#define RETRY_NS    ((int64_t)200000000)
#define LAST_TRY_NS ((int64_t)2000000000)

struct slot {
    struct phi_journal_record record;
    uint32_t token;
};

struct phi_journal_thread {
    struct phi_journal_writer *writer; /* the thread's own while it runs */
    pthread_t thread;
    bool has_thread, has_mutex, has_cond;
    int fd;
    uint32_t capacity;
    struct slot *slots;  /* [capacity] */
    unsigned char *meta; /* [capacity][PHI_JOURNAL_THREAD_META] */
    pthread_mutex_t mutex;
    pthread_cond_t cond; /* something was submitted, or stopping */
    /* protected by mutex */
    uint64_t submitted, written, done;
    bool stopping;
    struct phi_journal_thread_state state;
};

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wait_ns(struct phi_journal_thread *thread, int64_t ns)
{
    int64_t due = now_ns() + ns;
    struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};

    (void)pthread_cond_timedwait(&thread->cond, &thread->mutex, &until);
}

/* Copies what waits into `batch`; the mutex is held. */
static size_t gather(const struct phi_journal_thread *thread, struct phi_journal_record *batch)
{
    size_t most = thread->state.failing_errno ? 1 : MAX_BATCH; /* one may fit where many do not */
    size_t n = 0;

    for (uint64_t i = thread->written; i < thread->submitted && n < most; i++)
        batch[n++] = thread->slots[i % thread->capacity].record;
    return n;
}

static void note_result(struct phi_journal_thread *thread, size_t n, int failed, int64_t took_ns)
{
    uint64_t one = 1;

    thread->state.failing_errno = failed;
    if (failed) {
        thread->state.n_failures++;
        return;
    }
    thread->written += n;
    thread->state.n_bytes = phi_journal_writer_bytes(thread->writer);
    if (took_ns > thread->state.longest_put_ns)
        thread->state.longest_put_ns = took_ns;
    (void)!write(thread->fd, &one, sizeof one); /* full means that it is readable */
}

/* One attempt to write what waits; the mutex is held before and after. */
static void write_once(struct phi_journal_thread *thread, struct phi_journal_record *batch)
{
    size_t n = gather(thread, batch);
    int64_t begun = now_ns();
    int os_errno = 0;
    enum ph_status status;

    (void)pthread_mutex_unlock(&thread->mutex);
    status = phi_journal_writer_put(thread->writer, batch, n, &os_errno);
    (void)pthread_mutex_lock(&thread->mutex);
    note_result(thread, n, status ? (os_errno ? os_errno : EIO) : 0, now_ns() - begun);
}

static void *run(void *arg)
{
    struct phi_journal_thread *thread = arg;
    struct phi_journal_record batch[MAX_BATCH];
    int64_t stop_by = INT64_MAX;

    (void)pthread_mutex_lock(&thread->mutex);
    for (;;) {
        if (thread->stopping && stop_by == INT64_MAX)
            stop_by = now_ns() + LAST_TRY_NS;
        if (thread->written < thread->submitted && now_ns() < stop_by)
            write_once(thread, batch);
        else if (thread->stopping)
            break;
        else
            (void)pthread_cond_wait(&thread->cond, &thread->mutex);
        if (thread->state.failing_errno)
            wait_ns(thread, thread->stopping ? RETRY_NS / 4 : RETRY_NS);
    }
    (void)pthread_mutex_unlock(&thread->mutex);
    return NULL;
}

static enum ph_status start(struct phi_journal_thread *thread, struct ph_error *reterr)
{
    pthread_condattr_t attributes;
    int failed;

    thread->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (thread->fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make a doorbell for the journal");
    thread->has_mutex = pthread_mutex_init(&thread->mutex, NULL) == 0;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    thread->has_cond = pthread_cond_init(&thread->cond, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    failed = thread->has_mutex && thread->has_cond
                 ? pthread_create(&thread->thread, NULL, run, thread)
                 : ENOMEM;
    if (failed)
        return phi_error_os(reterr, PH_E_NOMEM, failed, "cannot start the journal's thread");
    thread->has_thread = true;
    (void)pthread_setname_np(thread->thread, "ph-journal");
    return PH_OK;
}

enum ph_status phi_journal_thread_create(const char *dir, const struct phi_journal_config *config,
                                         uint32_t capacity, struct phi_journal_thread **ret_thread,
                                         struct ph_error *reterr)
{
    struct phi_journal_thread *thread = phi_calloc(1, sizeof *thread);
    enum ph_status status = PH_OK;

    if (!thread)
        return phi_error_nomem(reterr, "the journal's thread", sizeof *thread);
    thread->fd = -1;
    thread->capacity = capacity ? capacity : 1;
    thread->slots = phi_calloc(thread->capacity, sizeof *thread->slots);
    thread->meta = phi_calloc2(thread->capacity, PHI_JOURNAL_THREAD_META, 1);
    if (!thread->slots || !thread->meta)
        status = phi_error_nomem(reterr, "the journal's queue", thread->capacity);
    if (!status)
        status = phi_journal_writer_open(dir, config, &thread->writer, reterr);
    if (!status)
        status = start(thread, reterr);
    if (status) {
        phi_journal_thread_destroy(&thread);
        return status;
    }
    *ret_thread = thread;
    return PH_OK;
}

static void stop(struct phi_journal_thread *thread)
{
    (void)pthread_mutex_lock(&thread->mutex);
    thread->stopping = true;
    (void)pthread_cond_signal(&thread->cond);
    (void)pthread_mutex_unlock(&thread->mutex);
    (void)pthread_join(thread->thread, NULL);
}

void phi_journal_thread_destroy(struct phi_journal_thread **thread)
{
    struct phi_journal_thread *t = thread ? *thread : NULL;

    if (!t)
        return;
    if (t->has_thread)
        stop(t);
    if (t->has_cond)
        (void)pthread_cond_destroy(&t->cond);
    if (t->has_mutex)
        (void)pthread_mutex_destroy(&t->mutex);
    if (t->fd >= 0)
        (void)close(t->fd);
    phi_journal_writer_close(&t->writer);
    phi_free(t->slots);
    phi_free(t->meta);
    phi_free(t);
    *thread = NULL;
}

enum ph_status phi_journal_thread_submit(struct phi_journal_thread *thread,
                                         const struct phi_journal_record *record, uint32_t token)
{
    enum ph_status status = PH_AGAIN;

    if (record->n_meta > PHI_JOURNAL_THREAD_META || phi_journal_record_bytes(record) == 0)
        return PH_E_LIMIT;
    (void)pthread_mutex_lock(&thread->mutex);
    if (thread->submitted - thread->done < thread->capacity) {
        size_t i = (size_t)(thread->submitted % thread->capacity);
        unsigned char *meta = thread->meta + i * PHI_JOURNAL_THREAD_META;

        if (record->n_meta)
            memcpy(meta, record->meta, record->n_meta);
        thread->slots[i] = (struct slot){*record, token};
        thread->slots[i].record.meta = meta;
        thread->submitted++;
        (void)pthread_cond_signal(&thread->cond);
        status = PH_OK;
    }
    (void)pthread_mutex_unlock(&thread->mutex);
    return status;
}

enum ph_status phi_journal_thread_done(struct phi_journal_thread *thread, uint32_t *ret_token)
{
    enum ph_status status = PH_AGAIN;
    uint64_t ignored;

    (void)pthread_mutex_lock(&thread->mutex);
    if (thread->done < thread->written) {
        *ret_token = thread->slots[thread->done++ % thread->capacity].token;
        status = PH_OK;
    } else {
        (void)!read(thread->fd, &ignored, sizeof ignored);
    }
    (void)pthread_mutex_unlock(&thread->mutex);
    return status;
}

int phi_journal_thread_fd(const struct phi_journal_thread *thread)
{
    return thread->fd;
}

void phi_journal_thread_look(struct phi_journal_thread *thread,
                             struct phi_journal_thread_state *ret_state)
{
    (void)pthread_mutex_lock(&thread->mutex);
    *ret_state = thread->state;
    ret_state->n_pending = thread->submitted - thread->written;
    (void)pthread_mutex_unlock(&thread->mutex);
}
