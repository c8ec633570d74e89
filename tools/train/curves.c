/* SPDX-License-Identifier: MIT
 *
 * Loss curves: one row of axes a loss, logarithmic where all values are positive and far apart, a
 * faint line for the log's lines and a strong one for their running mean.
 */
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/png.h"
#include "train/loop.h"

#define WIDTH      900
#define HEIGHT     200 /* of one loss */
#define LEFT       80
#define MAX_POINTS 200000

struct curves {
    size_t n_losses, n_points;
    char names[TRAIN_MAX_LOSSES][32];
    double *steps;  /* [n_points] */
    double *losses; /* [n_losses][MAX_POINTS] */
};

static void read_names(struct curves *curves, const char *header)
{
    const char *at = strchr(header, '\t');

    while (at && curves->n_losses < TRAIN_MAX_LOSSES) {
        (void)snprintf(curves->names[curves->n_losses++], sizeof curves->names[0], "%.*s",
                       (int)strcspn(at + 1, "\t\n"), at + 1);
        at = at[1 + strcspn(at + 1, "\t\n")] == '\t' ? at + 1 + strcspn(at + 1, "\t\n") : NULL;
    }
}

static void read_line(struct curves *curves, const char *line)
{
    char *end;
    size_t i = curves->n_points;

    curves->steps[i] = strtod(line, &end);
    for (size_t k = 0; k < curves->n_losses; k++)
        curves->losses[k * MAX_POINTS + i] = strtod(end, &end);
    curves->n_points++;
}

static enum ph_status read_table(struct curves *curves, const char *tsv, struct ph_error *reterr)
{
    unsigned char *bytes = NULL;
    size_t n_bytes;
    enum ph_status status = phi_file_read(tsv, (size_t)1 << 30, &bytes, &n_bytes, reterr);

    if (status != PH_OK)
        return status;
    read_names(curves, (char *)bytes);
    for (char *line = strchr((char *)bytes, '\n'); line && line[1]; line = strchr(line + 1, '\n'))
        if (curves->n_points < MAX_POINTS)
            read_line(curves, line + 1);
    phi_free(bytes);
    return PH_OK;
}

struct axis {
    double low, high;
    bool logarithmic;
};

static struct axis find_axis(const double *values, size_t n)
{
    struct axis axis = {INFINITY, -INFINITY, false};

    for (size_t i = n / 50; i < n; i++) { /* the first steps would flatten the rest */
        axis.low = fmin(axis.low, values[i]);
        axis.high = fmax(axis.high, values[i]);
    }
    axis.logarithmic = axis.low > 0 && axis.high > 20 * axis.low;
    if (axis.logarithmic) {
        axis.low = log10(axis.low);
        axis.high = log10(axis.high);
    }
    if (!(axis.high > axis.low))
        axis.high = axis.low + 1;
    return axis;
}

static double y_of(const struct axis *axis, double value, double top)
{
    double at = axis->logarithmic ? log10(fmax(value, 1e-300)) : value;
    double part = (at - axis->low) / (axis->high - axis->low);

    return top + (HEIGHT - 40) * (1 - fmin(fmax(part, 0), 1));
}

static void draw_line(cairo_t *cr, const struct curves *curves, const double *values,
                      const struct axis *axis, double top, size_t window)
{
    double last = curves->steps[curves->n_points - 1];
    double mean = values[0];

    for (size_t i = 0; i < curves->n_points; i++) {
        double x = LEFT + (WIDTH - LEFT - 20) * curves->steps[i] / last;

        mean += (values[i] - mean) / (double)(i + 1 < window ? i + 1 : window);
        if (i == 0)
            cairo_move_to(cr, x, y_of(axis, mean, top));
        else
            cairo_line_to(cr, x, y_of(axis, mean, top));
    }
    cairo_stroke(cr);
}

static void draw_labels(cairo_t *cr, const char *name, const struct axis *axis, double top)
{
    char text[64];

    cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
    cairo_set_font_size(cr, 13);
    cairo_move_to(cr, LEFT, top - 6);
    cairo_show_text(cr, name);
    cairo_set_font_size(cr, 11);
    for (int i = 0; i <= 2; i++) {
        double at = axis->low + (axis->high - axis->low) * i / 2;

        (void)snprintf(text, sizeof text, "%.4g", axis->logarithmic ? pow(10, at) : at);
        cairo_move_to(cr, 8, top + (HEIGHT - 40) * (1 - i / 2.0) + 4);
        cairo_show_text(cr, text);
    }
    cairo_set_source_rgb(cr, 0.7, 0.7, 0.7);
    cairo_set_line_width(cr, 1);
    cairo_rectangle(cr, LEFT + 0.5, top + 0.5, WIDTH - LEFT - 20, HEIGHT - 40);
    cairo_stroke(cr);
}

static void draw_all(cairo_t *cr, const struct curves *curves)
{
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    for (size_t k = 0; k < curves->n_losses; k++) {
        const double *values = curves->losses + k * MAX_POINTS;
        double top = (double)k * HEIGHT + 24;
        struct axis axis = find_axis(values, curves->n_points);

        draw_labels(cr, curves->names[k], &axis, top);
        cairo_set_source_rgba(cr, 0.2, 0.5, 0.8, 0.35);
        draw_line(cr, curves, values, &axis, top, 1);
        cairo_set_source_rgb(cr, 0.84, 0.37, 0);
        cairo_set_line_width(cr, 1.5);
        draw_line(cr, curves, values, &axis, top, curves->n_points / 40 + 1);
    }
}

static enum ph_status write_surface(cairo_surface_t *surface, int height, const char *png,
                                    struct ph_error *reterr)
{
    uint8_t *rgb = phi_calloc2((size_t)WIDTH, (size_t)height * 3, 1);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);
    enum ph_status status;

    if (!rgb)
        return phi_error_nomem(reterr, "a picture", (size_t)WIDTH * (size_t)height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * WIDTH + x) * 3 + c] = data[y * stride + x * 4 + 2 - c];
    {
        const struct phi_png_pixels picture = {
            .width = WIDTH, .height = (size_t)height, .n_channels = 3, .pixels = rgb};

        status = phi_png_write(png, &picture, reterr);
    }
    phi_free(rgb);
    return status;
}

static enum ph_status draw_picture(const struct curves *curves, const char *png,
                                   struct ph_error *reterr)
{
    int height = HEIGHT * (int)curves->n_losses + 10;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, height);
    cairo_t *cr = cairo_create(surface);
    enum ph_status status;

    draw_all(cr, curves);
    cairo_surface_flush(surface);
    status = cairo_status(cr) == CAIRO_STATUS_SUCCESS
                 ? write_surface(surface, height, png, reterr)
                 : phi_error(reterr, PH_E_NOMEM, "curves cannot be drawn");
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return status;
}

enum ph_status train_draw_losses(const char *tsv, const char *png, struct ph_error *reterr)
{
    struct curves *curves = phi_calloc(1, sizeof *curves);
    enum ph_status status = PH_OK;

    if (curves) {
        curves->steps = phi_calloc(MAX_POINTS, sizeof(double));
        curves->losses = phi_calloc2(TRAIN_MAX_LOSSES, MAX_POINTS, sizeof(double));
    }
    if (!curves || !curves->steps || !curves->losses)
        status = phi_error_nomem(reterr, "loss curves", TRAIN_MAX_LOSSES * MAX_POINTS * 8);
    else
        status = read_table(curves, tsv, reterr);
    if (status == PH_OK && curves->n_points > 1)
        status = draw_picture(curves, png, reterr);
    if (curves) {
        phi_free(curves->steps);
        phi_free(curves->losses);
    }
    phi_free(curves);
    return status;
}
