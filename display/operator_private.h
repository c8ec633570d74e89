/* SPDX-License-Identifier: MIT
 *
 * What the parts of the operator's view share: operator.c, operator_brain.c, operator_plots.c. One
 * thread.
 */
#ifndef PHI_DISPLAY_OPERATOR_PRIVATE_H
#define PHI_DISPLAY_OPERATOR_PRIVATE_H

#include "display/operator.h"

struct view {
    struct phi_canvas *canvas;
    const struct phi_operator_fonts *fonts;
    const struct phi_scene *scene;
    const struct phi_operator_choice *choice;
    int64_t now_ns;
};

/* A pane, titled unless `title` is NULL; returns the room inside. */
struct phi_rect phi_operator_pane(const struct view *v, struct phi_rect rect, const char *title);

/* The newest volume with the chosen map and its legend. */
void phi_operator_draw_brain(const struct view *v, struct phi_rect rect);

/* The chosen page of plots; where there is room for two, the first page and another. */
void phi_operator_draw_plots(const struct view *v, struct phi_rect rect, bool two);

#endif
