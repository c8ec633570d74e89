/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tools/stimuli/face_private.h"

static const struct phi_face_rgb black = {0, 0, 0};
static const struct phi_face_rgb white = {1, 1, 1};

static void draw_nostril(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    double w = s->nose_w;
    const struct phi_face_point wing[4] = {
        {side * 0.98 * w, s->nose_y - 0.035},
        {side * 1.13 * w, s->nose_y + 0.008},
        {side * 1.00 * w, s->nose_y + 0.038},
        {side * 0.76 * w, s->nose_y + 0.034},
    };
    const struct phi_face_point hole[6] = {
        {side * 0.24 * w, s->nose_y + 0.040}, {side * 0.42 * w, s->nose_y + 0.018},
        {side * 0.66 * w, s->nose_y + 0.018}, {side * 0.76 * w, s->nose_y + 0.032},
        {side * 0.58 * w, s->nose_y + 0.043}, {side * 0.38 * w, s->nose_y + 0.046},
    };

    phi_face_soft_line(canvas, wing, 4, 0.011, phi_face_mix(s->skin_dark, s->skin, 0.25));
    phi_face_head_curve(canvas, hole, 6, true);
    phi_face_source(canvas->cr, phi_face_mix(s->skin_dark, black, 0.55), 0.75);
    cairo_fill(canvas->cr);
}

void phi_face_draw_nose(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_rgb shadow = phi_face_mix(s->skin_dark, s->skin, 0.1);
    double away = s->light[0] >= 0 ? -1 : 1;
    double drop = 0.05 + 0.04 * fmax(0, -s->light[1]);

    phi_face_cloud(canvas,
                   (struct phi_face_box){0.02 * away, s->nose_y + drop, 1.35 * s->nose_w, 0.065},
                   shadow, 0.50);
    phi_face_cloud(canvas,
                   (struct phi_face_box){away * 0.85 * s->nose_w, s->nose_y - 0.08, 0.075, 0.20},
                   shadow, 0.16 + 0.30 * fabs(s->light[0]));
    draw_nostril(canvas, -1);
    draw_nostril(canvas, 1);
    phi_face_cloud(canvas,
                   (struct phi_face_box){-0.12 * away * s->nose_w, s->nose_y - 0.035,
                                         0.6 * s->nose_tip + 0.006, 0.7 * s->nose_tip + 0.008},
                   s->skin_light, 0.40 * s->key);
}

/* The border of upper and lower lip at 7 points from corner to corner, `drop` lower in the middle
 * and `lift` higher at the corners. */
static void seam(const struct phi_face_shape *s, double drop, struct phi_face_point points[7])
{
    for (int i = 0; i < 7; i++) {
        double t = (i - 3) / 3.0;
        double corner = t * t;

        points[i].x = t * s->mouth_w;
        points[i].y = s->mouth_y + drop * (1 - corner * corner) -
                      0.080 * s->smile * corner * (1.15 - 0.15 * corner) + 0.024 * s->smile +
                      0.006 * cos(2 * M_PI * t) * (1 - corner);
    }
}

static void fill_between(const struct phi_face_canvas *canvas, const struct phi_face_point upper[7],
                         const struct phi_face_point lower[7])
{
    struct phi_face_point loop[12];

    for (size_t i = 0; i < 7; i++)
        loop[i] = upper[i];
    for (size_t i = 0; i < 5; i++)
        loop[7 + i] = lower[5 - i];
    phi_face_head_curve(canvas, loop, 12, true);
}

static void draw_cavity(const struct phi_face_canvas *canvas, const struct phi_face_point upper[7],
                        const struct phi_face_point lower[7])
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    struct phi_face_point teeth[7];
    double bite = fmin(0.048, 0.85 * s->opening);

    cairo_save(cr);
    fill_between(canvas, upper, lower);
    phi_face_source(cr, (struct phi_face_rgb){0.22, 0.06, 0.07}, 1);
    cairo_fill_preserve(cr);
    cairo_clip(cr);
    for (int i = 0; i < 7; i++) {
        double t = (i - 3) / 3.0;

        teeth[i] = (struct phi_face_point){upper[i].x, upper[i].y + bite * (1 - 0.5 * t * t)};
    }
    fill_between(canvas, upper, teeth);
    phi_face_source(
        cr, phi_face_mix((struct phi_face_rgb){0.93, 0.90, 0.84}, black, 0.10 + 0.12 * s->age), 1);
    cairo_fill(cr);
    cairo_restore(cr);
}

static void draw_lip(const struct phi_face_canvas *canvas, const struct phi_face_point upper[7],
                     const struct phi_face_point lower[7], const double tones[2])
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_point a = phi_face_project(s, 0, upper[3].y, 0);
    struct phi_face_point b = phi_face_project(s, 0, lower[3].y + 0.001, 0);
    cairo_pattern_t *fall = cairo_pattern_create_linear(a.x, a.y, b.x, b.y);

    for (int i = 0; i < 2; i++) {
        struct phi_face_rgb c = tones[i] < 0 ? phi_face_mix(s->lip, black, -tones[i])
                                             : phi_face_mix(s->lip, white, tones[i]);
        double light = fmin(1.06, s->ambient + s->key * 0.75);

        cairo_pattern_add_color_stop_rgb(fall, i, fmin(1, c.r * light), fmin(1, c.g * light),
                                         fmin(1, c.b * light));
    }
    fill_between(canvas, upper, lower);
    cairo_set_source(canvas->cr, fall);
    cairo_fill(canvas->cr);
    cairo_pattern_destroy(fall);
}

static void lip_edges(const struct phi_face_shape *s, const struct phi_face_point open_up[7],
                      const struct phi_face_point open_down[7], struct phi_face_point up[7],
                      struct phi_face_point down[7])
{
    static const double bow[7] = {0, 0.50, 0.98, 0.80, 0.98, 0.50, 0};
    static const double belly[7] = {0, 0.62, 1.0, 1.08, 1.0, 0.62, 0};

    for (size_t i = 0; i < 7; i++) {
        up[i] = open_up[i];
        down[i] = open_down[i];
        up[i].y -= bow[i] * 0.92 * s->lip_h;
        down[i].y += belly[i] * 1.22 * s->lip_h;
    }
    up[2].x *= 0.72; /* the peaks of the bow stand close together */
    up[4].x *= 0.72;
}

void phi_face_draw_mouth(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_point open_up[7];
    struct phi_face_point open_down[7];
    struct phi_face_point up[7];
    struct phi_face_point down[7];

    seam(s, -0.25 * s->opening, open_up);
    seam(s, 0.75 * s->opening, open_down);
    lip_edges(s, open_up, open_down, up, down);
    phi_face_cloud(canvas, (struct phi_face_box){0, down[3].y + 0.035, 0.85 * s->mouth_w, 0.05},
                   s->skin_dark, 0.32);
    if (s->opening > 0.004)
        draw_cavity(canvas, open_up, open_down);
    draw_lip(canvas, open_down, down, (const double[2]){-0.10, 0.10});
    draw_lip(canvas, up, open_up, (const double[2]){-0.06, -0.24});
    phi_face_cloud(canvas,
                   (struct phi_face_box){0.03 * s->light[0], open_down[3].y + 0.55 * s->lip_h,
                                         0.50 * s->mouth_w, 0.5 * s->lip_h},
                   white, 0.26 * s->key);
    phi_face_soft_line(canvas, open_up, 7, 0.008, phi_face_mix(s->lip, black, 0.68));
    if (s->opening > 0.004)
        phi_face_soft_line(canvas, open_down, 7, 0.005, phi_face_mix(s->lip, black, 0.5));
    for (int side = -1; side <= 1; side += 2)
        phi_face_cloud(canvas,
                       (struct phi_face_box){side * 1.03 * s->mouth_w, open_up[side < 0 ? 0 : 6].y,
                                             0.035, 0.035},
                       s->skin_dark, 0.5);
}
