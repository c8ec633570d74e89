/* SPDX-License-Identifier: MIT
 *
 * The display of a run: windows or a canvas in memory, kept up to date from the run's view on the
 * main thread, until the run has ended and the person at it has seen enough.
 */
#ifndef PHI_DISPLAY_APP_H
#define PHI_DISPLAY_APP_H

#include "display/operator.h"
#include "display/subject.h"
#include "rt/view.h"

struct phi_display;

struct phi_display_config {
    bool headless; /* draw into memory only */
    bool operator_window;
    int width, height; /* of the operator's window, or of the canvas */
    int page;          /* of its plots at the start */
    bool mosaic;       /* the brain as all slices at the start */
    bool subject_window;
    int subject_display; /* screen number; -1: any */
    bool subject_full_screen;
    size_t subject_generator;
    struct phi_subject_config subject;
    double refresh_hz; /* 0: the screen's */
    const char *label; /* what kind of data is shown, "" for real ones */
    phi_stimulus_fn *stimulus;
    void *stimulus_context;
    const struct phi_panel
        *axes; /* of the decoder's latents, for the panel of attributes; or NULL */
    const struct phi_truth
        *truth; /* latents of the stimuli, for the running calibration; or NULL */
    /* Saves a picture rgb[height][width][3]; called by the screenshot key. NULL: no key. */
    void (*screenshot)(void *context, const uint8_t *rgb, int width, int height);
    void *screenshot_context;
    /* A new picture is on the subject's screen since flip_ns; latent says which moment it shows. */
    void (*flip)(void *context, const struct ph_latent *latent, int64_t flip_ns);
    void *flip_context;
    /* The screen is gone (server dead, window destroyed); the display goes on without windows. */
    void (*screen_lost)(void *context);
    void *screen_lost_context;
};

/* What the drawing cost, for the log and the record. */
struct phi_display_stats {
    uint64_t n_frames;
    uint64_t n_dropped;
    int64_t worst_interval_ns;
    int64_t worst_draw_ns;
};

/* Opens what `config` asks for. `view` and the strings and callbacks of `config` must outlive the
 * display. PH_E_PEER where there is no screen. Owned by the caller. */
PH_NODISCARD enum ph_status phi_display_create(struct phi_view *view,
                                               const struct phi_display_config *config,
                                               struct phi_display **ret_display,
                                               struct ph_error *reterr);

/* Closes everything; accepts NULL, clears *display. */
void phi_display_destroy(struct phi_display **display);

/* Shows the run until `may_leave(context)`, asked at every refresh, says so, or the person at the
 * windows has closed them after the run's end. Closing the operator's window while the run is on
 * leaves it going on without one; asking twice to quit ends the display. */
void phi_display_loop(struct phi_display *display, bool (*may_leave)(void *context), void *context);

/* Draws the operator's view as it stands into `canvas`. */
void phi_display_draw(struct phi_display *display, struct phi_canvas *canvas);

/* Draws every trial the strip still holds: decoded beside shown, in reading order. */
void phi_display_draw_film(struct phi_display *display, struct phi_canvas *canvas);

/* Draws all slices with map `map` over them; false, nothing drawn, if there is no such map. */
bool phi_display_draw_map(struct phi_display *display, struct phi_canvas *canvas, int map);

/* Frames, drops, times so far. */
void phi_display_stats(const struct phi_display *display, struct phi_display_stats *ret_stats);

#endif
