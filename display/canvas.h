/* SPDX-License-Identifier: MIT
 *
 * A rectangle of pixels and the few ways to draw on it. The operator's window, the subject's window
 * and headless pictures are all drawn through it, so a test that looks at pixels looks at what
 * people see. Everything is clipped; nothing allocates but create. One canvas belongs to one
 * thread. Coordinates are pixels, x to the right, y down; colours are 0x00RRGGBB.
 */
#ifndef PHI_DISPLAY_CANVAS_H
#define PHI_DISPLAY_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_rect {
    int x, y, w, h;
};

struct phi_canvas {
    int width, height;
    size_t stride;    /* pixels from one row to the next */
    uint32_t *pixels; /* [height][stride] 0x00RRGGBB */
    struct phi_rect clip;
};

/* A black canvas that owns its pixels. Each side at most 16384. */
PH_NODISCARD enum ph_status phi_canvas_create(int width, int height,
                                              struct phi_canvas **ret_canvas);

/* Frees a canvas of phi_canvas_create; accepts NULL, clears *canvas. */
void phi_canvas_destroy(struct phi_canvas **canvas);

/* A canvas over the caller's pixels, for example a window's surface. */
struct phi_canvas phi_canvas_over(uint32_t *pixels, int width, int height, size_t stride);

/* The part of `a` that lies in `b`; w and h are 0 if there is none. */
struct phi_rect phi_rect_and(struct phi_rect a, struct phi_rect b);

/* `rect` made smaller by `n` pixels on each side. */
struct phi_rect phi_rect_inset(struct phi_rect rect, int n);

/* The largest centred rectangle in `rect` with sides in the ratio width : height. */
struct phi_rect phi_rect_fit(struct phi_rect rect, int width, int height);

/* Restricts drawing to `rect` (and the canvas); returns the old clip, to be put back by assigning.
 */
struct phi_rect phi_canvas_set_clip(struct phi_canvas *canvas, struct phi_rect rect);

/* Fills `rect`. */
void phi_canvas_fill(struct phi_canvas *canvas, struct phi_rect rect, uint32_t colour);

/* Draws the one-pixel outline of `rect`, inside it. */
void phi_canvas_outline(struct phi_canvas *canvas, struct phi_rect rect, uint32_t colour);

/* Mixes `colour` into one pixel with weight alpha (0..255). */
void phi_canvas_blend(struct phi_canvas *canvas, int x, int y, uint32_t colour, unsigned alpha);

/* An anti-aliased line of one pixel (Wu 1991) between pixel centres. */
void phi_canvas_line(struct phi_canvas *canvas, double x0, double y0, double x1, double y1,
                     uint32_t colour);

/* Draws rgb[height][width][3] into `rect`, each target pixel from the nearest source pixel. */
void phi_canvas_rgb(struct phi_canvas *canvas, struct phi_rect rect, const uint8_t *rgb, int width,
                    int height);

/* As phi_canvas_rgb with bilinear interpolation, for small pictures shown large. */
void phi_canvas_rgb_smooth(struct phi_canvas *canvas, struct phi_rect rect, const uint8_t *rgb,
                           int width, int height);

/* Writes the canvas as rgb[height][width][3]. */
void phi_canvas_to_rgb(const struct phi_canvas *canvas, uint8_t *rgb);

#endif
