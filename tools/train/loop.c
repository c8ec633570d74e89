/* SPDX-License-Identifier: MIT */
#include "train/loop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crc.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "io/file.h"
#include "io/png.h"
#include "train/checkpoint.h"

struct loop {
    const struct recipe *recipe;
    const struct train_run_params *run;
    const struct train_model_type *type;
    const struct train_options *options;
    struct train_data *data;
    struct train_model *model;
    struct train_feed *feed;
    FILE *log;
    size_t n_losses;
    struct train_log since; /* the last line of the log */
    uint64_t step;
    uint64_t first; /* of this process */
    double started_s;
    struct train_result *result;
};

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum ph_status path_in(const struct loop *loop, char path[PHI_PATH_MAX], const char *name,
                              struct ph_error *reterr)
{
    if (phi_path_join(path, PHI_PATH_MAX, loop->options->out_dir, name))
        return PH_OK;
    return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", loop->options->out_dir);
}

static bool data_progress(void *context, size_t done, size_t total)
{
    (void)context;
    cli_progress("pictures", done, total);
    return !cli_interrupted();
}

static float rate_factor(const struct loop *loop)
{
    const struct train_optim_params *optim = recipe_optim(loop->recipe);
    const struct phi_schedule schedule = {
        .kind = (enum phi_schedule_kind)optim->schedule,
        .warmup = (uint64_t)optim->warmup,
        .period = (uint64_t)(optim->period ? optim->period : loop->run->steps),
        .factor = (float)optim->factor};

    return phi_schedule_at(&schedule, loop->step);
}

static enum ph_status save_checkpoint(struct loop *loop, struct ph_error *reterr)
{
    struct train_state state = {0};
    char path[PHI_PATH_MAX];
    enum ph_status status = path_in(loop, path, "checkpoint.safetensors", reterr);

    loop->type->state(loop->model, &state);
    state.log = &loop->since;
    if (status == PH_OK)
        status = train_checkpoint_save(path, loop->recipe, &state, loop->step, reterr);
    /* Lines of the log up to here belong to the checkpoint. */
    if (status == PH_OK && fflush(loop->log) != 0)
        status = phi_error(reterr, PH_E_IO, "losses.tsv cannot be written");
    return status;
}

static enum ph_status draw_samples(struct loop *loop, struct ph_error *reterr)
{
    size_t n = (size_t)loop->run->samples;
    size_t width = n * loop->data->width, height = n * loop->data->size;
    uint8_t *rgb;
    char name[64];
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!loop->type->sample)
        return PH_OK;
    rgb = phi_calloc2(height, width * 3, 1);
    if (!rgb)
        return phi_error_nomem(reterr, "a sheet of pictures", height * width * 3);
    (void)snprintf(name, sizeof name, "samples-%06" PRIu64 ".png", loop->step);
    status = path_in(loop, path, name, reterr);
    if (status == PH_OK) {
        status = loop->type->sample(loop->model, n, rgb);
        if (status != PH_OK)
            status = phi_error(reterr, status, "pictures cannot be drawn");
    }
    if (status == PH_OK) {
        const struct phi_png_pixels picture = {
            .width = width, .height = height, .n_channels = 3, .pixels = rgb};

        status = phi_png_write(path, &picture, reterr);
    }
    phi_free(rgb);
    return status;
}

static void write_log(struct loop *loop)
{
    (void)fprintf(loop->log, "%" PRIu64, loop->step);
    for (size_t i = 0; i < loop->n_losses; i++) {
        loop->result->losses[i] = loop->since.sums[i] / (double)loop->since.n;
        (void)fprintf(loop->log, "\t%.9g", loop->result->losses[i]);
    }
    (void)fprintf(loop->log, "\n");
    memset(&loop->since, 0, sizeof loop->since);
}

static void show_progress(const struct loop *loop, const double *losses)
{
    double rate = (double)(loop->step - loop->first) / (seconds() - loop->started_s + 1e-9);
    double left = rate > 0 ? (double)((uint64_t)loop->run->steps - loop->step) / rate : 0;
    char text[256];
    int n = 0;

    if (loop->options->quiet)
        return;
    for (size_t i = 0; i < loop->n_losses; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s %.4g  ", loop->type->losses[i],
                      losses[i]);
    (void)snprintf(text + n, sizeof text - (size_t)n, "%.0f items/s, %.0f s left",
                   rate * (double)loop->run->batch, left);
    cli_progress(text, loop->step, (uint64_t)loop->run->steps);
}

static enum ph_status one_step(struct loop *loop, struct ph_error *reterr)
{
    double losses[TRAIN_MAX_LOSSES] = {0};
    const struct train_batch *batch = train_feed_next(loop->feed);
    enum ph_status status =
        loop->type->step(loop->model, batch, loop->step, rate_factor(loop), losses);

    if (status != PH_OK)
        return phi_error(reterr, status, "step %" PRIu64 " failed", loop->step);
    for (size_t i = 0; i < loop->n_losses; i++) {
        if (!isfinite(losses[i]))
            return phi_error(reterr, PH_E_FORMAT,
                             "loss '%s' is no number at step %" PRIu64
                             ": the training has diverged; lower optimiser.rate or set "
                             "optimiser.clip_norm (the last checkpoint is whole)",
                             loop->type->losses[i], loop->step);
        loop->since.sums[i] += losses[i];
    }
    loop->since.n++;
    loop->step++;
    if (loop->step % (uint64_t)loop->run->log_every == 0)
        write_log(loop);
    show_progress(loop, losses);
    if (loop->step % (uint64_t)loop->run->sample_every == 0)
        status = draw_samples(loop, reterr);
    if (status == PH_OK && loop->step % (uint64_t)loop->run->checkpoint_every == 0)
        status = save_checkpoint(loop, reterr);
    return status;
}

static enum ph_status all_steps(struct loop *loop, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    loop->started_s = seconds();
    loop->first = loop->step;
    while (status == PH_OK && loop->step < (uint64_t)loop->run->steps && !cli_interrupted())
        status = one_step(loop, reterr);
    cli_progress_end();
    loop->result->seconds = seconds() - loop->started_s;
    loop->result->items_per_s = (double)((loop->step - loop->first) * (uint64_t)loop->run->batch) /
                                (loop->result->seconds + 1e-9);
    if (status == PH_OK && loop->step < (uint64_t)loop->run->steps) {
        loop->result->interrupted = true;
        status = save_checkpoint(loop, reterr);
    }
    return status;
}

static enum ph_status finish(struct loop *loop, struct ph_error *reterr)
{
    struct train_export *export = phi_calloc(1, sizeof *export);
    char path[PHI_PATH_MAX];
    unsigned char *bytes = NULL;
    size_t n_bytes = 0;
    enum ph_status status;

    if (!export)
        return phi_error_nomem(reterr, "a model file's description", sizeof *export);
    status = loop->type->export(loop->model, export, reterr);
    if (status == PH_OK)
        status = path_in(loop, path, "model.safetensors", reterr);
    if (status == PH_OK) {
        train_note(export, "training.steps", "%" PRIu64, loop->step);
        train_note(export, "training.seed", "%" PRId64, loop->run->seed);
        status = train_model_save(path, loop->recipe, export, loop->run->half, reterr);
    }
    phi_free(export);
    if (status == PH_OK)
        status = phi_file_read(path, (size_t)4 << 30, &bytes, &n_bytes, reterr);
    if (status == PH_OK)
        loop->result->model_crc32c = phi_crc32c(0, bytes, n_bytes);
    phi_free(bytes);
    return status;
}

/* Lines of the log after step `step` were written by a process that was killed after its last
 * checkpoint: they will be written again. */
static enum ph_status open_log(struct loop *loop, struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    unsigned char *old = NULL;
    size_t n_old = 0;
    enum ph_status status = path_in(loop, path, "losses.tsv", reterr);

    if (status != PH_OK)
        return status;
    if (loop->step > 0 && phi_path_exists(path))
        status = phi_file_read(path, (size_t)1 << 30, &old, &n_old, reterr);
    if (status != PH_OK)
        return status;
    loop->log = fopen(path, "w");
    if (!loop->log) {
        phi_free(old);
        return phi_error(reterr, PH_E_IO, "%s cannot be written", path);
    }
    (void)fprintf(loop->log, "step");
    for (size_t i = 0; i < loop->n_losses; i++)
        (void)fprintf(loop->log, "\t%s", loop->type->losses[i]);
    (void)fprintf(loop->log, "\n");
    for (char *line = old ? strchr((char *)old, '\n') : NULL; line && line[1];
         line = strchr(line + 1, '\n')) {
        uint64_t step = 0;

        if (sscanf(line + 1, "%" SCNu64, &step) == 1 && step <= loop->step)
            (void)fprintf(loop->log, "%.*s\n", (int)strcspn(line + 1, "\n"), line + 1);
    }
    phi_free(old);
    return PH_OK;
}

static enum ph_status resume(struct loop *loop, struct ph_error *reterr)
{
    struct train_state state = {0};
    char path[PHI_PATH_MAX];
    enum ph_status status = path_in(loop, path, "checkpoint.safetensors", reterr);

    if (status != PH_OK || loop->options->restart || !phi_path_exists(path))
        return status;
    loop->type->state(loop->model, &state);
    state.log = &loop->since;
    status = train_checkpoint_load(path, loop->recipe, &state, &loop->step, reterr);
    loop->result->resumed_at = loop->step;
    if (status == PH_OK && !loop->options->quiet)
        (void)fprintf(stderr, "going on after step %" PRIu64 "\n", loop->step);
    return status;
}

static enum ph_status prepare(struct loop *loop, struct ph_error *reterr)
{
    struct train_setup setup = {loop->recipe, NULL, loop->options->out_dir};
    char path[PHI_PATH_MAX];
    uint64_t seed_and_first[2];
    enum ph_status status = phi_dir_make(loop->options->out_dir, reterr);

    if (status == PH_OK)
        status = path_in(loop, path, "recipe.yaml", reterr);
    if (status == PH_OK)
        status = phi_file_write(path, loop->recipe->text, strlen(loop->recipe->text), reterr);
    if (status == PH_OK)
        status =
            train_data_load(recipe_data(loop->recipe), data_progress, NULL, &loop->data, reterr);
    cli_progress_end();
    setup.data = loop->data;
    if (status == PH_OK)
        status = loop->type->create(&setup, &loop->model, reterr);
    if (status == PH_OK)
        status = resume(loop, reterr);
    if (status == PH_OK)
        status = open_log(loop, reterr);
    seed_and_first[0] = (uint64_t)loop->run->seed;
    seed_and_first[1] = loop->step;
    if (status == PH_OK)
        status = train_feed_create(loop->data, (size_t)loop->run->batch, seed_and_first,
                                   &loop->feed, reterr);
    return status;
}

static void clean_up(struct loop *loop)
{
    if (loop->log)
        (void)fclose(loop->log);
    train_feed_destroy(&loop->feed);
    if (loop->model)
        loop->type->destroy(&loop->model);
    train_data_destroy(&loop->data);
}

static enum ph_status draw_curves(const struct loop *loop, struct ph_error *reterr)
{
    char tsv[PHI_PATH_MAX];
    char png[PHI_PATH_MAX];
    enum ph_status status = path_in(loop, tsv, "losses.tsv", reterr);

    if (status == PH_OK)
        status = path_in(loop, png, "losses.png", reterr);
    return status == PH_OK ? train_draw_losses(tsv, png, reterr) : status;
}

enum ph_status train_run(const struct recipe *recipe, const struct train_model_type *type,
                         const struct train_options *options, struct train_result *ret_result,
                         struct ph_error *reterr)
{
    struct train_result result = {0};
    struct loop loop = {.recipe = recipe,
                        .run = recipe_run(recipe),
                        .type = type,
                        .options = options,
                        .result = &result};
    enum ph_status status;

    while (loop.n_losses < TRAIN_MAX_LOSSES && type->losses[loop.n_losses])
        loop.n_losses++;
    status = prepare(&loop, reterr);
    if (status == PH_OK)
        status = all_steps(&loop, reterr);
    if (status == PH_OK && !result.interrupted) {
        status = finish(&loop, reterr);
        if (status == PH_OK)
            status = draw_samples(&loop, reterr);
        if (status == PH_OK)
            status = save_checkpoint(&loop, reterr);
    }
    if (status == PH_OK)
        status = draw_curves(&loop, reterr);
    result.steps = loop.step;
    clean_up(&loop);
    if (status == PH_OK)
        *ret_result = result;
    return status;
}
