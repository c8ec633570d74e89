/* SPDX-License-Identifier: MIT
 *
 * Small line plots as PNG files: curves with interval bands, reference lines, a legend. One thread.
 */
#ifndef TOOLS_EVAL_PLOT_H
#define TOOLS_EVAL_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct plot_curve {
    const char *name;
    const double *x, *y;      /* [n] */
    const double *low, *high; /* [n] band, or NULL */
    size_t n;
    bool dashed; /* for chance levels and ideals */
};

struct plot {
    const char *title, *x_label, *y_label;
    const struct plot_curve *curves; /* [n_curves], up to 6 colours */
    size_t n_curves;
    double y_min, y_max; /* equal: from the data */
};

/* Writes the plot as a PNG of 800 x 560 pixels. PH_E_IO if the file cannot be written; PH_E_INVAL
 * without any finite point. */
PH_NODISCARD enum ph_status plot_write(const struct plot *plot, const char *path,
                                       struct ph_error *reterr);

#endif
