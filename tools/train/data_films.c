/* SPDX-License-Identifier: MIT
 *
 * Clips: procedural ones, drawn on all cores, and those of a video file, piped from ffmpeg as raw
 * pixels (started with an argument vector, no shell).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "stimuli/film.h"
#include "train/data.h"

#define DEFAULT_CLIPS    600
#define MAX_THREADS      16
#define ALL_KINDS        3
#define FIRST_CLIPS      16 /* that there is room for at first */
#define MOST_VIDEO_BYTES ((size_t)2 << 30)

extern char **environ;

struct job {
    struct train_data *data;
    const struct train_data_params *params;
    atomic_size_t next;
    atomic_bool stop;
    _Atomic int status;
};

static enum ph_status draw_clip(const struct job *job, struct phi_film_painter *painter, size_t i)
{
    const struct train_data_params *p = job->params;
    size_t frame_bytes = job->data->side * job->data->side_w * 3;
    const struct phi_film_clip clip = {
        .kind =
            (enum phi_film_kind)(p->kind == ALL_KINDS ? (int32_t)(i % PHI_FILM_N_KINDS) : p->kind),
        .seed = (uint64_t)p->seed,
        .index = (uint64_t)p->first + i};
    enum ph_status status = PH_OK;

    for (size_t t = 0; t < job->data->n_stored && status == PH_OK; t++)
        status = phi_film_paint(painter, &clip, (double)t / p->fps,
                                job->data->pixels + (i * job->data->n_stored + t) * frame_bytes);
    return status;
}

static void *draw_clips(void *context)
{
    struct job *job = context;
    struct phi_film_painter *painter = NULL;
    enum ph_status status =
        phi_film_painter_create(job->data->side_w, job->data->side, &painter, NULL);

    while (status == PH_OK && !atomic_load(&job->stop)) {
        size_t i = atomic_fetch_add(&job->next, 1);

        if (i >= job->data->n)
            break;
        status = draw_clip(job, painter, i);
    }
    if (status != PH_OK)
        atomic_store(&job->status, (int)status);
    phi_film_painter_destroy(&painter);
    return NULL;
}

static void watch(struct job *job, train_progress_fn *progress, void *context)
{
    size_t done = 0;

    while (done < job->data->n && atomic_load(&job->status) == PH_OK && !atomic_load(&job->stop)) {
        done = atomic_load(&job->next);
        done = done < job->data->n ? done : job->data->n;
        if (progress && !progress(context, done, job->data->n))
            atomic_store(&job->stop, true);
        (void)usleep(100000);
    }
}

enum ph_status train_data_films(struct train_data *data, const struct train_data_params *params,
                                train_progress_fn *progress, void *context, struct ph_error *reterr)
{
    struct job job = {.data = data, .params = params};
    pthread_t threads[MAX_THREADS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n_threads = 0;
    enum ph_status status =
        train_data_take(data, params->count ? (size_t)params->count : DEFAULT_CLIPS, 0, reterr);

    if (status != PH_OK)
        return status;
    if (data->side % 8 != 0 || data->side_w % 8 != 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "films have sizes that are multiples of 8, not %zu x %zu", data->side,
                         data->side_w);
    while (n_threads < MAX_THREADS && n_threads < (cores > 0 ? cores : 1) &&
           pthread_create(&threads[n_threads], NULL, draw_clips, &job) == 0)
        n_threads++;
    if (n_threads == 0)
        return phi_error(reterr, PH_E_NOMEM, "a thread to draw films cannot be started");
    watch(&job, progress, context);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&job.stop))
        return phi_error(reterr, PH_E_STATE, "interrupted while drawing films");
    status = (enum ph_status)atomic_load(&job.status);
    return status == PH_OK ? PH_OK : phi_error(reterr, status, "a film cannot be drawn");
}

/* Starts ffmpeg with its output on a pipe, scaled and cropped. */
static enum ph_status start_ffmpeg(const struct train_data *data,
                                   const struct train_data_params *params, pid_t *ret_pid,
                                   int *ret_fd, struct ph_error *reterr)
{
    char filter[128];
    char program[] = "ffmpeg", v[] = "-v", quiet[] = "error", in[] = "-i", vf[] = "-vf", f[] = "-f",
         raw[] = "rawvideo", pix[] = "-pix_fmt", rgb[] = "rgb24", out[] = "pipe:1",
         nostdin[] = "-nostdin";
    char path[4096];
    char *argv[] = {program, nostdin, v, quiet, in, path, vf, filter, f, raw, pix, rgb, out, NULL};
    posix_spawn_file_actions_t actions;
    int pipe_ends[2];
    int failed;

    (void)snprintf(path, sizeof path, "%s", params->path);
    (void)snprintf(filter, sizeof filter,
                   "fps=%g,scale=%zu:%zu:force_original_aspect_ratio=increase,crop=%zu:%zu",
                   params->fps, data->side_w, data->side, data->side_w, data->side);
    if (pipe(pipe_ends) != 0)
        return phi_error_os(reterr, PH_E_IO, errno, "a pipe cannot be made");
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
    (void)posix_spawn_file_actions_addclose(&actions, pipe_ends[0]);
    failed = posix_spawnp(ret_pid, program, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pipe_ends[1]);
    if (failed) {
        (void)close(pipe_ends[0]);
        return phi_error_os(reterr, PH_E_IO, failed, "ffmpeg is needed to read '%s'", params->path);
    }
    *ret_fd = pipe_ends[0];
    return PH_OK;
}

/* Reads `n_bytes` or up to the end. */
static size_t read_up_to(int fd, uint8_t *bytes, size_t n_bytes)
{
    size_t got = 0;

    while (got < n_bytes) {
        ssize_t n = read(fd, bytes + got, n_bytes - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

/* Reads whole clips, at most `most`, into memory that doubles as it fills. */
static enum ph_status read_clips(struct train_data *data, int fd, size_t most,
                                 struct ph_error *reterr)
{
    size_t clip_bytes = data->n_stored * data->side * data->side_w * 3;
    size_t room = most < FIRST_CLIPS ? most : FIRST_CLIPS, n = 0;
    enum ph_status status = train_data_take(data, room, 0, reterr);

    while (status == PH_OK && n < most &&
           read_up_to(fd, data->pixels + n * clip_bytes, clip_bytes) == clip_bytes) {
        uint8_t *larger;

        if (++n < room || n == most)
            continue;
        room = 2 * room < most ? 2 * room : most;
        larger = phi_calloc2(room, clip_bytes, 1);
        if (!larger)
            return phi_error_nomem(reterr, "the film's frames", room * clip_bytes);
        memcpy(larger, data->pixels, n * clip_bytes);
        phi_free(data->pixels);
        data->pixels = larger;
    }
    data->n = n;
    return status;
}

static enum ph_status check_end(const struct train_data *data,
                                const struct train_data_params *params, bool whole,
                                struct ph_error *reterr)
{
    if (!whole)
        return phi_error(reterr, PH_E_FORMAT,
                         "ffmpeg cannot read '%s' beyond clip %zu; try ffmpeg -i on it by hand",
                         params->path, data->n);
    if (data->n == 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "'%s' is shorter than one clip of %zu frames at %g a second: lower "
                         "data.length",
                         params->path, data->n_stored, params->fps);
    return PH_OK;
}

enum ph_status train_data_video(struct train_data *data, const struct train_data_params *params,
                                struct ph_error *reterr)
{
    size_t clip_bytes = data->n_stored * data->side * data->side_w * 3;
    size_t most = params->count ? (size_t)params->count : MOST_VIDEO_BYTES / clip_bytes;
    pid_t pid = 0;
    int fd = -1;
    int how = 0;
    enum ph_status status = start_ffmpeg(data, params, &pid, &fd, reterr);

    if (status != PH_OK)
        return status;
    status = read_clips(data, fd, most, reterr);
    (void)close(fd);
    if (status != PH_OK || data->n == most)
        (void)kill(pid, SIGTERM); /* there is more than was asked for */
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        ;
    if (status == PH_OK)
        status = check_end(data, params,
                           data->n == most || (WIFEXITED(how) && WEXITSTATUS(how) == 0), reterr);
    return status;
}
