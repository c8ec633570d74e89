/* SPDX-License-Identifier: MIT
 *
 * The panel of attributes: where the newest posterior stands along directions of latent space that
 * go with attributes of the stimuli (phos axes), as bars: the mean a tick, the sd a band. What is
 * drawn is measured when a statement comes. Memory is the caller's; one thread.
 */
#ifndef PHI_DISPLAY_PANEL_H
#define PHI_DISPLAY_PANEL_H

#include <stddef.h>

#include "display/canvas.h"
#include "display/text.h"

#define PHI_PANEL_MAX  16
#define PHI_PANEL_NAME 48

/* Directions of unit length; the prior has sd 1 along each. */
struct phi_panel {
    size_t n, p;
    char names[PHI_PANEL_MAX][PHI_PANEL_NAME];
    const float *directions; /* [n][p] */
};

struct phi_panel_values {
    double mean[PHI_PANEL_MAX];
    double sd[PHI_PANEL_MAX];
};

/* The statement latent[2][p], mean and sd, along the axes. Its components count as independent: the
 * sd along an axis leaves out how they vary together. */
void phi_panel_measure(const struct phi_panel *axes, const float *latent,
                       struct phi_panel_values *ret_values);

/* A row an axis into `rect`, from -3 to 3 sd of the prior; as many as fit. */
void phi_panel_draw(struct phi_canvas *canvas, const struct phi_font *font, struct phi_rect rect,
                    const struct phi_panel *axes, const struct phi_panel_values *values);

#endif
