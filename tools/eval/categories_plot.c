/* SPDX-License-Identifier: MIT */
#include <cairo.h>
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "decode/resample.h"
#include "eval/categories.h"
#include "eval/plot.h"
#include "io/file.h"

enum { CELL = 64, SIDE = 110, HEAD = 70 };

/* Curves over time after onset. */
struct courses {
    double *mean, *low, *high, *right, *chance; /* [n_steps] */
};

static void fill_courses(const struct category_scores *s, struct courses *c)
{
    for (size_t t = 0; t < s->n_steps; t++) {
        double p[BLOCKS_MAX], sem;
        uint32_t label[BLOCKS_MAX];

        for (size_t b = 0; b < s->blocks->n; b++) {
            label[b] = s->blocks->block[b].category;
            p[b] = category_probability(s, b, t, label[b], s->tau[b]);
        }
        phi_mean_sem(p, s->blocks->n, &c->mean[t], &sem);
        c->low[t] = c->mean[t] - sem;
        c->high[t] = c->mean[t] + sem;
        c->right[t] = category_accuracy(s, t, label);
        c->chance[t] = 1 / (double)s->blocks->n_categories;
    }
}

static enum ph_status plot_evidence(const struct category_scores *s, const char *path,
                                    struct ph_error *reterr)
{
    double *room = phi_calloc2(5, s->n_steps, sizeof *room);
    struct courses c = {room, room + s->n_steps, room + 2 * s->n_steps, room + 3 * s->n_steps,
                        room + 4 * s->n_steps};
    const struct plot_curve drawn[] = {
        {"probability of the true category", s->delay_s, c.mean, c.low, c.high, s->n_steps, false},
        {"share named right", s->delay_s, c.right, NULL, NULL, s->n_steps, false},
        {"chance", s->delay_s, c.chance, NULL, NULL, s->n_steps, true}};
    const struct plot plot = {.title = "Evidence",
                              .x_label = "time after the block's onset (s)",
                              .y_label = "probability, share of blocks",
                              .curves = drawn,
                              .n_curves = 3,
                              .y_min = 0,
                              .y_max = 1.02};
    enum ph_status status;

    if (!room)
        return phi_error_nomem(reterr, "curves", 5 * s->n_steps * sizeof *room);
    fill_courses(s, &c);
    status = plot_write(&plot, path, reterr);
    phi_free(room);
    return status;
}

static void centred(cairo_t *cr, double x, double y, const char *text)
{
    cairo_text_extents_t size;

    cairo_text_extents(cr, text, &size);
    cairo_move_to(cr, x - size.width / 2, y);
    cairo_show_text(cr, text);
}

static void draw_cell(cairo_t *cr, size_t row, size_t column, size_t count, size_t of)
{
    double x = SIDE + CELL * (double)column, y = HEAD + CELL * (double)row;
    double shade = of ? (double)count / (double)of : 0;
    char text[24];

    cairo_rectangle(cr, x, y, CELL, CELL);
    cairo_set_source_rgb(cr, 1 - shade, 1 - .55 * shade, 1 - .3 * shade);
    cairo_fill_preserve(cr);
    cairo_set_source_rgb(cr, .7, .7, .7);
    cairo_stroke(cr);
    if (count == 0)
        return;
    (void)snprintf(text, sizeof text, "%zu", count);
    cairo_set_source_rgb(cr, .1, .1, .1);
    centred(cr, x + CELL / 2.0, y + CELL / 2.0 + 5, text);
}

static void draw_confusion(cairo_t *cr, const struct category_scores *s)
{
    const struct blocks *blocks = s->blocks;
    size_t n = blocks->n_categories;

    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, 13);
    for (size_t row = 0; row < n; row++)
        for (size_t column = 0; column < n; column++) {
            size_t count = 0, of = 0;

            for (size_t b = 0; b < blocks->n; b++) {
                of += blocks->block[b].category == row;
                count += blocks->block[b].category == row && s->said[b] == column;
            }
            draw_cell(cr, row, column, count, of);
        }
    cairo_set_source_rgb(cr, .1, .1, .1);
    for (size_t k = 0; k < n; k++) {
        centred(cr, SIDE + CELL * ((double)k + .5), HEAD - 10, blocks->category[k]);
        centred(cr, SIDE / 2.0, HEAD + CELL * ((double)k + .5) + 5, blocks->category[k]);
    }
    cairo_set_font_size(cr, 15);
    centred(cr, SIDE + CELL * (double)n / 2, 26, "decoded (columns), shown (rows): blocks");
}

static enum ph_status plot_confusion(const struct category_scores *s, const char *path,
                                     struct ph_error *reterr)
{
    int side = CELL * (int)s->blocks->n_categories;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, SIDE + side + 20, HEAD + side + 20);
    cairo_t *cr = cairo_create(surface);
    cairo_status_t code;

    draw_confusion(cr, s);
    code = cairo_status(cr);
    cairo_destroy(cr);
    if (code == CAIRO_STATUS_SUCCESS)
        code = cairo_surface_write_to_png(surface, path);
    cairo_surface_destroy(surface);
    return code == CAIRO_STATUS_SUCCESS ? PH_OK
                                        : phi_error(reterr, PH_E_IO, "cannot write plot %s: %s",
                                                    path, cairo_status_to_string(code));
}

enum ph_status categories_plot(const struct category_scores *scores, const char *dir,
                               struct ph_error *reterr)
{
    char path[PHI_PATH_MAX];
    enum ph_status status;

    if (!phi_path_join(path, sizeof path, dir, "confusion.png"))
        return phi_error(reterr, PH_E_LIMIT, "the path of '%s' is too long", dir);
    status = plot_confusion(scores, path, reterr);
    if (status == PH_OK && phi_path_join(path, sizeof path, dir, "evidence.png"))
        status = plot_evidence(scores, path, reterr);
    return status;
}
