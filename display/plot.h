/* SPDX-License-Identifier: MIT
 *
 * Time plots: a fixed number of newest values per trace, drawn with a scale that people can read
 * off. A trace's history is the caller's ring of floats; NaN leaves a hole. One thread.
 */
#ifndef PHI_DISPLAY_PLOT_H
#define PHI_DISPLAY_PLOT_H

#include "display/canvas.h"
#include "display/text.h"

#define PHI_HISTORY 512

/* The newest PHI_HISTORY values of one quantity. */
struct phi_history {
    float values[PHI_HISTORY];
    uint64_t n; /* values ever added */
};

/* Appends a value. */
void phi_history_add(struct phi_history *history, float value);

/* The value `back` places before the newest (0); NaN if there is none. */
float phi_history_back(const struct phi_history *history, uint64_t back);

struct phi_plot {
    const char *title;
    const char *unit;
    const struct phi_history *traces;
    unsigned n_traces;
    const char *const *names; /* [n_traces], or NULL */
    float min_span;           /* the scale never shows less than this range */
    int from_zero;            /* the scale starts at 0 */
    float threshold;          /* a dashed line there; NaN for none */
    unsigned n_shown;         /* newest values across the width; at most PHI_HISTORY */
};

/* Draws the plot into `rect`: title and newest values on top, scale left, traces below. */
void phi_plot_draw(struct phi_canvas *canvas, const struct phi_font *font, struct phi_rect rect,
                   const struct phi_plot *plot);

/* The largest of 1, 2, 5 x 10^k steps that puts at least two lines into `range` (> 0). */
double phi_plot_step(double range);

#endif
