/* SPDX-License-Identifier: MIT */
#include "display/plot.h"

#include <math.h>

#include "display/palette.h"

void phi_history_add(struct phi_history *history, float value)
{
    history->values[history->n % PHI_HISTORY] = value;
    history->n++;
}

float phi_history_back(const struct phi_history *history, uint64_t back)
{
    if (back >= history->n || back >= PHI_HISTORY)
        return NAN;
    return history->values[(history->n - 1 - back) % PHI_HISTORY];
}

double phi_plot_step(double range)
{
    double power = pow(10, floor(log10(range / 2)));
    double most = range / 2 / power;

    return (most >= 5 ? 5 : most >= 2 ? 2 : 1) * power;
}

struct scale {
    double low, high;
    struct phi_rect area;
};

static void widen(struct scale *scale, float value)
{
    if (!isfinite(value))
        return;
    if (value < scale->low)
        scale->low = value;
    if (value > scale->high)
        scale->high = value;
}

static struct scale find_scale(const struct phi_plot *plot, struct phi_rect area)
{
    struct scale scale = {INFINITY, -INFINITY, area};
    double lack;

    for (unsigned i = 0; i < plot->n_traces; i++)
        for (uint64_t back = 0; back < plot->n_shown; back++)
            widen(&scale, phi_history_back(&plot->traces[i], back));
    widen(&scale, plot->threshold);
    if (plot->from_zero)
        widen(&scale, 0);
    if (!(scale.low <= scale.high)) {
        scale.low = 0;
        scale.high = 0;
    }
    lack = (double)plot->min_span - (scale.high - scale.low);
    if (lack > 0) {
        scale.high += plot->from_zero ? lack : lack / 2;
        scale.low -= plot->from_zero ? 0 : lack / 2;
    }
    if (!(scale.high > scale.low))
        scale.high = scale.low + 1;
    return scale;
}

static double y_of(const struct scale *scale, double value)
{
    return scale->area.y + (scale->area.h - 1) * (scale->high - value) / (scale->high - scale->low);
}

static void draw_grid(struct phi_canvas *canvas, const struct phi_font *font,
                      const struct scale *scale)
{
    double step = phi_plot_step(scale->high - scale->low);
    const struct phi_rect *area = &scale->area;

    for (double v = ceil(scale->low / step) * step; v <= scale->high + step * 1e-6; v += step) {
        int y = (int)lround(y_of(scale, v));

        phi_canvas_fill(canvas, (struct phi_rect){area->x, y, area->w, 1}, PHI_COLOUR_GRID);
        phi_textf(canvas, font, area->x - 4, y - phi_font_line(font) / 2, PHI_ALIGN_RIGHT,
                  PHI_COLOUR_DIM, "%.5g", fabs(v) < step * 1e-6 ? 0.0 : v);
    }
}

static void draw_threshold(struct phi_canvas *canvas, const struct scale *scale, float threshold)
{
    int y;

    if (!isfinite(threshold))
        return;
    y = (int)lround(y_of(scale, (double)threshold));
    for (int x = scale->area.x; x < scale->area.x + scale->area.w; x += 8)
        phi_canvas_fill(canvas, (struct phi_rect){x, y, 4, 1}, PHI_COLOUR_VERMILION);
}

static void draw_trace(struct phi_canvas *canvas, const struct scale *scale,
                       const struct phi_history *history, unsigned n_shown, uint32_t colour)
{
    double dx = n_shown > 1 ? (double)(scale->area.w - 1) / (n_shown - 1) : 0;
    double right = scale->area.x + scale->area.w - 1;

    for (uint64_t back = 0; back + 1 < n_shown; back++) {
        float newer = phi_history_back(history, back);
        float older = phi_history_back(history, back + 1);

        if (isfinite(newer) && isfinite(older))
            phi_canvas_line(canvas, right - dx * (double)(back + 1), y_of(scale, (double)older),
                            right - dx * (double)back, y_of(scale, (double)newer), colour);
        else if (isfinite(newer))
            phi_canvas_blend(canvas, (int)(right - dx * (double)back),
                             (int)lround(y_of(scale, (double)newer)), colour, 255);
    }
}

/* "title" left, and "name value unit" for each trace from the right edge inwards. */
static void draw_heading(struct phi_canvas *canvas, const struct phi_font *font,
                         struct phi_rect rect, const struct phi_plot *plot)
{
    int x = rect.x + rect.w - 4;

    phi_text(canvas, font, rect.x + 4, rect.y + 2, PHI_ALIGN_LEFT, PHI_COLOUR_TEXT, plot->title);
    x -= phi_textf(canvas, font, x, rect.y + 2, PHI_ALIGN_RIGHT, PHI_COLOUR_DIM, " %s", plot->unit);
    for (unsigned i = plot->n_traces; i-- > 0;) {
        float newest = phi_history_back(&plot->traces[i], 0);

        if (isfinite(newest))
            x -= phi_textf(canvas, font, x, rect.y + 2, PHI_ALIGN_RIGHT, phi_palette_trace(i),
                           fabsf(newest) < 1000 ? "  %s%s%.3g" : "  %s%s%.0f",
                           plot->names ? plot->names[i] : "", plot->names ? " " : "",
                           (double)newest);
    }
}

void phi_plot_draw(struct phi_canvas *canvas, const struct phi_font *font, struct phi_rect rect,
                   const struct phi_plot *plot)
{
    int line = phi_font_line(font);
    struct phi_rect area = {rect.x + 44, rect.y + line + 8, rect.w - 50, rect.h - line - 14};
    struct phi_rect old = phi_canvas_set_clip(canvas, phi_rect_and(rect, canvas->clip));
    struct scale scale;

    draw_heading(canvas, font, rect, plot);
    if (area.w > 4 && area.h > 4) {
        scale = find_scale(plot, area);
        draw_grid(canvas, font, &scale);
        draw_threshold(canvas, &scale, plot->threshold);
        for (unsigned i = 0; i < plot->n_traces; i++)
            draw_trace(canvas, &scale, &plot->traces[i], plot->n_shown, phi_palette_trace(i));
    }
    canvas->clip = old;
}
