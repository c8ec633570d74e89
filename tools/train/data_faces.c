/* SPDX-License-Identifier: MIT
 *
 * Procedural faces with their factors as attributes. Drawing dominates, so it is spread over the
 * cores; every face depends on (seed, index) only.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "stimuli/face.h"
#include "train/data.h"

#define DEFAULT_FACES 10000
#define MAX_THREADS   16

struct job {
    struct train_data *data;
    const struct train_data_params *params;
    atomic_size_t next; /* the first face that nobody has taken */
    atomic_bool stop;
    _Atomic int status;
};

static enum ph_status draw_face(const struct job *job, struct phi_face_painter *painter, size_t i)
{
    double factors[PHI_FACE_N_FACTORS];
    struct train_data *data = job->data;

    phi_face_sample((uint64_t)job->params->seed, (uint64_t)job->params->first + i, factors);
    for (size_t k = 0; k < PHI_FACE_N_FACTORS; k++)
        data->attributes[i * PHI_FACE_N_FACTORS + k] = (float)factors[k];
    return phi_face_paint(painter, factors, NULL, data->pixels + i * data->side * data->side * 3);
}

static void *draw_faces(void *context)
{
    struct job *job = context;
    struct phi_face_painter *painter = NULL;
    enum ph_status status = phi_face_painter_create(job->data->side, &painter, NULL);

    while (status == PH_OK && !atomic_load(&job->stop)) {
        size_t i = atomic_fetch_add(&job->next, 1);

        if (i >= job->data->n)
            break;
        status = draw_face(job, painter, i);
    }
    if (status != PH_OK)
        atomic_store(&job->status, (int)status);
    phi_face_painter_destroy(&painter);
    return NULL;
}

static void name_attributes(struct train_data *data)
{
    for (int k = 0; k < PHI_FACE_N_FACTORS; k++)
        (void)snprintf(data->names[k], sizeof data->names[k], "%s",
                       phi_face_factor_info((enum phi_face_factor)k)->name);
}

static bool watch(struct job *job, train_progress_fn *progress, void *context)
{
    size_t done = 0;

    while (done < job->data->n && atomic_load(&job->status) == PH_OK) {
        done = atomic_load(&job->next);
        done = done < job->data->n ? done : job->data->n;
        if (progress && !progress(context, done, job->data->n)) {
            atomic_store(&job->stop, true);
            return false;
        }
        (void)usleep(100000);
    }
    return true;
}

enum ph_status train_data_faces(struct train_data *data, const struct train_data_params *params,
                                train_progress_fn *progress, void *context, struct ph_error *reterr)
{
    struct job job = {.data = data, .params = params};
    pthread_t threads[MAX_THREADS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n_threads = 0;
    bool whole;
    enum ph_status status = train_data_take(
        data, params->count ? (size_t)params->count : DEFAULT_FACES, PHI_FACE_N_FACTORS, reterr);

    if (status != PH_OK)
        return status;
    name_attributes(data);
    while (n_threads < MAX_THREADS && n_threads < (cores > 0 ? cores : 1) &&
           pthread_create(&threads[n_threads], NULL, draw_faces, &job) == 0)
        n_threads++;
    if (n_threads == 0)
        return phi_error(reterr, PH_E_NOMEM, "a thread to draw faces cannot be started");
    whole = watch(&job, progress, context);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    if (!whole)
        return phi_error(reterr, PH_E_STATE, "interrupted while drawing faces");
    if (atomic_load(&job.status) != PH_OK)
        return phi_error(reterr, (enum ph_status)atomic_load(&job.status),
                         "a face cannot be drawn");
    return PH_OK;
}
