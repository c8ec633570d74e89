/* SPDX-License-Identifier: MIT
 *
 * A landscape of layers at growing distance, seen by a camera that pans, bobs and zooms: near
 * things move fast and hide far ones. What stands on a layer is drawn from (seed, layer, cell), so
 * the world has no end. */
#include <math.h>

#include "tools/stimuli/film_private.h"

#define N_LAYERS 4

struct layer {
    double depth;  /* share of the camera's motion it shows */
    double ground; /* height of its ground line */
    double waves[3][3];
    double cell;  /* width of a place where something may stand */
    double thing; /* size of things */
    struct phi_film_rgb ground_colour;
    uint64_t seed;
    uint64_t stream;
};

static double profile(const struct layer *layer, double x)
{
    double y = layer->ground;

    for (int i = 0; i < 3; i++)
        y += layer->waves[i][0] * sin(layer->waves[i][1] * x + layer->waves[i][2]);
    return y;
}

static struct phi_film_rgb haze(struct phi_film_rgb colour, struct phi_film_rgb air, double share)
{
    return (struct phi_film_rgb){colour.r + (air.r - colour.r) * share,
                                 colour.g + (air.g - colour.g) * share,
                                 colour.b + (air.b - colour.b) * share};
}

static struct layer draw_layer(struct phi_rng *rng, const struct phi_film_clip *clip, int number,
                               struct phi_film_rgb air)
{
    double near = (double)number / (N_LAYERS - 1);
    struct layer layer = {.depth = 0.10 + 0.90 * near * near,
                          .ground = -0.05 + 0.72 * near,
                          .cell = 0.22 + 0.55 * near,
                          .thing = 0.05 + 0.34 * near,
                          .seed = clip->seed ^ 0x7363656e65u,
                          .stream = clip->index * N_LAYERS + (uint64_t)number};
    struct phi_film_rgb green = {phi_film_between(rng, 0.15, 0.5), phi_film_between(rng, 0.3, 0.6),
                                 phi_film_between(rng, 0.1, 0.35)};

    for (int i = 0; i < 3; i++) {
        layer.waves[i][0] = phi_film_between(rng, 0.01, 0.10) * (1.3 - near);
        layer.waves[i][1] = phi_film_between(rng, 0.8, 2.5) * (1 + i);
        layer.waves[i][2] = phi_film_between(rng, 0, 6.28);
    }
    layer.ground_colour = haze(green, air, 0.75 * (1 - near));
    return layer;
}

static void set(cairo_t *cr, struct phi_film_rgb c)
{
    cairo_set_source_rgb(cr, c.r, c.g, c.b);
}

static void draw_ground(const struct phi_film_painter *painter, cairo_t *cr,
                        const struct layer *layer, double camera)
{
    double half = painter->half_x * 1.4;
    cairo_pattern_t *fall =
        cairo_pattern_create_linear(0, layer->ground - 0.1, 0, layer->ground + 0.6);
    struct phi_film_rgb c = layer->ground_colour;

    cairo_move_to(cr, -half, 3);
    for (int i = 0; i <= 64; i++) {
        double x = -half + 2 * half * i / 64;

        cairo_line_to(cr, x, profile(layer, x + camera));
    }
    cairo_line_to(cr, half, 3);
    cairo_close_path(cr);
    cairo_pattern_add_color_stop_rgb(fall, 0, c.r, c.g, c.b);
    cairo_pattern_add_color_stop_rgb(fall, 1, 0.55 * c.r, 0.55 * c.g, 0.55 * c.b);
    cairo_set_source(cr, fall);
    cairo_fill(cr);
    cairo_pattern_destroy(fall);
}

static void draw_tree(cairo_t *cr, double size, struct phi_rng *rng, struct phi_film_rgb air,
                      double share)
{
    struct phi_film_rgb leaf = {phi_film_between(rng, 0.1, 0.4), phi_film_between(rng, 0.3, 0.55),
                                phi_film_between(rng, 0.1, 0.25)};
    struct phi_film_rgb light;

    leaf = haze(leaf, air, share);
    light = haze(leaf, (struct phi_film_rgb){1, 1, 0.8}, 0.25);
    set(cr, haze((struct phi_film_rgb){0.3, 0.2, 0.12}, air, share));
    cairo_rectangle(cr, -0.07 * size, -0.6 * size, 0.14 * size, 0.65 * size);
    cairo_fill(cr);
    set(cr, leaf);
    if (phi_rng_below(rng, 2)) { /* a fir */
        for (int i = 0; i < 3; i++) {
            double y = -0.35 * size - 0.35 * size * i;

            cairo_move_to(cr, -(0.42 - 0.09 * i) * size, y);
            cairo_line_to(cr, (0.42 - 0.09 * i) * size, y);
            cairo_line_to(cr, 0, y - 0.6 * size);
            cairo_close_path(cr);
        }
        cairo_fill(cr);
        return;
    }
    cairo_arc(cr, 0, -0.95 * size, 0.45 * size, 0, 2 * M_PI);
    cairo_fill(cr);
    set(cr, light);
    cairo_arc(cr, -0.12 * size, -1.07 * size, 0.24 * size, 0, 2 * M_PI);
    cairo_fill(cr);
}

static void draw_house(cairo_t *cr, double size, struct phi_rng *rng, struct phi_film_rgb air,
                       double share)
{
    struct phi_film_rgb wall =
        haze(phi_film_colour(rng, 0.3, phi_film_between(rng, 0.6, 0.95)), air, share);
    struct phi_film_rgb roof =
        haze((struct phi_film_rgb){phi_film_between(rng, 0.35, 0.7), 0.22, 0.16}, air, share);
    double w = phi_film_between(rng, 0.5, 0.9) * size;
    double h = phi_film_between(rng, 0.5, 0.9) * size;

    set(cr, wall);
    cairo_rectangle(cr, -w, -h, 2 * w, h + 0.1 * size);
    cairo_fill(cr);
    set(cr, roof);
    cairo_move_to(cr, -1.15 * w, -h);
    cairo_line_to(cr, 0, -h - 0.6 * size);
    cairo_line_to(cr, 1.15 * w, -h);
    cairo_close_path(cr);
    cairo_fill(cr);
    set(cr, haze((struct phi_film_rgb){0.16, 0.20, 0.28}, air, share));
    for (int i = -1; i <= 1; i += 2)
        cairo_rectangle(cr, 0.45 * w * i - 0.16 * w, -0.75 * h, 0.32 * w, 0.35 * h);
    cairo_fill(cr);
}

static void draw_things(const struct phi_film_painter *painter, cairo_t *cr,
                        const struct layer *layer, double camera, struct phi_film_rgb air)
{
    double half = painter->half_x * 1.4 + 2 * layer->thing;
    long first = (long)floor((camera - half) / layer->cell);
    long last = (long)ceil((camera + half) / layer->cell);

    for (long i = first; i <= last; i++) {
        struct phi_rng rng;
        double x, size;
        int what;

        phi_rng_init(&rng, layer->seed, layer->stream << 32 ^ (uint64_t)(i + 1000000));
        what = (int)phi_rng_below(&rng, 5);
        x = ((double)i + phi_film_between(&rng, 0, 0.6)) * layer->cell;
        size = layer->thing * phi_film_between(&rng, 0.7, 1.2);
        if (what > 3)
            continue;
        cairo_save(cr);
        cairo_translate(cr, x - camera, profile(layer, x) + 0.03 * size);
        if (what == 3)
            draw_house(cr, size, &rng, air, 0.7 * (1 - layer->depth));
        else
            draw_tree(cr, size, &rng, air, 0.7 * (1 - layer->depth));
        cairo_restore(cr);
    }
}

static void draw_sky(cairo_t *cr, struct phi_rng *rng, struct phi_film_rgb air, double camera)
{
    cairo_pattern_t *sky = cairo_pattern_create_linear(0, -1.3, 0, 0.3);
    double sun_x = phi_film_between(rng, -0.9, 0.9);
    double sun_y = phi_film_between(rng, -0.9, -0.4);

    cairo_pattern_add_color_stop_rgb(sky, 0, 0.45 * air.r, 0.60 * air.g, 0.95 * air.b);
    cairo_pattern_add_color_stop_rgb(sky, 1, air.r, air.g, air.b);
    cairo_set_source(cr, sky);
    cairo_paint(cr);
    cairo_pattern_destroy(sky);
    cairo_set_source_rgba(cr, 1, 0.96, 0.8, 0.9);
    cairo_arc(cr, sun_x - 0.03 * camera, sun_y, 0.12, 0, 2 * M_PI);
    cairo_fill(cr);
    for (int i = 0; i < 6; i++) { /* clouds, at the pace of the farthest hills */
        double x = phi_film_between(rng, -2.5, 2.5) - 0.06 * camera;
        double y = phi_film_between(rng, -1.0, -0.35);
        double w = phi_film_between(rng, 0.15, 0.4);

        cairo_save(cr);
        cairo_translate(cr, x, y);
        cairo_scale(cr, w, 0.32 * w);
        cairo_arc(cr, 0, 0, 1, 0, 2 * M_PI);
        cairo_arc(cr, 0.5, -0.5, 0.7, 0, 2 * M_PI);
        cairo_restore(cr);
        cairo_set_source_rgba(cr, 1, 1, 1, 0.65);
        cairo_fill(cr);
    }
}

enum ph_status phi_film_draw_scenes(struct phi_film_painter *painter, cairo_t *cr,
                                    const struct phi_film_clip *clip, double time_s)
{
    struct phi_rng rng;
    struct phi_film_rgb air;
    double speed, sway, camera, zoom;

    phi_rng_init(&rng, clip->seed ^ 0x7363656e6573u, clip->index);
    air =
        (struct phi_film_rgb){phi_film_between(&rng, 0.65, 0.98), phi_film_between(&rng, 0.65, 0.9),
                              phi_film_between(&rng, 0.65, 0.98)};
    speed = phi_film_between(&rng, 0.35, 0.9) * (phi_rng_below(&rng, 2) ? 1 : -1);
    sway = phi_film_between(&rng, 0, 0.5);
    camera = phi_film_between(&rng, -50, 50) + speed * time_s + sway * sin(0.7 * time_s);
    zoom = 1 + phi_film_between(&rng, 0, 0.15) * sin(phi_film_between(&rng, 0.2, 0.8) * time_s);
    cairo_scale(cr, zoom, zoom);
    cairo_translate(cr, 0, phi_film_between(&rng, 0, 0.06) * sin(2.1 * time_s));
    draw_sky(cr, &rng, air, camera);
    for (int i = 0; i < N_LAYERS; i++) {
        struct layer layer = draw_layer(&rng, clip, i, air);

        draw_things(painter, cr, &layer, camera * layer.depth, air);
        draw_ground(painter, cr, &layer, camera * layer.depth);
    }
    return PH_OK;
}
