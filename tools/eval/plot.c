/* SPDX-License-Identifier: MIT */
#include "eval/plot.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"

enum { WIDTH = 800, HEIGHT = 560, LEFT = 80, RIGHT = 20, TOP = 44, BOTTOM = 64 };

/* Colours that stay apart for the colour-blind (Okabe and Ito 2008). */
static const double colours[][3] = {{0, .45, .70},   {.84, .37, 0},   {0, .62, .45},
                                    {.80, .47, .65}, {.34, .71, .91}, {.90, .62, 0}};

struct frame {
    cairo_t *cr;
    double x0, x1, y0, y1; /* data limits */
};

static double to_x(const struct frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double to_y(const struct frame *f, double y)
{
    return HEIGHT - BOTTOM - (y - f->y0) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

static void take(double v, double *low, double *high)
{
    if (isfinite(v)) {
        *low = fmin(*low, v);
        *high = fmax(*high, v);
    }
}

static bool find_limits(const struct plot *plot, struct frame *f)
{
    f->x0 = f->y0 = INFINITY;
    f->x1 = f->y1 = -INFINITY;
    for (size_t c = 0; c < plot->n_curves; c++)
        for (size_t i = 0; i < plot->curves[c].n; i++) {
            const struct plot_curve *curve = &plot->curves[c];

            take(curve->x[i], &f->x0, &f->x1);
            take(curve->y[i], &f->y0, &f->y1);
            if (curve->low)
                take(curve->low[i], &f->y0, &f->y1);
            if (curve->high)
                take(curve->high[i], &f->y0, &f->y1);
        }
    if (!(f->x0 <= f->x1) || !(f->y0 <= f->y1))
        return false;
    if (plot->y_min < plot->y_max) {
        f->y0 = plot->y_min;
        f->y1 = plot->y_max;
    } else {
        double room = fmax(0.06 * (f->y1 - f->y0), 1e-3 * fmax(fabs(f->y1), 1e-9));

        f->y0 -= room;
        f->y1 += room;
    }
    if (!(f->x0 < f->x1)) {
        f->x0 -= 0.5;
        f->x1 += 0.5;
    }
    return true;
}

/* 1, 2 or 5 times a power of ten, for about `n` steps. */
static double nice_step(double range, double n)
{
    double power = pow(10, floor(log10(range / n))), share = range / n / power;

    return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

static void text_at(cairo_t *cr, double x, double y, double align, const char *text)
{
    cairo_text_extents_t size;

    cairo_text_extents(cr, text, &size);
    cairo_move_to(cr, x - align * size.width, y);
    cairo_show_text(cr, text);
}

static void draw_tick(const struct frame *f, double value, bool is_x)
{
    char text[32];
    double at = is_x ? to_x(f, value) : to_y(f, value);

    (void)snprintf(text, sizeof text, "%.6g", fabs(value) < 1e-12 ? 0 : value);
    cairo_set_source_rgb(f->cr, .88, .88, .88);
    cairo_move_to(f->cr, is_x ? at : LEFT, is_x ? TOP : at);
    cairo_line_to(f->cr, is_x ? at : WIDTH - RIGHT, is_x ? HEIGHT - BOTTOM : at);
    cairo_stroke(f->cr);
    cairo_set_source_rgb(f->cr, .2, .2, .2);
    if (is_x)
        text_at(f->cr, at, HEIGHT - BOTTOM + 18, 0.5, text);
    else
        text_at(f->cr, LEFT - 8, at + 4, 1, text);
}

static void draw_axes(const struct frame *f, const struct plot *plot)
{
    double sx = nice_step(f->x1 - f->x0, 8), sy = nice_step(f->y1 - f->y0, 6);

    cairo_set_line_width(f->cr, 1);
    cairo_set_font_size(f->cr, 13);
    for (double x = ceil(f->x0 / sx - 1e-9) * sx; x <= f->x1 + 1e-9 * sx; x += sx)
        draw_tick(f, x, true);
    for (double y = ceil(f->y0 / sy - 1e-9) * sy; y <= f->y1 + 1e-9 * sy; y += sy)
        draw_tick(f, y, false);
    cairo_rectangle(f->cr, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    cairo_stroke(f->cr);
    text_at(f->cr, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 20, 0.5, plot->x_label);
    cairo_save(f->cr);
    cairo_translate(f->cr, 22, (TOP + HEIGHT - BOTTOM) / 2.0);
    cairo_rotate(f->cr, -M_PI / 2);
    text_at(f->cr, 0, 0, 0.5, plot->y_label);
    cairo_restore(f->cr);
    cairo_set_font_size(f->cr, 16);
    text_at(f->cr, LEFT, TOP - 16, 0, plot->title);
}

static void set_colour(cairo_t *cr, size_t c, double alpha)
{
    const double *rgb = colours[c % (sizeof colours / sizeof *colours)];

    cairo_set_source_rgba(cr, rgb[0], rgb[1], rgb[2], alpha);
}

static void draw_band(const struct frame *f, const struct plot_curve *curve, size_t c)
{
    for (size_t i = 0; i < curve->n; i++)
        cairo_line_to(f->cr, to_x(f, curve->x[i]), to_y(f, curve->low[i]));
    for (size_t i = curve->n; i-- > 0;)
        cairo_line_to(f->cr, to_x(f, curve->x[i]), to_y(f, curve->high[i]));
    cairo_close_path(f->cr);
    set_colour(f->cr, c, 0.18);
    cairo_fill(f->cr);
}

static void draw_line(const struct frame *f, const struct plot_curve *curve, size_t c)
{
    const double dash[] = {6, 5};

    if (curve->dashed) {
        cairo_set_source_rgb(f->cr, .35, .35, .35);
        cairo_set_dash(f->cr, dash, 2, 0);
    } else {
        set_colour(f->cr, c, 1);
    }
    cairo_set_line_width(f->cr, curve->dashed ? 1.2 : 2.2);
    for (size_t i = 0; i < curve->n; i++)
        cairo_line_to(f->cr, to_x(f, curve->x[i]), to_y(f, curve->y[i]));
    cairo_stroke(f->cr);
    cairo_set_dash(f->cr, NULL, 0, 0);
    for (size_t i = 0; !curve->dashed && i < curve->n && curve->n <= 40; i++) {
        cairo_arc(f->cr, to_x(f, curve->x[i]), to_y(f, curve->y[i]), 3.2, 0, 2 * M_PI);
        cairo_fill(f->cr);
    }
}

/* Names in a row above the frame's right end, each in its curve's colour. */
static void draw_legend(const struct frame *f, const struct plot *plot)
{
    double right = WIDTH - RIGHT;

    cairo_set_font_size(f->cr, 13);
    for (size_t c = plot->n_curves; c-- > 0;) {
        cairo_text_extents_t size;

        cairo_text_extents(f->cr, plot->curves[c].name, &size);
        if (plot->curves[c].dashed)
            cairo_set_source_rgb(f->cr, .35, .35, .35);
        else
            set_colour(f->cr, c, 1);
        cairo_move_to(f->cr, right - size.width, TOP - 8);
        cairo_show_text(f->cr, plot->curves[c].name);
        right -= size.width + 18;
    }
}

static void draw(const struct frame *f, const struct plot *plot)
{
    cairo_set_source_rgb(f->cr, 1, 1, 1);
    cairo_paint(f->cr);
    cairo_select_font_face(f->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    draw_axes(f, plot);
    draw_legend(f, plot);
    cairo_rectangle(f->cr, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    cairo_clip(f->cr);
    for (size_t c = 0; c < plot->n_curves; c++)
        if (plot->curves[c].low && plot->curves[c].high)
            draw_band(f, &plot->curves[c], c);
    for (size_t c = 0; c < plot->n_curves; c++)
        draw_line(f, &plot->curves[c], c);
}

enum ph_status plot_write(const struct plot *plot, const char *path, struct ph_error *reterr)
{
    struct frame frame = {0};
    cairo_surface_t *surface;
    cairo_status_t code;

    if (!find_limits(plot, &frame))
        return phi_error(reterr, PH_E_INVAL, "plot %s has no finite point", path);
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
    frame.cr = cairo_create(surface);
    draw(&frame, plot);
    code = cairo_status(frame.cr);
    cairo_destroy(frame.cr);
    if (code == CAIRO_STATUS_SUCCESS)
        code = cairo_surface_write_to_png(surface, path);
    cairo_surface_destroy(surface);
    if (code != CAIRO_STATUS_SUCCESS)
        return phi_error(reterr, PH_E_IO, "cannot write plot %s: %s", path,
                         cairo_status_to_string(code));
    return PH_OK;
}
