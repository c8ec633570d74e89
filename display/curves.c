/* SPDX-License-Identifier: MIT */
#include "display/curves.h"

#include <math.h>

#include "display/palette.h"
#include "display/plot.h"

struct axes {
    struct phi_rect area;
    double x0, x1;
    double low, high; /* of y, logarithms where log_y */
};

static double drawn(const struct phi_shown_curves *c, float value)
{
    if (!c->log_y)
        return (double)value;
    return value > 0 ? log10((double)value) : (double)NAN;
}

static struct axes find_axes(const struct phi_shown_curves *c, struct phi_rect area)
{
    struct axes axes = {area, c->x0, c->x0 + c->dx * (c->n_points > 1 ? c->n_points - 1 : 1),
                        INFINITY, -INFINITY};

    for (uint32_t i = 0; i < c->n_traces; i++)
        for (uint32_t k = 0; k < c->n_points; k++) {
            double y = drawn(c, c->values[i][k]);

            if (isfinite(y)) {
                axes.low = fmin(axes.low, y);
                axes.high = fmax(axes.high, y);
            }
        }
    if (!(axes.low <= axes.high))
        axes.low = axes.high = 0;
    if (!(axes.high - axes.low > 1e-6 * (1 + fabs(axes.high)))) {
        axes.low -= 0.5;
        axes.high += 0.5;
    }
    return axes;
}

static double x_of(const struct axes *axes, double x)
{
    return axes->area.x + (axes->area.w - 1) * (x - axes->x0) / (axes->x1 - axes->x0);
}

static double y_of(const struct axes *axes, double y)
{
    return axes->area.y + (axes->area.h - 1) * (axes->high - y) / (axes->high - axes->low);
}

static void draw_y(struct phi_canvas *canvas, const struct phi_font *font, const struct axes *axes,
                   bool log_y)
{
    double step = phi_plot_step(axes->high - axes->low);

    if (log_y && step < 1)
        step = 1;
    for (double v = ceil(axes->low / step) * step; v <= axes->high + step * 1e-6; v += step) {
        int y = (int)lround(y_of(axes, v));

        phi_canvas_fill(canvas, (struct phi_rect){axes->area.x, y, axes->area.w, 1},
                        PHI_COLOUR_GRID);
        phi_textf(canvas, font, axes->area.x - 4, y - phi_font_line(font) / 2, PHI_ALIGN_RIGHT,
                  PHI_COLOUR_DIM, log_y ? "1e%.0f" : "%.4g", fabs(v) < step * 1e-6 ? 0.0 : v);
    }
}

static void draw_x(struct phi_canvas *canvas, const struct phi_font *font, const struct axes *axes,
                   const char *unit)
{
    double step = phi_plot_step((axes->x1 - axes->x0) / 2);
    int y = axes->area.y + axes->area.h + 2;

    for (double v = ceil(axes->x0 / step) * step; v <= axes->x1 + step * 1e-6; v += step) {
        bool last = v + step > axes->x1 + step * 1e-6; /* carries the unit */

        phi_textf(canvas, font, (int)lround(x_of(axes, v)) + (last ? 14 : 0), y,
                  last ? PHI_ALIGN_RIGHT : PHI_ALIGN_CENTRE, PHI_COLOUR_DIM, "%.4g%s%s",
                  fabs(v) < step * 1e-6 ? 0.0 : v, last ? " " : "", last ? unit : "");
    }
}

static void draw_bands(struct phi_canvas *canvas, const struct phi_font *font,
                       const struct axes *axes, const struct phi_shown_curves *c)
{
    for (uint32_t i = 0; i < c->n_bands; i++) {
        const struct ph_band *band = &c->bands[i];
        int from = (int)lround(x_of(axes, band->from));
        int to = (int)lround(x_of(axes, band->to));
        int y = axes->area.y + (int)i * phi_font_line(font);
        bool right = from > axes->area.x + axes->area.w / 2;

        for (int x = from; x <= to; x++)
            for (int k = 0; k < axes->area.h; k++)
                phi_canvas_blend(canvas, x, axes->area.y + k, PHI_COLOUR_VERMILION,
                                 x == from || x == to ? 150 : 40);
        phi_text(canvas, font, right ? from - 3 : to + 4, y,
                 right ? PHI_ALIGN_RIGHT : PHI_ALIGN_LEFT, PHI_COLOUR_ORANGE, band->label);
    }
}

static void draw_trace(struct phi_canvas *canvas, const struct axes *axes,
                       const struct phi_shown_curves *c, uint32_t i)
{
    for (uint32_t k = 0; k + 1 < c->n_points; k++) {
        double a = drawn(c, c->values[i][k]);
        double b = drawn(c, c->values[i][k + 1]);

        if (isfinite(a) && isfinite(b))
            phi_canvas_line(canvas, x_of(axes, c->x0 + c->dx * k), y_of(axes, a),
                            x_of(axes, c->x0 + c->dx * (k + 1)), y_of(axes, b),
                            phi_palette_trace(i));
    }
}

static void draw_heading(struct phi_canvas *canvas, const struct phi_font *font,
                         struct phi_rect rect, const struct phi_shown_curves *c)
{
    int x = rect.x + rect.w - 4;

    phi_text(canvas, font, rect.x + 4, rect.y + 2, PHI_ALIGN_LEFT, PHI_COLOUR_TEXT, c->title);
    x -= phi_textf(canvas, font, x, rect.y + 2, PHI_ALIGN_RIGHT, PHI_COLOUR_DIM, " %s", c->y_unit);
    for (uint32_t i = c->n_traces; i-- > 0;)
        x -= phi_textf(canvas, font, x, rect.y + 2, PHI_ALIGN_RIGHT, phi_palette_trace(i), "  %s",
                       c->names[i]);
}

void phi_curves_draw(struct phi_canvas *canvas, const struct phi_font *font, struct phi_rect rect,
                     const struct phi_shown_curves *curves)
{
    int line = phi_font_line(font);
    struct phi_rect area = {rect.x + 44, rect.y + line + 8, rect.w - 60, rect.h - 2 * line - 16};
    struct phi_rect old = phi_canvas_set_clip(canvas, phi_rect_and(rect, canvas->clip));

    draw_heading(canvas, font, rect, curves);
    if (area.w > 4 && area.h > 4 && curves->n_points > 0) {
        struct axes axes = find_axes(curves, area);

        draw_y(canvas, font, &axes, curves->log_y);
        draw_x(canvas, font, &axes, curves->x_unit);
        draw_bands(canvas, font, &axes, curves);
        for (uint32_t i = 0; i < curves->n_traces; i++)
            draw_trace(canvas, &axes, curves, i);
    }
    canvas->clip = old;
}
