/* SPDX-License-Identifier: MIT
 *
 * Procedural films: clips of faces in motion, of textured shapes that drift and hide each other,
 * and of a camera panning over a landscape with depth. Clip (seed, index) is always the same, and a
 * frame depends on its time alone, so any frame rate shows the same film. A painter belongs to one
 * thread.
 */
#ifndef TOOLS_STIMULI_FILM_H
#define TOOLS_STIMULI_FILM_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_FILM_MAX_SIDE 1024

enum phi_film_kind { PHI_FILM_FACES, PHI_FILM_SHAPES, PHI_FILM_SCENES, PHI_FILM_N_KINDS };

/* "faces", "shapes", "scenes"; NULL outside the enum. */
const char *phi_film_kind_name(enum phi_film_kind kind);

struct phi_film_painter;

/* A painter of frames of width x height pixels, both multiples of 8 (networks halve them three
 * times), 16 .. PHI_FILM_MAX_SIDE. Owned by the caller. */
PH_NODISCARD enum ph_status phi_film_painter_create(size_t width, size_t height,
                                                    struct phi_film_painter **ret_painter,
                                                    struct ph_error *reterr);

/* Frees; accepts NULL and *painter == NULL. */
void phi_film_painter_destroy(struct phi_film_painter **painter);

struct phi_film_clip {
    enum phi_film_kind kind;
    uint64_t seed;
    uint64_t index;
};

/* Draws the frame at `time_s` into ret_rgb[height][width][3]. */
PH_NODISCARD enum ph_status phi_film_paint(struct phi_film_painter *painter,
                                           const struct phi_film_clip *clip, double time_s,
                                           uint8_t *ret_rgb);

#endif
