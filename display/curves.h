/* SPDX-License-Identifier: MIT
 *
 * Lines over an axis that a filter has put up (time courses, spectra), with marked bands. One
 * thread.
 */
#ifndef PHI_DISPLAY_CURVES_H
#define PHI_DISPLAY_CURVES_H

#include "display/canvas.h"
#include "display/text.h"
#include "rt/view.h"

/* Draws curves into `rect`: title and names on top, scales left and below, bands behind. */
void phi_curves_draw(struct phi_canvas *canvas, const struct phi_font *font, struct phi_rect rect,
                     const struct phi_shown_curves *curves);

#endif
