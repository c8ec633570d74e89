/* SPDX-License-Identifier: MIT */
#include "plugins/generator/common/player.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

/* A tick stands for the middle of its frame, so that rounding never decides which frame is on. */
static double time_of(const struct phi_player *player, int64_t tick)
{
    return ((double)tick + 0.5) / player->from.fps;
}

enum ph_status phi_player_open(struct phi_player *player, const struct phi_player_options *options,
                               struct ph_error *reterr)
{
    const struct phi_prednet_config *config = &options->config;
    enum ph_status status;

    player->from = *options;
    player->n_r = phi_prednet_r_size(config, options->layer);
    player->n_pixels = config->h * config->w;
    player->mix = 1;
    status = phi_prednet_file_open(options->model, config, &options->net, &player->net, reterr);
    if (status)
        return status;
    player->r[0] = phi_calloc(player->n_r, sizeof(float));
    player->r[1] = phi_calloc(player->n_r, sizeof(float));
    player->frame = phi_calloc2(player->n_pixels, 3, sizeof(float));
    player->prediction = phi_calloc2(player->n_pixels, 3, sizeof(float));
    if (!player->r[0] || !player->r[1] || !player->frame || !player->prediction)
        return phi_error_nomem(reterr, "a film player", player->n_r * sizeof(float));
    phi_player_reset(player);
    return PH_OK;
}

void phi_player_close(struct phi_player *player)
{
    phi_prednet_live_destroy(&player->net);
    phi_free(player->r[0]);
    phi_free(player->r[1]);
    phi_free(player->frame);
    phi_free(player->prediction);
    memset(player, 0, sizeof *player);
}

void phi_player_seek(struct phi_player *player, int64_t tick)
{
    phi_prednet_live_reset(player->net);
    memset(player->prediction, 0, 3 * player->n_pixels * sizeof *player->prediction);
    player->tick = tick - 1;
    player->showing = player->under_way = false;
}

void phi_player_reset(struct phi_player *player)
{
    phi_player_seek(player, 0);
    player->tick = INT64_MIN;
    player->at_s[0] = player->at_s[1] = NAN;
}

void phi_player_state(struct phi_player *player, const float *r, double at_s)
{
    float *oldest = player->r[0];

    player->under_way = false;
    player->r[0] = player->r[1];
    player->r[1] = oldest;
    player->at_s[0] = player->at_s[1];
    player->at_s[1] = at_s;
    memcpy(oldest, r, player->n_r * sizeof *r);
}

int64_t phi_player_tick_at(const struct phi_player *player, double time_s)
{
    return (int64_t)floor(time_s * player->from.fps + 1e-6);
}

/* The statement nearest to the tick, if it holds there. */
static const float *statement_for(const struct phi_player *player, int64_t tick)
{
    double distance[2];
    int nearest;

    for (int i = 0; i < 2; i++)
        distance[i] =
            isnan(player->at_s[i]) ? INFINITY : fabs(time_of(player, tick) - player->at_s[i]);
    nearest = distance[1] <= distance[0];
    return distance[nearest] <= 0.5 * player->from.window_s + 1e-9 ? player->r[nearest] : NULL;
}

/* What the network sees at the tick; at a cut it begins anew, as it does in training. */
static const float *look(struct phi_player *player, int64_t tick, double known_to_s)
{
    int64_t frame = -1;

    if ((double)tick / player->from.fps > known_to_s)
        return player->prediction; /* still to come */
    if (player->from.film)
        frame = phi_film_clock_frame(player->from.clock, time_of(player, tick));
    if (frame < 0 || frame >= (int64_t)player->from.film->n) {
        player->showing = false;
        return player->prediction;
    }
    if (!player->showing || phi_film_cut(player->from.film, (size_t)frame))
        phi_prednet_live_reset(player->net);
    player->showing = true;
    phi_film_planes(player->from.film, (size_t)frame, player->frame);
    return player->frame;
}

static enum ph_status begin_tick(struct phi_player *player, double known_to_s, int64_t deadline_ns)
{
    int64_t tick = player->tick + 1;
    const float *frame = look(player, tick, known_to_s);
    struct phi_prednet_drive drive = {player->from.layer, player->mix, statement_for(player, tick)};

    player->under_way = true;
    return phi_prednet_live_step_until(player->net, frame, drive.r && drive.mix > 0 ? &drive : NULL,
                                       deadline_ns);
}

enum ph_status phi_player_step_until(struct phi_player *player, double known_to_s,
                                     int64_t deadline_ns)
{
    enum ph_status status = player->under_way ? phi_prednet_live_continue(player->net, deadline_ns)
                                              : begin_tick(player, known_to_s, deadline_ns);

    if (status == PH_AGAIN)
        return status;
    player->under_way = false;
    if (status != PH_OK)
        return status;
    player->tick++;
    memcpy(player->prediction, phi_prednet_live_prediction(player->net),
           3 * player->n_pixels * sizeof *player->prediction);
    return PH_OK;
}

enum ph_status phi_player_step(struct phi_player *player, double known_to_s)
{
    return phi_player_step_until(player, known_to_s, INT64_MAX);
}

/* Calls for every part of the state in one order: where it stands in a mark. */
static enum ph_status each_part(const struct phi_player *player, float *values, bool write)
{
    static const char kinds[3] = {'r', 'c', 'e'};
    enum ph_status status = PH_OK;

    for (int l = 0; l < player->from.config.n_layers; l++)
        for (int k = 0; k < 3 && status == PH_OK; k++) {
            status = write ? phi_prednet_live_write(player->net, kinds[k], l, values)
                           : phi_prednet_live_read(player->net, kinds[k], l, values);
            values += phi_prednet_r_size(&player->from.config, l) * (kinds[k] == 'e' ? 2 : 1);
        }
    return status;
}

struct phi_player_mark phi_player_mark_init(const struct phi_player *player)
{
    struct phi_player_mark mark = {.tick = INT64_MIN};
    size_t n = 3 * player->n_pixels;

    for (int l = 0; l < player->from.config.n_layers; l++)
        n += 4 * phi_prednet_r_size(&player->from.config, l);
    mark.values = phi_calloc(n, sizeof *mark.values);
    return mark;
}

void phi_player_mark_fini(struct phi_player_mark *mark)
{
    phi_free(mark->values);
    mark->values = NULL;
}

enum ph_status phi_player_save(const struct phi_player *player, struct phi_player_mark *mark)
{
    size_t n = 3 * player->n_pixels;

    mark->tick = player->tick;
    mark->showing = player->showing;
    memcpy(mark->values, player->prediction, n * sizeof *mark->values);
    return each_part(player, mark->values + n, false);
}

enum ph_status phi_player_restore(struct phi_player *player, const struct phi_player_mark *mark)
{
    size_t n = 3 * player->n_pixels;

    player->tick = mark->tick;
    player->under_way = false;
    player->showing = mark->showing;
    memcpy(player->prediction, mark->values, n * sizeof *mark->values);
    return each_part(player, mark->values + n, true);
}

void phi_player_picture(const struct phi_player *player, uint8_t *rgb)
{
    for (size_t k = 0; k < player->n_pixels; k++)
        for (size_t c = 0; c < 3; c++) {
            float value = player->prediction[c * player->n_pixels + k] * 255;

            value = value > 0 ? value < 255 ? value : 255 : 0; /* NaN is black */
            rgb[3 * k + c] = (uint8_t)(value + 0.5f);
        }
}
