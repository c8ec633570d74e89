/* SPDX-License-Identifier: MIT
 *
 * Textured shapes on a drifting textured ground; those drawn later hide those before. Each leaves
 * the frame on one side and comes back on the other. */
#include <math.h>

#include "tools/stimuli/film_private.h"

#define MAX_SHAPES 6

struct actor {
    double x, y, vx, vy, angle, spin, size, stretch;
    int n_corners; /* 0 is an ellipse */
};

static struct actor draw_actor(struct phi_rng *rng)
{
    double direction = phi_film_between(rng, 0, 2 * M_PI);
    double speed = phi_film_between(rng, 0.25, 0.9);

    return (struct actor){.x = phi_film_between(rng, -1, 1),
                          .y = phi_film_between(rng, -1, 1),
                          .vx = speed * cos(direction),
                          .vy = speed * sin(direction),
                          .angle = phi_film_between(rng, 0, 2 * M_PI),
                          .spin = phi_film_between(rng, -1.2, 1.2),
                          .size = phi_film_between(rng, 0.22, 0.52),
                          .stretch = phi_film_between(rng, 0.6, 1.0),
                          .n_corners = (int)phi_rng_below(rng, 5) + 2};
}

/* Into [-half - margin, half + margin), where jumping is not seen. */
static double wrap(double x, double half, double margin)
{
    double width = 2 * (half + margin);

    return x - width * floor((x + half + margin) / width);
}

static void shape_path(cairo_t *cr, const struct actor *actor)
{
    if (actor->n_corners < 3) {
        cairo_arc(cr, 0, 0, actor->size, 0, 2 * M_PI);
        return;
    }
    for (int i = 0; i < actor->n_corners; i++) {
        double angle = 2 * M_PI * i / actor->n_corners;

        cairo_line_to(cr, actor->size * cos(angle), actor->size * sin(angle));
    }
    cairo_close_path(cr);
}

static void draw_shadow(cairo_t *cr, const struct actor *actor)
{
    cairo_save(cr);
    cairo_translate(cr, 0.03, 0.04);
    cairo_rotate(cr, actor->angle);
    cairo_scale(cr, 1, actor->stretch);
    shape_path(cr, actor);
    cairo_restore(cr);
    cairo_set_source_rgba(cr, 0, 0, 0, 0.35);
    cairo_fill(cr);
}

static void draw_shape(struct phi_film_painter *painter, cairo_t *cr, struct phi_rng *rng,
                       double time_s)
{
    struct actor actor = draw_actor(rng);
    double margin = 1.1 * actor.size + 0.05;

    actor.angle += actor.spin * time_s;
    cairo_save(cr);
    cairo_translate(cr, wrap(actor.x + actor.vx * time_s, painter->half_x, margin),
                    wrap(actor.y + actor.vy * time_s, painter->half_y, margin));
    draw_shadow(cr, &actor);
    cairo_rotate(cr, actor.angle);
    cairo_scale(cr, 1, actor.stretch);
    phi_film_texture(painter, cr, rng, phi_film_between(rng, 0.4, 0.9));
    shape_path(cr, &actor);
    cairo_fill(cr);
    cairo_restore(cr);
}

enum ph_status phi_film_draw_shapes(struct phi_film_painter *painter, cairo_t *cr,
                                    const struct phi_film_clip *clip, double time_s)
{
    struct phi_rng rng;
    size_t n;
    double vx, vy;

    phi_rng_init(&rng, clip->seed ^ 0x736861706573u, clip->index);
    n = 3 + phi_rng_below(&rng, MAX_SHAPES - 2);
    vx = phi_film_between(&rng, -0.25, 0.25);
    vy = phi_film_between(&rng, -0.25, 0.25);
    cairo_save(cr);
    cairo_translate(cr, vx * time_s, vy * time_s);
    phi_film_texture(painter, cr, &rng, phi_film_between(&rng, 0.8, 1.6));
    cairo_paint(cr);
    cairo_restore(cr);
    for (size_t i = 0; i < n; i++)
        draw_shape(painter, cr, &rng, time_s);
    return PH_OK;
}
