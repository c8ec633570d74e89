/* SPDX-License-Identifier: MIT
 *
 * The operator's view: pictures, film strip, brain, quality, timeline and state, laid out in one
 * canvas of any size from 640 x 360 up. Pure drawing from a scene; one thread.
 */
#ifndef PHI_DISPLAY_OPERATOR_H
#define PHI_DISPLAY_OPERATOR_H

#include "display/scene.h"
#include "display/text.h"

struct phi_operator_fonts {
    struct phi_font *small;
    struct phi_font *normal;
    struct phi_font *large;
};

/* What the person at the window has chosen. */
struct phi_operator_choice {
    bool help;   /* the list of keys lies over the view */
    bool frozen; /* the scene no longer changes; said in the state line */
    bool mosaic; /* all slices instead of three planes */
    int map;     /* which map lies over the brain; -1: none */
    int page;    /* of the plots */
    int back;    /* film strip scrolled back by so many trials */
};

/* Fonts for a window of the given height. */
PH_NODISCARD enum ph_status phi_operator_fonts_create(int window_height,
                                                      struct phi_operator_fonts *ret_fonts);
/* Frees the fonts; accepts half-made sets. */
void phi_operator_fonts_destroy(struct phi_operator_fonts *fonts);

/* Draws the whole view. `now_ns` is the engine's clock, for ages. */
void phi_operator_draw(struct phi_canvas *canvas, const struct phi_operator_fonts *fonts,
                       const struct phi_scene *scene, const struct phi_operator_choice *choice,
                       int64_t now_ns);

/* How many pages of plots there are. */
#define PHI_OPERATOR_PAGES 3

/* The map after `map` that is known, -1 after the last one. */
int phi_operator_next_map(const struct phi_scene *scene, int map);

/* Draws all slices with map `map` over them and its legend; false if there is no such map. */
bool phi_map_draw(struct phi_canvas *canvas, const struct phi_operator_fonts *fonts,
                  const struct phi_scene *scene, int map);

/* Draws every trial that the scene still holds, decoded above shown, in reading order. */
void phi_film_draw(struct phi_canvas *canvas, const struct phi_operator_fonts *fonts,
                   const struct phi_scene *scene);

/* Rows of the pictures' film strip that a width of `width` pixels holds: how many tiles. */
unsigned phi_operator_tiles(int width, int height);

#endif
