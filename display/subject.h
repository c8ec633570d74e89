/* SPDX-License-Identifier: MIT
 *
 * The subject's view: the picture alone, in degrees of visual angle, with a fixation cross and a
 * patch for a photodiode that flips with every new picture. Pure drawing; one thread.
 */
#ifndef PHI_DISPLAY_SUBJECT_H
#define PHI_DISPLAY_SUBJECT_H

#include <stdbool.h>

#include "display/canvas.h"

struct phi_subject_config {
    double screen_width_mm; /* of the visible screen */
    double distance_mm;     /* from the eye */
    double size_deg;        /* height of the picture in degrees of visual angle */
    uint32_t background;    /* 0x00RRGGBB */
    bool fixation;
    bool photodiode; /* patch in the lower left corner */
};

/* Pixels of `degrees` in the middle of a screen of `width` pixels: 2 d tan(angle / 2). */
double phi_subject_pixels(const struct phi_subject_config *config, int width, double degrees);

/* Draws rgb[height][width][3] (NULL: nothing to show yet); `flip` is the state of the patch. */
void phi_subject_draw(struct phi_canvas *canvas, const struct phi_subject_config *config,
                      const uint8_t *rgb, int width, int height, bool flip);

#endif
