/* SPDX-License-Identifier: MIT
 *
 * Films as a stage sees them: frames from a stimulus file of kind "stimuli" (docs/formats.md), and
 * the clock that tells from the run's events which frame was on the screen at a moment. Opening is
 * set-up code and may block on the disk; the rest neither allocates nor blocks. One thread.
 */
#ifndef PLUGINS_GENERATOR_COMMON_FILM_FILE_H
#define PLUGINS_GENERATOR_COMMON_FILM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/safetensors.h"
#include "phosphene/frame.h"

struct phi_film {
    struct phi_safetensors *file; /* mapped; owned */
    size_t n, h, w;
    const uint8_t *pixels; /* [n][h][w][3] */
    const void *clips;     /* [n] int32, or NULL: one clip */
};

/* Opens the stimulus file at `path`, or stimuli.safetensors in the folder of that name. Owned by
 * the caller. PH_E_FORMAT if it holds no pictures of 8 bits. */
PH_NODISCARD enum ph_status phi_film_open(const char *path, struct phi_film *ret_film,
                                          struct ph_error *reterr);

/* Closes; accepts a zeroed one. */
void phi_film_close(struct phi_film *film);

/* Frame `i` in 0 .. 1 as planes ret[3][h][w]. */
void phi_film_planes(const struct phi_film *film, size_t i, float *ret);

/* True if frame `i` opens a clip. */
bool phi_film_cut(const struct phi_film *film, size_t i);

#define PHI_FILM_SHOWINGS 512 /* the newest this many are remembered */

/* A stretch of film on the screen: frame `first` at onset_s of the run, the next ones after it. */
struct phi_film_showing {
    double onset_s, duration_s;
    size_t first;
};

struct phi_film_clock {
    double fps;
    struct phi_film_showing showings[PHI_FILM_SHOWINGS];
    size_t n_known; /* so far; the oldest are overwritten */
};

/* Takes a stimulus event whose stim_index is the frame it begins with; others are passed over. An
 * event that is known already (the same onset) is replaced. */
void phi_film_clock_add(struct phi_film_clock *clock, const struct ph_event *event);

/* The frame on the screen at `time_s` of the run, or -1. A frame stands from its time on; half a
 * millisecond early counts as on time, for onsets that are rounded in tables. */
int64_t phi_film_clock_frame(const struct phi_film_clock *clock, double time_s);

#endif
