/* SPDX-License-Identifier: MIT */
#include "film/walk.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "io/events.h"
#include "io/nifti_file.h"
#include "io/sidecar.h"
#include "nn/prim.h"

enum ph_status film_source_open(const struct film_source_from *from, struct film_source *ret_source,
                                struct ph_error *reterr)
{
    struct phi_player_options options = {.model = from->model,
                                         .film = &ret_source->film,
                                         .clock = &ret_source->clock,
                                         .layer = from->layer,
                                         .fps = from->fps,
                                         .window_s = from->window_s,
                                         .net.want_units = from->want_units,
                                         .net.plan.precision = from->precision};
    enum ph_status status;

    memset(ret_source, 0, sizeof *ret_source);
    phi_nn_set_threads(1); /* more would wait for each other on pictures this small */
    status = phi_prednet_file_config(from->model, &ret_source->config, reterr);
    if (status == PH_OK)
        status = phi_film_open(from->film, &ret_source->film, reterr);
    if (status)
        return status;
    ret_source->config.h = ret_source->film.h;
    ret_source->config.w = ret_source->film.w;
    ret_source->clock.fps = from->fps;
    options.config = ret_source->config;
    if (from->layer >= options.config.n_layers || from->layer < 0)
        return phi_error(reterr, PH_E_INVAL, "%s has layers 0 to %d, not %d", from->model,
                         options.config.n_layers - 1, from->layer);
    return phi_player_open(&ret_source->player, &options, reterr);
}

void film_source_close(struct film_source *source)
{
    phi_player_close(&source->player);
    phi_film_close(&source->film);
}

static enum ph_status check_event(const char *path, const struct ph_event *event,
                                  const struct phi_film *film, const struct film_run *run,
                                  struct ph_error *reterr)
{
    double last = event->stim_index + floor(event->duration_s * run->clock.fps + 0.5);
    double length_s = (double)run->n_volumes * run->tr_s;

    if (last > (double)film->n)
        return phi_error(reterr, PH_E_SHAPE,
                         "%s: the event at %g s shows frames %d to %.0f at %g a second, the film "
                         "has %zu: is it the film of this run, at this rate?",
                         path, event->onset_s, event->stim_index, last - 1, run->clock.fps,
                         film->n);
    if (event->onset_s + event->duration_s > length_s + run->tr_s)
        return phi_error(reterr, PH_E_SHAPE,
                         "%s: the event at %g s ends at %g s, the run after %zu volumes at %g s",
                         path, event->onset_s, event->onset_s + event->duration_s, run->n_volumes,
                         length_s);
    return PH_OK;
}

enum ph_status film_run_make(const char *events, double tr_s, size_t n_volumes,
                             const struct phi_film *film, double fps, struct film_run *ret_run,
                             struct ph_error *reterr)
{
    struct phi_events table = {0};
    enum ph_status status = phi_events_read(events, &table, reterr);

    memset(ret_run, 0, sizeof *ret_run);
    ret_run->clock.fps = fps;
    ret_run->tr_s = tr_s;
    ret_run->n_volumes = n_volumes;
    for (size_t i = 0; status == PH_OK && i < table.n; i++) {
        const struct ph_event *event = &table.rows[i];

        if (event->stim_index < 0 || !(event->duration_s > 0))
            continue;
        status = check_event(events, event, film, ret_run, reterr);
        phi_film_clock_add(&ret_run->clock, event);
    }
    if (status == PH_OK && ret_run->clock.n_known == 0)
        status = phi_error(reterr, PH_E_FORMAT,
                           "%s: no event tells which frame it begins with (stim_index) and how "
                           "long it lasts",
                           events);
    if (status == PH_OK && ret_run->clock.n_known > PHI_FILM_SHOWINGS)
        status = phi_error(reterr, PH_E_LIMIT, "%s: %zu film events, at most %d are taken", events,
                           ret_run->clock.n_known, PHI_FILM_SHOWINGS);
    phi_events_free(&table);
    return status;
}

enum ph_status film_run_open(const char *bold, const char *events, const struct phi_film *film,
                             double fps, struct film_run *ret_run, struct ph_error *reterr)
{
    struct phi_nifti_reader *reader;
    struct phi_sidecar sidecar;
    struct phi_nifti_info info;
    double tr_s;
    enum ph_status status = phi_nifti_reader_open(bold, &reader, reterr);

    if (status)
        return status;
    info = *phi_nifti_reader_info(reader);
    phi_nifti_reader_close(&reader);
    status = phi_sidecar_read_beside(bold, &sidecar, reterr);
    if (status < 0)
        return status;
    tr_s = sidecar.tr_s > 0 ? sidecar.tr_s : info.tr_s;
    if (!(tr_s > 0))
        return phi_error(reterr, PH_E_FORMAT, "%s does not tell its repetition time", bold);
    return film_run_make(events, tr_s, info.n_volumes, film, fps, ret_run, reterr);
}

size_t film_part_size(const struct phi_prednet_config *config, struct film_part part)
{
    return phi_prednet_r_size(config, part.layer) * (part.kind == 'e' ? 2 : 1);
}

struct walk {
    struct film_source *source;
    const struct film_run *run;
    struct film_part part;
    size_t n;
    float *r;     /* [n] */
    double *sum;  /* [n] */
    size_t n_sum; /* frames in it */
    size_t volume;
    film_row_fn *row;
    void *ctx;
};

/* Hands out the mean of the volume that is over. */
static enum ph_status flush(struct walk *w, struct ph_error *reterr)
{
    size_t n = w->n_sum;

    if (n == 0)
        return PH_OK;
    for (size_t i = 0; i < w->n; i++) {
        w->r[i] = (float)(w->sum[i] / (double)n);
        w->sum[i] = 0;
    }
    w->n_sum = 0;
    return w->row(w->ctx, w->volume, w->r, reterr);
}

static enum ph_status add_frame(struct walk *w, size_t volume, struct ph_error *reterr)
{
    struct phi_player *player = &w->source->player;
    enum ph_status status = volume != w->volume ? flush(w, reterr) : PH_OK;

    w->volume = volume;
    if (status == PH_OK &&
        (phi_player_step(player, INFINITY) != PH_OK ||
         phi_prednet_live_read(player->net, w->part.kind, w->part.layer, w->r) != PH_OK))
        status = phi_error(reterr, PH_E_INTERNAL, "the network cannot be run");
    for (size_t i = 0; status == PH_OK && i < w->n; i++)
        w->sum[i] += (double)w->r[i];
    w->n_sum++;
    return status;
}

static enum ph_status walk_ticks(struct walk *w, struct ph_error *reterr)
{
    struct phi_player *player = &w->source->player;
    double fps = w->run->clock.fps;
    int64_t n_ticks = (int64_t)floor((double)w->run->n_volumes * w->run->tr_s * fps + 1e-6);
    enum ph_status status = PH_OK;

    for (int64_t tick = 0; status == PH_OK && tick < n_ticks; tick++) {
        double time_s = ((double)tick + 0.5) / fps;
        size_t volume = (size_t)(time_s / w->run->tr_s);

        if (phi_film_clock_frame(&w->run->clock, time_s) < 0)
            phi_player_seek(player, tick + 1); /* nothing is on */
        else
            status = add_frame(w, volume, reterr);
        cli_progress("frames through the network", (uint64_t)tick + 1, (uint64_t)n_ticks);
        if (cli_interrupted())
            return phi_error(reterr, PH_E_STATE, "interrupted");
    }
    return status == PH_OK ? flush(w, reterr) : status;
}

enum ph_status film_walk(struct film_source *source, const struct film_run *run,
                         struct film_part part, film_row_fn *row, void *ctx,
                         struct ph_error *reterr)
{
    struct walk w = {.source = source, .run = run, .part = part, .row = row, .ctx = ctx};
    enum ph_status status;

    w.n = film_part_size(&source->config, part);
    if (w.n == 0)
        return phi_error(reterr, PH_E_INVAL, "the network has layers 0 to %d, not %d",
                         source->config.n_layers - 1, part.layer);
    w.r = phi_calloc(w.n, sizeof *w.r);
    w.sum = phi_calloc(w.n, sizeof *w.sum);
    source->clock = run->clock;
    phi_player_reset(&source->player);
    phi_player_seek(&source->player, 0);
    status = w.r && w.sum ? walk_ticks(&w, reterr)
                          : phi_error_nomem(reterr, "features of a volume", w.n * sizeof *w.sum);
    phi_free(w.r);
    phi_free(w.sum);
    return status;
}
