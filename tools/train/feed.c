/* SPDX-License-Identifier: MIT
 *
 * Two batches: one with the trainer, one being made. A condition variable is enough here, since a
 * step takes many milliseconds.
 */
#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"
#include "train/data.h"

struct train_feed {
    const struct train_data *data;
    uint64_t seed;
    uint64_t made;  /* steps whose batch is ready; guarded by lock, as are the next two */
    uint64_t taken; /* steps whose batch the trainer has asked for */
    bool stop;
    struct train_batch batches[2];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool started;
};

static enum ph_status take_batch(struct train_batch *batch, const struct train_data *data, size_t n)
{
    batch->n = n;
    batch->images = phi_calloc2(n * data->n_frames, 3 * data->size * data->width, sizeof(float));
    batch->index = phi_calloc(n, sizeof(uint32_t));
    if (data->n_attributes)
        batch->attributes = phi_calloc2(n, data->n_attributes, sizeof(float));
    return batch->images && batch->index && (!data->n_attributes || batch->attributes) ? PH_OK
                                                                                       : PH_E_NOMEM;
}

static void *make_batches(void *context)
{
    struct train_feed *feed = context;
    bool stop = false;

    while (!stop) {
        uint64_t step;

        pthread_mutex_lock(&feed->lock);
        /* The batch of step s may overwrite that of step s - 2 once step s - 1 has been asked for.
         */
        while (!feed->stop && feed->made > feed->taken)
            pthread_cond_wait(&feed->changed, &feed->lock);
        step = feed->made;
        stop = feed->stop;
        pthread_mutex_unlock(&feed->lock);
        if (stop)
            break;
        train_batch_fill(feed->data, feed->seed, step, &feed->batches[step % 2]);
        pthread_mutex_lock(&feed->lock);
        feed->made = step + 1;
        pthread_cond_broadcast(&feed->changed);
        pthread_mutex_unlock(&feed->lock);
    }
    return NULL;
}

enum ph_status train_feed_create(const struct train_data *data, size_t n,
                                 const uint64_t seed_and_first[2], struct train_feed **ret_feed,
                                 struct ph_error *reterr)
{
    struct train_feed *feed = phi_calloc(1, sizeof *feed);
    enum ph_status status = PH_OK;

    if (!feed)
        return phi_error_nomem(reterr, "a batch feed", sizeof *feed);
    feed->data = data;
    feed->seed = seed_and_first[0];
    feed->made = feed->taken = seed_and_first[1];
    pthread_mutex_init(&feed->lock, NULL);
    pthread_cond_init(&feed->changed, NULL);
    for (int i = 0; i < 2 && status == PH_OK; i++)
        status = take_batch(&feed->batches[i], data, n);
    if (status != PH_OK)
        status = phi_error_nomem(reterr, "batches", n * 3 * data->size * data->width);
    else if (pthread_create(&feed->thread, NULL, make_batches, feed) != 0)
        status = phi_error(reterr, PH_E_NOMEM, "a thread for batches cannot be started");
    else
        feed->started = true;
    if (status != PH_OK) {
        train_feed_destroy(&feed);
        return status;
    }
    *ret_feed = feed;
    return PH_OK;
}

const struct train_batch *train_feed_next(struct train_feed *feed)
{
    uint64_t step;

    pthread_mutex_lock(&feed->lock);
    step = feed->taken;
    while (feed->made <= step)
        pthread_cond_wait(&feed->changed, &feed->lock);
    feed->taken = step + 1;
    pthread_cond_broadcast(&feed->changed);
    pthread_mutex_unlock(&feed->lock);
    return &feed->batches[step % 2];
}

void train_feed_destroy(struct train_feed **feed)
{
    if (!feed || !*feed)
        return;
    if ((*feed)->started) {
        pthread_mutex_lock(&(*feed)->lock);
        (*feed)->stop = true;
        pthread_cond_broadcast(&(*feed)->changed);
        pthread_mutex_unlock(&(*feed)->lock);
        pthread_join((*feed)->thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        phi_free((*feed)->batches[i].images);
        phi_free((*feed)->batches[i].attributes);
        phi_free((*feed)->batches[i].index);
    }
    pthread_mutex_destroy(&(*feed)->lock);
    pthread_cond_destroy(&(*feed)->changed);
    phi_free(*feed);
    *feed = NULL;
}
