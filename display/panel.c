/* SPDX-License-Identifier: MIT */
#include "display/panel.h"

#include <math.h>

#include "display/palette.h"

#define RANGE_SD 3.0

void phi_panel_measure(const struct phi_panel *axes, const float *latent,
                       struct phi_panel_values *ret_values)
{
    for (size_t k = 0; k < axes->n; k++) {
        const float *direction = axes->directions + k * axes->p;
        double mean = 0, var = 0;

        for (size_t i = 0; i < axes->p; i++) {
            double sd = (double)direction[i] * (double)latent[axes->p + i];

            mean += (double)direction[i] * (double)latent[i];
            var += sd * sd;
        }
        ret_values->mean[k] = mean;
        ret_values->sd[k] = sqrt(var);
    }
}

/* The column of a value; what lies beyond the range stands at its end. */
static int column_of(const struct phi_rect *bar, double value)
{
    double share = (fmin(fmax(value, -RANGE_SD), RANGE_SD) + RANGE_SD) / (2 * RANGE_SD);

    return bar->x + (int)(share * (bar->w - 1) + 0.5);
}

static void draw_bar(struct phi_canvas *canvas, struct phi_rect bar, double mean, double sd)
{
    int low = column_of(&bar, mean - sd), high = column_of(&bar, mean + sd);

    phi_canvas_fill(canvas, bar, PHI_COLOUR_GRID);
    phi_canvas_fill(canvas, (struct phi_rect){low, bar.y, high - low + 1, bar.h}, PHI_COLOUR_BLUE);
    phi_canvas_fill(canvas, (struct phi_rect){column_of(&bar, 0), bar.y, 1, bar.h}, PHI_COLOUR_DIM);
    phi_canvas_fill(canvas, (struct phi_rect){column_of(&bar, mean) - 1, bar.y - 1, 3, bar.h + 2},
                    PHI_COLOUR_TEXT);
}

/* Room for the longest name, but at least half of the panel for bar and numbers. */
static int names_width(const struct phi_font *font, const struct phi_panel *axes, int panel_w)
{
    int most = 0;

    for (size_t k = 0; k < axes->n; k++) {
        int w = phi_text_width(font, axes->names[k]) + 8;

        most = w > most ? w : most;
    }
    return most < panel_w / 2 ? most : panel_w / 2;
}

void phi_panel_draw(struct phi_canvas *canvas, const struct phi_font *font, struct phi_rect rect,
                    const struct phi_panel *axes, const struct phi_panel_values *values)
{
    int line = phi_font_line(font) + 2, number_w = phi_text_width(font, "+0.0 \xC2\xB1 0.0") + 8;
    int names_w = names_width(font, axes, rect.w);

    for (size_t k = 0; k < axes->n && ((int)k + 1) * line <= rect.h; k++) {
        int y = rect.y + (int)k * line;
        struct phi_rect bar = {rect.x + names_w, y + line / 4, rect.w - names_w - number_w,
                               line / 2};

        phi_text(canvas, font, rect.x + 2, y, PHI_ALIGN_LEFT, PHI_COLOUR_TEXT, axes->names[k]);
        if (!isfinite(values->mean[k]) || !isfinite(values->sd[k]))
            continue;
        draw_bar(canvas, bar, values->mean[k], values->sd[k]);
        phi_textf(canvas, font, rect.x + rect.w - 2, y, PHI_ALIGN_RIGHT, PHI_COLOUR_DIM,
                  "%+.1f \xC2\xB1 %.1f", values->mean[k], values->sd[k]);
    }
}
