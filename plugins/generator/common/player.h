/* SPDX-License-Identifier: MIT
 *
 * A PredNet played along a run at film rate: every tick it is shown the frame that was on the
 * screen (or none), and R of one layer is replaced by the newest statement about that moment. The
 * place of a tick is a whole number of frames on the run's clock, so two players given the same
 * statements make the same pictures. Memory is taken by open; playing neither allocates nor blocks.
 * One thread at a time.
 */
#ifndef PLUGINS_GENERATOR_COMMON_PLAYER_H
#define PLUGINS_GENERATOR_COMMON_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "plugins/generator/common/film_file.h"
#include "plugins/generator/common/prednet_file.h"

struct phi_player_options {
    const char *model;
    struct phi_prednet_config config;
    const struct phi_film *film;        /* NULL: free running; outlives the player */
    const struct phi_film_clock *clock; /* likewise */
    int layer;                          /* whose R is driven */
    double fps;
    double window_s; /* how long a statement holds, centred on its moment */
    struct phi_prednet_live_options net;
};

/* A copy of all that a tick depends on. */
struct phi_player_mark {
    int64_t tick;
    bool showing;
    float *values;
};

struct phi_player {
    struct phi_player_options from;
    struct phi_prednet_live *net;
    size_t n_r, n_pixels;
    int64_t tick;      /* the last one played; INT64_MIN before the first */
    bool showing;      /* a frame of the film was on at that tick */
    bool under_way;    /* the next tick has been begun */
    float mix;         /* 0: R is left alone, 1: replaced */
    float *r[2];       /* [n_r] the statement before the newest and the newest */
    double at_s[2];    /* their moments; NaN for none */
    float *frame;      /* [3][h][w] */
    float *prediction; /* [3][h][w] of the last tick */
};

/* Loads the model and takes memory into `player`, which comes zeroed and is released with
 * phi_player_close, also after a failure. `options` is copied. */
PH_NODISCARD enum ph_status phi_player_open(struct phi_player *player,
                                            const struct phi_player_options *options,
                                            struct ph_error *reterr);
/* Releases what open took and zeroes `player`. */
void phi_player_close(struct phi_player *player);

/* Forgets everything: the network in its first state, no statement. */
void phi_player_reset(struct phi_player *player);

/* A new statement: R of the driven layer about `at_s`, r[n_r], which is copied. Gives up a tick
 * that is under way. */
void phi_player_state(struct phi_player *player, const float *r, double at_s);

/* The tick whose frame stands at `time_s`. */
int64_t phi_player_tick_at(const struct phi_player *player, double time_s);

/* Plays one tick after the last. Frames of ticks after `known_to_s` are not looked at: the network
 * sees its own prediction instead. */
PH_NODISCARD enum ph_status phi_player_step(struct phi_player *player, double known_to_s);

/* The same within a time budget: PH_AGAIN when `deadline_ns` (CLOCK_MONOTONIC) has passed between
 * two layers. The next call goes on with that tick, whatever its `known_to_s`. */
PH_NODISCARD enum ph_status phi_player_step_until(struct phi_player *player, double known_to_s,
                                                  int64_t deadline_ns);

/* Goes to the state before `tick` without playing what lies between: the network begins anew. */
void phi_player_seek(struct phi_player *player, int64_t tick);

/* Room for a mark, freed by phi_player_mark_fini; NULL in values for lack of memory. */
struct phi_player_mark phi_player_mark_init(const struct phi_player *player);
void phi_player_mark_fini(struct phi_player_mark *mark);

/* Copies the network's state out and in. Statements are not part of it. */
PH_NODISCARD enum ph_status phi_player_save(const struct phi_player *player,
                                            struct phi_player_mark *mark);
PH_NODISCARD enum ph_status phi_player_restore(struct phi_player *player,
                                               const struct phi_player_mark *mark);

/* The last prediction as bytes rgb[h][w][3]. */
void phi_player_picture(const struct phi_player *player, uint8_t *rgb);

#endif
