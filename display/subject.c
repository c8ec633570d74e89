/* SPDX-License-Identifier: MIT */
#include "display/subject.h"

#include <math.h>

#include "display/palette.h"

double phi_subject_pixels(const struct phi_subject_config *config, int width, double degrees)
{
    double mm = 2 * config->distance_mm * tan(degrees * 0.5 * 3.14159265358979 / 180);

    return mm / config->screen_width_mm * width;
}

static void draw_cross(struct phi_canvas *canvas, int arm)
{
    int x = canvas->width / 2;
    int y = canvas->height / 2;
    int thick = arm / 4 > 0 ? arm / 4 : 1;

    phi_canvas_fill(canvas, (struct phi_rect){x - arm, y - thick / 2, 2 * arm + 1, thick},
                    PHI_COLOUR_VERMILION);
    phi_canvas_fill(canvas, (struct phi_rect){x - thick / 2, y - arm, thick, 2 * arm + 1},
                    PHI_COLOUR_VERMILION);
}

void phi_subject_draw(struct phi_canvas *canvas, const struct phi_subject_config *config,
                      const uint8_t *rgb, int width, int height, bool flip)
{
    int high = (int)lround(phi_subject_pixels(config, canvas->width, config->size_deg));
    int patch = canvas->height / 16;

    phi_canvas_fill(canvas, (struct phi_rect){0, 0, canvas->width, canvas->height},
                    config->background);
    if (rgb && width > 0 && height > 0 && high > 0) {
        int wide = (int)((long)high * width / height);

        phi_canvas_rgb_smooth(
            canvas,
            (struct phi_rect){(canvas->width - wide) / 2, (canvas->height - high) / 2, wide, high},
            rgb, width, height);
    }
    if (config->fixation)
        draw_cross(canvas, (int)lround(phi_subject_pixels(config, canvas->width, 0.3)) + 1);
    if (config->photodiode)
        phi_canvas_fill(canvas, (struct phi_rect){0, canvas->height - patch, patch, patch},
                        flip ? PHI_COLOUR_WHITE : PHI_COLOUR_BLACK);
}
