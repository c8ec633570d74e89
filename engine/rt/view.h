/* SPDX-License-Identifier: MIT
 *
 * All that the display sees of a run. Engine threads put copies in, the display's thread takes the
 * newest; nobody ever waits for the other, so a slow or frozen display cannot slow the science. The
 * display includes this header and the public ones, nothing else of the engine.
 *
 *   volume     the newest volume (after the last filter that yields volumes)
 *   pictures   for each generator the settled picture of each trial slot, and the moving picture
 *   latents    the newest statement for each trial slot
 *   shown      maps and curves that filters put up (rt/shown.h)
 *   queues     one point a volume, events, log lines: lossy when nobody reads them
 *   status     run state, counters, latency; always the newest
 *
 * Trial slot: a statement about trial t is kept in slot t % PHI_VIEW_SLOTS, in continuous decoding
 * the moment's number round(stimulus_s / TR) takes t's place. So a revision of one trial replaces
 * that trial's picture and never another of the newest PHI_VIEW_SLOTS trials. Look at
 * frame->u.latent.trial (or u.image.latent.trial) to see whose it is.
 *
 * Threads: `phi_view_put_...` are for the engine, each from one thread as its comment says. All
 * other functions are for the display's one thread. Frames returned stay valid until the next call
 * of the same function with the same arguments.
 */
#ifndef PHI_RT_VIEW_H
#define PHI_RT_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/frame.h"
#include "phosphene/host.h"
#include "phosphene/plugin.h"
#include "phosphene/status.h"
#include "rt/shown.h"

#define PHI_VIEW_SLOTS      8
#define PHI_VIEW_GENERATORS 8
#define PHI_VIEW_STAGES     64

struct phi_view;

/* States of a run, in the order they come. */
enum phi_view_state {
    PHI_VIEW_WAITING = 0, /* for the first volume */
    PHI_VIEW_RUNNING = 1,
    PHI_VIEW_DRAINING = 2, /* the input has ended, queues run empty */
    PHI_VIEW_STOPPED = 3
};

/* What is known when a run has been planned; constant afterwards. */
struct phi_view_info {
    char title[128];
    struct ph_geometry geometry; /* of the volumes; tr_s 0 if unknown */
    uint32_t n_volumes;          /* planned length, 0 if unknown */
    bool has_decoder;
    char decoder[32];
    uint32_t n_components; /* of the latent */
    uint64_t space;        /* that it is in (ph_space_hash), 0 if unknown */
    size_t n_generators;
    struct {
        char name[32];
        uint32_t width;
        uint32_t height;
    } generators[PHI_VIEW_GENERATORS];
    size_t n_stages; /* source, filters, decoder, generators, sinks in this order */
    struct {
        char name[32];
        uint32_t kind; /* enum ph_stage_kind */
    } stages[PHI_VIEW_STAGES];
    double stale_after_s; /* a statement older than this is to be shown as stale; 0: never */
    bool insecure;        /* a source listens to the network without keys */
};

/* One point of the plots a volume, when it has left the last science stage. */
struct phi_view_point {
    uint64_t index;
    uint32_t flags; /* enum ph_frame_flag of the volume */
    double acquired_s;
    int64_t received_ns;
    int64_t latency_ns; /* complete at the engine -> end of the last filter or decoder */
    struct ph_quality quality;
};

/* A log line of level warning or error. */
struct phi_view_line {
    int64_t wall_ns;
    enum ph_log_level level;
    char stage[32];
    char id[32];
    char text[200];
};

struct phi_view_status {
    enum phi_view_state state;
    struct ph_run_stats stats;
    uint64_t n_events;
    uint64_t n_late;
    uint64_t n_dropped_points;  /* lost because nobody read them */
    int64_t newest_received_ns; /* of the newest volume; 0 before the first */
    double newest_acquired_s;   /* of the newest volume */
    int64_t now_ns;             /* on the same clock */
    uint64_t changes;           /* grows with everything that is put into the view */
};

/* Time one stage takes, over its newest 1024 frames. */
struct phi_view_stage {
    int64_t last_ns;
    int64_t p50_ns;
    int64_t p99_ns;
    int64_t max_ns;
    uint64_t n;
    uint32_t depth; /* frames that waited in front of it the last time */
};

/* What the display may ask of the engine; filled by the engine. Any function may be NULL. */
struct phi_view_control {
    void *arg;
    /* Ends the run in an orderly way; never blocks. */
    void (*request_stop)(void *arg);
    /* Sets a live parameter "stage.key"; never blocks for long. */
    enum ph_status (*set_param)(void *arg, const char *key, const char *value,
                                struct ph_error *reterr);
    /* Asks generator `g` to keep improving its moving picture and to show it every `interval_ns`;
     * 0 ends that. Never blocks. */
    void (*move)(void *arg, size_t g, int64_t interval_ns);
    /* A mark by the operator, logged with the run's time. */
    void (*mark)(void *arg, const char *text);
};

/* A view of a planned run. Owned by the caller (the engine). */
PH_NODISCARD enum ph_status phi_view_create(const struct phi_view_info *info,
                                            const struct phi_view_control *control,
                                            struct phi_view **ret_view, struct ph_error *reterr);

/* Frees; accepts NULL and *view == NULL, clears *view. */
void phi_view_destroy(struct phi_view **view);

/* ---- for the display ---- */

/* What is known of the run; valid as long as the view. */
const struct phi_view_info *phi_view_info(const struct phi_view *view);

/* The newest volume, float32 [z][y][x]; *ret_frame NULL before the first. True if it is new since
 * the last call. */
bool phi_view_volume(struct phi_view *view, const struct ph_frame **ret_frame);

/* The newest settled picture of generator `g` in trial slot `slot`, uint8 [height][width][3]; the
 * header's u.image says which trial, revision and moment. True if new since the last call. */
bool phi_view_picture(struct phi_view *view, size_t g, size_t slot,
                      const struct ph_frame **ret_frame);

/* The moving picture of generator `g`: what it shows on its way to the newest latent. It comes
 * only after phi_view_move. True if new since the last call. */
bool phi_view_moving(struct phi_view *view, size_t g, const struct ph_frame **ret_frame);

/* The newest statement about a trial slot, float32 [2][n_components]: mean, sd; without the samples
 * that the decoder may have drawn. */
bool phi_view_latent(struct phi_view *view, size_t slot, const struct ph_frame **ret_frame);

/* The slot and frame of the newest statement of all; false before the first one. */
bool phi_view_newest_slot(struct phi_view *view, size_t *ret_slot);

/* The next point, event or log line that has not been taken yet; false if there is none. */
bool phi_view_next_point(struct phi_view *view, struct phi_view_point *ret_point);
bool phi_view_next_event(struct phi_view *view, struct ph_event *ret_event);
bool phi_view_next_line(struct phi_view *view, struct phi_view_line *ret_line);

/* Maps and curves; rt/shown.h says how to look at them. Valid as long as the view. */
struct phi_shown *phi_view_shown(struct phi_view *view);

/* Run state and counters. */
void phi_view_status(struct phi_view *view, struct phi_view_status *ret_status);

/* Times of stage number `i` of the info. */
void phi_view_stage(struct phi_view *view, size_t i, struct phi_view_stage *ret_stage);

/* Age in seconds of what a frame speaks of: run time now less its moment (latents and pictures: the
 * stimulus time; volumes: the acquisition). 0 before the first volume. */
double phi_view_age_s(struct phi_view *view, const struct ph_frame *frame);

/* True if the frame's age is above the run's limit: what it says is to be shown as stale. While a
 * run replays faster than it was acquired, age counts in volumes and this stays right. */
bool phi_view_is_stale(struct phi_view *view, const struct ph_frame *frame);

/* Requests to the engine, as in struct phi_view_control; PH_E_STATE where the engine has none. */
void phi_view_request_stop(struct phi_view *view);
PH_NODISCARD enum ph_status phi_view_set_param(struct phi_view *view, const char *key,
                                               const char *value, struct ph_error *reterr);
void phi_view_move(struct phi_view *view, size_t g, int64_t interval_ns);
void phi_view_mark(struct phi_view *view, const char *text);

/* ---- for the engine ---- */

/* Filter thread: copies a volume frame; one that does not fit is left out. */
void phi_view_put_volume(struct phi_view *view, const struct ph_frame *frame);

/* Thread of the last science stage. */
void phi_view_put_point(struct phi_view *view, const struct phi_view_point *point);
void phi_view_put_event(struct phi_view *view, const struct ph_event *event);

/* Decoder's thread. */
void phi_view_put_latent(struct phi_view *view, const struct ph_frame *frame);

/* Thread of generator `g`. */
void phi_view_put_picture(struct phi_view *view, size_t g, const struct ph_frame *frame);
void phi_view_put_moving(struct phi_view *view, size_t g, const struct ph_frame *frame);

/* Logger's thread. */
void phi_view_put_line(struct phi_view *view, const struct phi_view_line *line);

/* Any one engine thread at a time. */
void phi_view_put_state(struct phi_view *view, enum phi_view_state state);

/* Source's thread. */
void phi_view_count(struct phi_view *view, const struct ph_frame *frame, uint64_t n_missing,
                    uint64_t n_late);

/* Thread of the last science stage: a volume left it, `latency_ns` after it was complete. */
void phi_view_put_latency(struct phi_view *view, int64_t latency_ns, bool censored);

/* Thread of stage `i`: it took `took_ns` for a frame, with `depth` frames waiting. */
void phi_view_put_stage(struct phi_view *view, size_t i, int64_t took_ns, uint32_t depth);

/* Any thread: statistics as host.run_stats gives them, and over the whole run. */
void phi_view_run_stats(const struct phi_view *view, struct ph_run_stats *ret_stats);

#endif
