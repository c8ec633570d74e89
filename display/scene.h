/* SPDX-License-Identifier: MIT
 *
 * What the windows show: the newest pictures, the film strip, histories for the plots, the state of
 * the run. The scene copies what it is told and never refers to a frame afterwards. All memory is
 * taken by create; one thread.
 */
#ifndef PHI_DISPLAY_SCENE_H
#define PHI_DISPLAY_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "display/calibration.h"
#include "display/panel.h"
#include "display/plot.h"
#include "phosphene/frame.h"
#include "phosphene/host.h"
#include "rt/view.h"

#define PHI_SCENE_GENERATORS 4
#define PHI_SCENE_TILES      64
#define PHI_SCENE_MARKS      512

/* One picture that somebody made, with what is known about it. */
struct phi_picture {
    uint8_t *rgb;   /* [height][width][3], room for max_width x max_height */
    uint32_t width; /* 0: no picture yet */
    uint32_t height;
    uint32_t flags; /* enum ph_frame_flag */
    struct ph_latent latent;
    char generator[32];
    int64_t shown_ns; /* when it was taken over, on the engine's clock */
};

/* One moment of the film strip: an event and its newest reconstruction. */
struct phi_tile {
    bool used;
    uint32_t trial;
    double onset_s;
    double duration_s;
    int32_t stim_index;
    char label[64];
    struct phi_picture picture;
};

enum phi_mark_kind {
    PHI_MARK_VOLUME = 1,
    PHI_MARK_MISSING = 2,
    PHI_MARK_CENSORED = 3,
    PHI_MARK_EVENT = 4
};

struct phi_mark {
    double at_s;
    double duration_s;
    enum phi_mark_kind kind;
};

/* Finds the true picture of a stimulus: fills *ret_rgb (valid until the next call), width, height.
 * False if it is unknown. */
typedef bool phi_stimulus_fn(void *context, int32_t stim_index, const uint8_t **ret_rgb,
                             uint32_t *ret_width, uint32_t *ret_height);

/* A statistical map over the brain. */
struct phi_scene_map {
    bool known;
    char title[PHI_SHOWN_TITLE];
    float threshold;
    float *values; /* [nz][ny][nx] */
    float most;    /* largest absolute value */
    uint32_t peak[3];
};

struct phi_scene_config {
    uint32_t max_width, max_height; /* of any generated picture */
    struct ph_geometry geometry;    /* of the volumes */
    double tr_s;
    const char *title;         /* session and run */
    const char *label;         /* what kind of data is shown, "" for real ones */
    phi_stimulus_fn *stimulus; /* or NULL */
    void *stimulus_context;
    const struct phi_panel *axes;  /* of the decoder's latents, or NULL; must outlive the scene */
    const struct phi_truth *truth; /* of the stimuli, or NULL; must outlive the scene */
    double stale_s;                /* a statement older than this is marked; 0: 2 TR */
};

struct phi_scene {
    struct phi_scene_config config;
    struct phi_picture now[PHI_SCENE_GENERATORS]; /* the moving picture of each generator */
    unsigned n_generators;
    struct phi_tile tiles[PHI_SCENE_TILES]; /* ring by trial number */
    uint32_t newest_trial;                  /* PH_NO_TRIAL: none yet */
    struct phi_panel_values along;          /* the newest statement along config.axes */
    struct ph_latent stated;                /* what it speaks of */
    bool has_along;
    struct ph_event newest_event;
    bool has_event;

    float *volume; /* [nz][ny][nx], the newest */
    bool has_volume;
    struct phi_scene_map maps[PHI_SHOWN_MAPS];
    struct phi_shown_curves curves[PHI_SHOWN_CURVES]; /* n_traces 0: none yet */
    struct phi_calibration *calibration;              /* NULL without config.truth */
    struct phi_shown_curves calibrated;               /* its curves; n_traces 0: none yet */
    float grey_low, grey_high;

    struct phi_history motion_mm[3], motion_deg[3], fd, std_dvars, tsnr, global_signal, latency_ms;
    struct phi_history dvars, outlier_percent, gcor, drift, spikes;
    struct ph_quality quality; /* newest */
    struct phi_mark marks[PHI_SCENE_MARKS];
    uint64_t n_marks;
    double clock_s; /* end of the newest volume on the run's clock */
    struct ph_run_stats stats;
    uint64_t n_volumes, n_missing, n_censored, n_events;
    char warning[160]; /* "" if all is well */
    int64_t warned_ns; /* when it came */
    int64_t now_ns;    /* the engine's clock at the last update */
};

/* A scene. `config` is copied; its strings and callbacks must outlive the scene. */
PH_NODISCARD enum ph_status phi_scene_create(const struct phi_scene_config *config,
                                             struct phi_scene **ret_scene);
/* Frees the scene; accepts NULL, clears *scene. */
void phi_scene_destroy(struct phi_scene **scene);

/* A volume (whole, before the mask) or the news that it is missing: histories, marks, brain. */
void phi_scene_add_volume(struct phi_scene *scene, const struct ph_frame *volume);
/* Quality figures and flags of volume `index` after the last filter. */
void phi_scene_add_quality(struct phi_scene *scene, const struct ph_frame *frame);
/* Time from volume complete to decoded, of one volume. */
void phi_scene_add_latency(struct phi_scene *scene, int64_t latency_ns);
/* A stimulus event. */
void phi_scene_add_event(struct phi_scene *scene, const struct ph_event *event);
/* A recorded (settled) picture: goes to its trial's place in the film strip. In continuous decoding
 * the first moment that lies in an event stands for it, as the strip shows that event's first
 * frame. `shown_ns` is now. */
void phi_scene_add_tile(struct phi_scene *scene, const struct ph_frame *image, int64_t shown_ns);
/* The moving picture of a generator; pictures larger than max_width x max_height are ignored. */
void phi_scene_set_now(struct phi_scene *scene, const struct ph_frame *image, int64_t shown_ns);
/* The newest statement, [2][n]: measured along the axes, where there are axes of so many latents.
 */
void phi_scene_set_latent(struct phi_scene *scene, const struct ph_frame *latent);
/* A statement about any trial, where its stimulus's true latents are known. */
void phi_scene_calibrate(struct phi_scene *scene, const struct ph_frame *latent);
/* The newest map in place `slot`. */
void phi_scene_set_map(struct phi_scene *scene, size_t slot, const struct phi_shown_map *map);
/* The newest curves in place `slot`. */
void phi_scene_set_curves(struct phi_scene *scene, size_t slot,
                          const struct phi_shown_curves *curves);

/* The tile of `trial`, or NULL when it has left the strip or never was. */
const struct phi_tile *phi_scene_tile(const struct phi_scene *scene, uint32_t trial);

/* Whether the scanner has been silent for 2.5 TR: by the clock at `now_s` since the start. */
bool phi_scene_stale(const struct phi_scene *scene, const struct phi_picture *picture);

#endif
