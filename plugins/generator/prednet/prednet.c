/* SPDX-License-Identifier: MIT
 *
 * generator/prednet: the frame of a film that PredNet generates when R of one layer is what was
 * decoded from the brain. A decode speaks of a moment some seconds ago: the recorded picture is the
 * one of that moment, and the moving picture replays from there to now and on into the future. Two
 * networks of the same weights, so that what is recorded does not depend on what was looked at.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "nn/prim.h"
#include "phosphene/plugin.h"
#include "plugins/generator/common/player.h"

#define N_PAST    32   /* statements kept for the shuffled control */
#define APART     4    /* the newest are too like the present one */
#define GAP_S     30.0 /* a longer silence is not played through */
#define WARM_UP_S 1.0  /* played before a moment that is begun at anew */

enum control { CONTROL_NONE, CONTROL_NO_REPLACEMENT, CONTROL_SHUFFLED, CONTROL_ZEROS };

struct params {
    const char *model;
    int64_t layer;
    const char *film;
    double fps;
    double mix;
    double horizon_s;
    int32_t control;
    double window_s;
    int64_t height, width;
    int32_t precision;
    int64_t threads;
};

static const char *const controls[] = {"none", "no_replacement", "shuffled", "zeros", NULL};

static const char *const precisions[] = {"float32", "bfloat16", NULL}; /* enum phi_precision */

static const struct ph_param params_table[] = {
    PH_PATH(struct params, model, "", PH_PARAM_REQUIRED,
            "Model file of kind prednet, from phos train or phos convert."),
    PH_INT(struct params, layer, 0, 0, PHI_PREDNET_LAYERS - 1, "", 0,
           "Layer whose R the decoder estimates."),
    PH_PATH(struct params, film, "", 0,
            "Stimulus set that is shown: its Error units then see the frames that the run's events "
            "(stim_index, duration) put on the screen. Empty: the network sees its own "
            "predictions, and all it knows comes from the brain."),
    PH_FLOAT(struct params, fps, 10, 0.1, 240, "Hz", 0, "Frames a second of the film."),
    PH_FLOAT(struct params, mix, 1, 0, 1, "", PH_PARAM_LIVE,
             "Share of the decoded R: 1 replaces the network's own, less blends."),
    PH_FLOAT(struct params, horizon_s, 0.5, 0, 60, "s", 0,
             "How far beyond now the moving picture goes."),
    PH_ENUM(struct params, control, CONTROL_NONE, controls, 0,
            "What takes the decode's place: nothing does (none), R is left alone, a decode of "
            "another time, or zeros."),
    PH_FLOAT(struct params, window_s, 0, 0, 60, "s", 0,
             "How long a decode holds, centred on its moment; 0: the repetition time."),
    PH_INT(struct params, height, 0, 0, 4096, "pixels", 0,
           "Of free-running pictures; 0: as trained."),
    PH_INT(struct params, width, 0, 0, 4096, "pixels", 0,
           "Of free-running pictures; 0: as trained."),
    PH_ENUM(
        struct params, precision, PHI_FLOAT32, precisions, 0,
        "Of the network's arithmetic. bfloat16 takes a processor that has it and five sixths of "
        "the time; pixels move by less than half a grey level."),
    PH_INT(struct params, threads, 1, 1, 16, "", 0, "Threads of the network's arithmetic."),
};

/* Statements of other times, for the shuffled control. */
struct past {
    float *r; /* [N_PAST][n_r]; NULL unless needed */
    float *zeros;
    double newest_s;
    size_t n; /* so far */
};

struct state {
    const struct ph_host *host;
    const struct params *params;
    struct phi_film film;
    struct phi_film_clock clock;
    struct phi_player settled, moving;
    struct phi_player_mark mark; /* of `moving`, at the moment of the last statement it reached */
    struct past past;
    uint8_t *shown; /* [h][w][3] */
    struct ph_latent latent;
    uint32_t flags;
    bool aimed, marked;
    int64_t target; /* tick of the statement aimed at */
    double now_s;   /* on the run's clock ... */
    int64_t now_ns; /* ... when the engine's was this */
};

static enum ph_status check_size(const struct params *p, const struct phi_prednet_config *config,
                                 size_t n_latent, struct ph_error *reterr)
{
    size_t n_r = phi_prednet_r_size(config, (int)p->layer);
    enum ph_status status = phi_prednet_check(config, reterr);

    if (status)
        return status;
    if (n_r == 0)
        return phi_error(reterr, PH_E_INVAL, "%s has layers 0 to %d, not %lld", p->model,
                         config->n_layers - 1, (long long)p->layer);
    if (n_r != n_latent)
        return phi_error(reterr, PH_E_SHAPE,
                         "R%lld of %s has %zu values for frames of %zu x %zu, the decoder gives "
                         "%zu: fit it to this layer's features (phos features)",
                         (long long)p->layer, p->model, n_r, config->h, config->w, n_latent);
    return PH_OK;
}

/* Sizes of the network: the film's, the parameters' or the file's. Leaves `film` open. */
static enum ph_status open_sizes(const struct params *p, size_t n_latent, struct phi_film *film,
                                 struct phi_prednet_config *ret_config, struct ph_error *reterr)
{
    enum ph_status status = phi_prednet_file_config(p->model, ret_config, reterr);

    if (status == PH_OK && p->film[0])
        status = phi_film_open(p->film, film, reterr);
    if (status)
        return status;
    if (p->film[0]) {
        ret_config->h = film->h;
        ret_config->w = film->w;
    } else if (p->height > 0 && p->width > 0) {
        ret_config->h = (size_t)p->height;
        ret_config->w = (size_t)p->width;
    } else if (ret_config->h == 0) {
        return phi_error(reterr, PH_E_INVAL,
                         "%s does not tell the size of its pictures: set height and width, or film",
                         p->model);
    }
    return check_size(p, ret_config, n_latent, reterr);
}

static enum ph_status prednet_plan(const void *params, const struct ph_spec *in,
                                   struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct phi_prednet_config config = {0};
    struct phi_film film = {0};
    enum ph_status status;

    if (in->kind != PH_FRAME_LATENT || in->rank != 2)
        return phi_error(reterr, PH_E_SHAPE, "a generator draws from a decoder's latents");
    status = open_sizes(params, in->dims[1], &film, &config, reterr);
    phi_film_close(&film);
    if (status)
        return status;
    ret_out->kind = PH_FRAME_IMAGE;
    ret_out->dtype = PH_DTYPE_U8;
    ret_out->rank = 3;
    ret_out->dims[0] = (uint32_t)config.h;
    ret_out->dims[1] = (uint32_t)config.w;
    ret_out->dims[2] = 3;
    return PH_OK;
}

static enum ph_status take_memory(struct state *s, const struct phi_prednet_config *config,
                                  struct ph_error *reterr)
{
    size_t n_r = phi_prednet_r_size(config, (int)s->params->layer);
    size_t n_past = s->params->control == CONTROL_SHUFFLED ? N_PAST : 1;

    s->shown = s->host->alloc(s->host->self, 3 * config->h * config->w, 1);
    s->past.zeros = s->host->alloc(s->host->self, n_r, sizeof(float));
    s->past.r = s->host->alloc(s->host->self, n_past * n_r, sizeof(float));
    if (!s->shown || !s->past.zeros || !s->past.r)
        return phi_error_nomem(reterr, "the moving picture", n_past * n_r * sizeof(float));
    return PH_OK;
}

static enum ph_status open_players(struct state *s, const struct phi_prednet_config *config,
                                   double tr_s, struct ph_error *reterr)
{
    const struct params *p = s->params;
    const struct phi_player_options options = {.model = p->model,
                                               .config = *config,
                                               .film = p->film[0] ? &s->film : NULL,
                                               .clock = &s->clock,
                                               .layer = (int)p->layer,
                                               .fps = p->fps,
                                               .window_s = p->window_s > 0 ? p->window_s : tr_s,
                                               .net.plan.precision =
                                                   (enum phi_precision)p->precision};
    enum ph_status status;

    if (!(options.window_s > 0))
        return phi_error(reterr, PH_E_INVAL,
                         "the run does not tell its repetition time: set window_s");
    status = phi_player_open(&s->settled, &options, reterr);
    if (status == PH_OK)
        status = phi_player_open(&s->moving, &options, reterr);
    if (status)
        return status;
    s->mark = phi_player_mark_init(&s->moving);
    return s->mark.values ? PH_OK : phi_error_nomem(reterr, "the state of a network", 0);
}

static enum ph_status prednet_init(void *state, const void *params, const struct ph_spec *in,
                                   const struct ph_spec *out, const struct ph_host *host,
                                   struct ph_error *reterr)
{
    struct state *s = state;
    struct phi_prednet_config config = {0};
    enum ph_status status;

    (void)out;
    s->host = host;
    s->params = params;
    s->clock.fps = s->params->fps;
    phi_nn_set_threads((int)s->params->threads);
    status = open_sizes(params, in->dims[1], &s->film, &config, reterr);
    if (status == PH_OK)
        status = take_memory(s, &config, reterr);
    return status == PH_OK ? open_players(s, &config, in->geometry.tr_s, reterr) : status;
}

/* A decode of another time: some way back, which one by the number of statements so far. */
static const float *another_time(struct past *past, const float *r, double at_s, size_t n_r)
{
    size_t n_kept, pick;

    if (past->n == 0 || past->newest_s != at_s) /* else it came by the other way already */
        memcpy(past->r + past->n++ % N_PAST * n_r, r, n_r * sizeof *r);
    past->newest_s = at_s;
    if (past->n <= APART)
        return past->zeros;
    n_kept = past->n < N_PAST ? past->n : N_PAST;
    pick = past->n - 1 - APART - past->n * 2654435761U % (n_kept - APART);
    return past->r + pick % N_PAST * n_r;
}

static void put_statement(struct state *s, struct phi_player *player, const struct ph_frame *latent)
{
    double at_s = latent->u.latent.stimulus_s;
    const float *r = latent->data;

    player->mix = (float)s->params->mix;
    switch ((enum control)s->params->control) {
    case CONTROL_NONE:
        break;
    case CONTROL_NO_REPLACEMENT:
        return;
    case CONTROL_SHUFFLED:
        r = another_time(&s->past, r, at_s, player->n_r);
        break;
    case CONTROL_ZEROS:
        r = s->past.zeros;
        break;
    }
    phi_player_state(player, r, at_s);
}

static int64_t ticks(const struct state *s, double seconds)
{
    return (int64_t)ceil(seconds * s->params->fps);
}

/* True if `target` can be reached by playing on from `tick`. */
static bool follows(const struct state *s, int64_t tick, int64_t target)
{
    return tick != INT64_MIN && target > tick && target - tick <= ticks(s, GAP_S);
}

static void describe(const struct state *s, struct ph_frame *image)
{
    image->dtype = PH_DTYPE_U8;
    image->rank = 3;
    image->dims[0] = (uint32_t)s->settled.from.config.h;
    image->dims[1] = (uint32_t)s->settled.from.config.w;
    image->dims[2] = 3;
}

static enum ph_status prednet_render(void *state, const struct ph_frame *latent,
                                     struct ph_frame *image)
{
    struct state *s = state;
    int64_t target = phi_player_tick_at(&s->settled, latent->u.latent.stimulus_s);

    phi_nn_set_threads((int)s->params->threads);
    put_statement(s, &s->settled, latent);
    if (!follows(s, s->settled.tick, target))
        phi_player_seek(&s->settled, target - ticks(s, WARM_UP_S));
    while (s->settled.tick < target) {
        enum ph_status status = phi_player_step(&s->settled, INFINITY);

        if (status != PH_OK)
            return status;
    }
    phi_player_picture(&s->settled, image->data);
    describe(s, image);
    return PH_OK;
}

/* Back to the last statement's moment: the ticks after it are played again, now that they are known
 * better. */
static void prednet_aim(void *state, const struct ph_frame *latent)
{
    struct state *s = state;

    s->latent = latent->u.latent;
    s->flags = latent->flags;
    s->target = phi_player_tick_at(&s->moving, s->latent.stimulus_s);
    s->now_s = s->latent.stimulus_s + s->latent.lag_s;
    s->now_ns = latent->received_ns > 0 ? latent->received_ns : s->host->now_ns(s->host->self);
    put_statement(s, &s->moving, latent);
    if (!s->aimed || !follows(s, s->mark.tick, s->target) ||
        phi_player_restore(&s->moving, &s->mark) != PH_OK)
        phi_player_seek(&s->moving, s->target - ticks(s, WARM_UP_S));
    s->aimed = true;
    s->marked = false;
}

static double run_now_s(const struct state *s)
{
    return s->now_s + 1e-9 * (double)(s->host->now_ns(s->host->self) - s->now_ns);
}

/* One tick, or the part of it that there is time for. */
static enum ph_status move(struct state *s, int64_t end_ns)
{
    enum ph_status status = phi_player_step_until(&s->moving, run_now_s(s), end_ns);

    if (status == PH_OK && !s->marked && s->moving.tick >= s->target) {
        status = phi_player_save(&s->moving, &s->mark);
        s->marked = true;
    }
    return status;
}

static enum ph_status prednet_step(void *state, int64_t budget_ns)
{
    struct state *s = state;
    int64_t end_ns = s->host->now_ns(s->host->self) + budget_ns;
    int64_t first = s->moving.tick, goal;
    enum ph_status status = PH_OK;

    if (!s->aimed)
        return PH_AGAIN;
    phi_nn_set_threads((int)s->params->threads);
    goal = phi_player_tick_at(&s->moving, run_now_s(s) + s->params->horizon_s);
    goal = goal > s->target ? goal : s->target;
    if (s->moving.tick >= goal)
        return PH_AGAIN;
    do {
        status = move(s, end_ns);
    } while (status == PH_OK && s->moving.tick < goal && s->host->now_ns(s->host->self) < end_ns);
    if (status < 0)
        return status;
    if (s->moving.tick != first)
        phi_player_picture(&s->moving, s->shown);
    return PH_OK; /* also in the middle of a tick: there is more to do */
}

static enum ph_status prednet_peek(void *state, struct ph_frame *image)
{
    const struct state *s = state;

    memcpy(image->data, s->shown, 3 * s->settled.n_pixels);
    describe(s, image);
    image->u.image.latent = s->latent;
    image->flags = s->flags;
    return PH_OK;
}

static enum ph_status prednet_event(void *state, struct ph_io *io)
{
    struct state *s = state;

    phi_film_clock_add(&s->clock, &io->in->u.event);
    return PH_OK;
}

static void prednet_update(void *state, const void *params)
{
    struct state *s = state;

    s->params = params;
    s->settled.mix = s->moving.mix = (float)s->params->mix;
}

static void prednet_reset(void *state)
{
    struct state *s = state;

    phi_player_reset(&s->settled);
    phi_player_reset(&s->moving);
    s->clock.n_known = 0;
    s->past.n = 0;
    s->mark.tick = INT64_MIN;
    s->aimed = s->marked = false;
    memset(s->shown, 0, 3 * s->settled.n_pixels);
    memset(&s->latent, 0, sizeof s->latent);
    s->flags = 0;
}

static void prednet_fini(void *state)
{
    struct state *s = state;

    phi_player_mark_fini(&s->mark);
    phi_player_close(&s->settled);
    phi_player_close(&s->moving);
    phi_film_close(&s->film);
}

static const struct ph_stage_ops prednet_ops = {
    .struct_size = sizeof prednet_ops,
    .plan = prednet_plan,
    .init = prednet_init,
    .event = prednet_event,
    .aim = prednet_aim,
    .step = prednet_step,
    .peek = prednet_peek,
    .render = prednet_render,
    .update = prednet_update,
    .reset = prednet_reset,
    .fini = prednet_fini,
};

static const struct ph_stage_type prednet_type = {
    .struct_size = sizeof prednet_type,
    .kind = PH_STAGE_GENERATOR,
    .id = "generator/prednet",
    .summary = "Draw the film frame that PredNet generates from a decoded representation",
    .caps = PH_CAP_STATEFUL | PH_CAP_DETERMINISTIC,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &prednet_ops,
};

static const struct ph_stage_type *const types[] = {&prednet_type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "prednet",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(generator_prednet, plugin)
