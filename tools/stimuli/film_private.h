/* SPDX-License-Identifier: MIT
 *
 * What the files that draw films share. Coordinates: the frame's shorter side spans [-1, 1], x to
 * the right, y down. Not for others.
 */
#ifndef TOOLS_STIMULI_FILM_PRIVATE_H
#define TOOLS_STIMULI_FILM_PRIVATE_H

#include <cairo.h>

#include "base/rng.h"
#include "tools/stimuli/face.h"
#include "tools/stimuli/film.h"

#define PHI_FILM_TEXTURE 64 /* pixels a side of a texture tile */

struct phi_film_painter {
    size_t width, height;
    double half_x, half_y; /* the frame in film units: 1 along the shorter side */
    cairo_surface_t *frame;
    cairo_surface_t *texture; /* scratch tile, PHI_FILM_TEXTURE square */
    struct phi_face_painter *face;
    size_t face_side;
    uint8_t *face_rgba;            /* [face_side][face_side][4] */
    cairo_surface_t *face_surface; /* the same, premultiplied, for cairo */
};

struct phi_film_rgb {
    double r, g, b;
};

/* Uniform in [low, high). */
double phi_film_between(struct phi_rng *rng, double low, double high);

/* A colour of random hue. */
struct phi_film_rgb phi_film_colour(struct phi_rng *rng, double saturation, double value);

/* Fills the painter's tile with a seamless pattern of two colours: stripes, checks, dots or clouds,
 * and sets it as a repeating source, `scale` film units a tile. */
void phi_film_texture(struct phi_film_painter *painter, cairo_t *cr, struct phi_rng *rng,
                      double scale);

/* Draws one frame; cr is in film units. */
enum ph_status phi_film_draw_faces(struct phi_film_painter *painter, cairo_t *cr,
                                   const struct phi_film_clip *clip, double time_s);
enum ph_status phi_film_draw_shapes(struct phi_film_painter *painter, cairo_t *cr,
                                    const struct phi_film_clip *clip, double time_s);
enum ph_status phi_film_draw_scenes(struct phi_film_painter *painter, cairo_t *cr,
                                    const struct phi_film_clip *clip, double time_s);

#endif
