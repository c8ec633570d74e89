/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tools/stimuli/face_private.h"

static const struct phi_face_rgb black = {0, 0, 0};
static const struct phi_face_rgb white = {1, 1, 1};

/* A point in an eye's own frame (x outwards, y down, both in half sizes) as a point on the head. */
static struct phi_face_point in_eye(const struct phi_face_shape *s, double side, double x, double y)
{
    double out = x * s->eye_w;
    double down = y * s->eye_h - out * s->eye_tilt;

    return (struct phi_face_point){side * (s->eye_x + out), s->eye_y + down};
}

/* Upper lid from the inner corner outwards, then the lower lid back. */
static const double almond[12][2] = {{-1.02, 0.30}, {-0.72, -0.38}, {-0.30, -0.88}, {0.15, -1.0},
                                     {0.60, -0.72}, {0.92, -0.20},  {1.06, 0.10},   {0.80, 0.42},
                                     {0.40, 0.74},  {0.0, 0.82},    {-0.42, 0.70},  {-0.80, 0.46}};

static void almond_path(const struct phi_face_canvas *canvas, double side)
{
    struct phi_face_point points[12];

    for (size_t i = 0; i < 12; i++)
        points[i] = in_eye(canvas->shape, side, almond[i][0], almond[i][1]);
    phi_face_head_curve(canvas, points, 12, true);
}

static void disc(cairo_t *cr, struct phi_face_point at, double radius)
{
    cairo_new_sub_path(cr);
    cairo_arc(cr, at.x, at.y, radius, 0, 2 * M_PI);
}

static void draw_iris(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    double gaze = 0.42 * s->f[PHI_FACE_GAZE] * s->eye_w;
    double radius = 0.50 * s->eye_w + 0.003;
    struct phi_face_point at =
        phi_face_project(s, side * s->eye_x + gaze, s->eye_y - 0.06 * s->eye_h, 0);
    cairo_pattern_t *rings =
        cairo_pattern_create_radial(at.x, at.y + 0.2 * radius, 0.15 * radius, at.x, at.y, radius);
    struct phi_face_rgb inner = phi_face_mix(s->iris, white, 0.22);
    struct phi_face_rgb rim = phi_face_mix(s->iris, black, 0.62);

    cairo_pattern_add_color_stop_rgb(rings, 0, inner.r, inner.g, inner.b);
    cairo_pattern_add_color_stop_rgb(rings, 0.72, s->iris.r, s->iris.g, s->iris.b);
    cairo_pattern_add_color_stop_rgb(rings, 1, rim.r, rim.g, rim.b);
    disc(cr, at, radius);
    cairo_set_source(cr, rings);
    cairo_fill(cr);
    cairo_pattern_destroy(rings);
    disc(cr, at, 0.43 * radius);
    phi_face_source(cr, black, 0.95);
    cairo_fill(cr);
    disc(cr,
         (struct phi_face_point){at.x + 0.34 * radius * (s->light[0] >= 0 ? 1 : -1),
                                 at.y - 0.36 * radius},
         0.24 * radius);
    phi_face_source(cr, white, 0.9);
    cairo_fill(cr);
}

static void draw_ball(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    struct phi_face_point top = phi_face_project(s, side * s->eye_x, s->eye_y - s->eye_h, 0);
    cairo_pattern_t *shadow =
        cairo_pattern_create_linear(top.x, top.y, top.x, top.y + 1.6 * s->eye_h);
    double light = fmin(1, s->ambient + 0.62 * s->key);

    cairo_save(cr);
    almond_path(canvas, side);
    cairo_clip_preserve(cr);
    cairo_set_source_rgb(cr, 0.93 * light, 0.91 * light, 0.89 * light);
    cairo_fill(cr);
    draw_iris(canvas, side);
    cairo_pattern_add_color_stop_rgba(shadow, 0, 0.10, 0.06, 0.06, 0.62);
    cairo_pattern_add_color_stop_rgba(shadow, 0.55, 0.15, 0.08, 0.08, 0.10);
    cairo_pattern_add_color_stop_rgba(shadow, 1, 0.2, 0.1, 0.1, 0);
    cairo_set_source(cr, shadow);
    cairo_paint(cr);
    cairo_restore(cr);
    cairo_pattern_destroy(shadow);
}

static void draw_lids(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_point upper[7];
    struct phi_face_point crease[6];
    struct phi_face_point lower[6];
    double feminine = 0.5 - 0.5 * s->beard;

    for (size_t i = 0; i < 7; i++)
        upper[i] = in_eye(s, side, almond[i][0] * (1.02 + (i == 6 ? 0.08 * feminine : 0)),
                          almond[i][1] - 0.04);
    for (size_t i = 0; i < 6; i++) {
        crease[i] = in_eye(s, side, 0.98 * almond[i + 1][0] + 0.02, almond[i + 1][1] - 0.42);
        lower[i] = in_eye(s, side, almond[6 + i][0], almond[6 + i][1] + 0.05);
    }
    phi_face_soft_line(canvas, crease, 6, 0.008, phi_face_mix(s->skin_dark, s->skin, 0.22));
    phi_face_soft_line(canvas, lower, 6, 0.005, phi_face_mix(s->skin_dark, s->skin, 0.1));
    phi_face_soft_line(canvas, upper, 7, 0.011 + 0.005 * feminine,
                       phi_face_mix(s->skin_dark, black, 0.72));
}

void phi_face_draw_eyes(const struct phi_face_canvas *canvas)
{
    for (int side = -1; side <= 1; side += 2) {
        draw_ball(canvas, side);
        draw_lids(canvas, side);
    }
}

/* Spine of a brow from the nose outwards, t in [0, 1]. */
static struct phi_face_point brow_spine(const struct phi_face_shape *s, double side, double t)
{
    double x = s->eye_x + phi_face_lerp(-1.12, 1.32, t) * s->eye_w;
    double arch = 0.040 * (1 - pow(fabs(t - 0.62) / 0.62, 2));
    double slope = s->brow_angle * (0.5 - t) * 0.34;

    return (struct phi_face_point){side * x, s->brow_y + 0.014 - arch + slope};
}

static void draw_brow(struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    struct phi_face_point loop[12];
    int n = (int)(22 * canvas->detail);

    for (size_t i = 0; i < 6; i++) {
        double t = (double)i / 5;
        double half = s->brow_h * (0.80 + 0.55 * t) * (1 - 0.86 * t * t);
        struct phi_face_point at = brow_spine(s, side, t);

        loop[i] = (struct phi_face_point){at.x, at.y - half};
        loop[11 - i] = (struct phi_face_point){at.x, at.y + 0.85 * half};
    }
    phi_face_head_curve(canvas, loop, 12, true);
    phi_face_source(cr, s->brow, 0.55 + 0.15 * s->f[PHI_FACE_BROW_THICKNESS]);
    cairo_fill(cr);
    phi_face_source(cr, phi_face_mix(s->brow, black, 0.35), 0.55);
    cairo_set_line_width(cr, 0.007 / canvas->detail);
    for (int i = 0; i < n; i++) {
        double t = (i + phi_rng_uniform(&canvas->rng)) / n;
        struct phi_face_point at = brow_spine(s, side, t);
        double half = s->brow_h * (1.0 - 0.75 * t * t);
        const struct phi_face_point hair[2] = {
            {at.x - side * 0.006, at.y + half * (0.8 - 0.5 * t)},
            {at.x + side * (0.014 + 0.022 * t), at.y - half * (0.95 - 0.9 * t)}};

        phi_face_head_curve(canvas, hair, 2, false);
        cairo_stroke(cr);
    }
}

void phi_face_draw_brows(struct phi_face_canvas *canvas)
{
    draw_brow(canvas, -1);
    draw_brow(canvas, 1);
}

static void draw_lens(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    struct phi_face_point ring[12];
    double w = 1.42 * s->eye_w + 0.012;
    double h = 0.082 + 0.9 * s->eye_h;

    for (int i = 0; i < 12; i++) {
        double angle = 2 * M_PI * i / 12;
        double squared = pow(pow(cos(angle), 4) + pow(sin(angle), 4), -0.16);

        ring[i] = (struct phi_face_point){side * s->eye_x + w * squared * cos(angle),
                                          s->eye_y + 0.012 + h * squared * sin(angle)};
    }
    phi_face_head_curve(canvas, ring, 12, true);
    phi_face_source(cr, (struct phi_face_rgb){0.85, 0.92, 1.0}, 0.10 * s->glasses);
    cairo_fill_preserve(cr);
    cairo_set_line_width(cr, 0.014 + 0.014 * s->glasses * (0.5 + 0.5 * s->f[PHI_FACE_GLASSES]));
    phi_face_source(cr, (struct phi_face_rgb){0.10, 0.08, 0.08}, 0.92 * s->glasses);
    cairo_stroke(cr);
}

void phi_face_draw_glasses(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    double inner = s->eye_x - 1.40 * s->eye_w - 0.010;
    const struct phi_face_point bridge[3] = {
        {-inner, s->eye_y - 0.005}, {0, s->eye_y - 0.035}, {inner, s->eye_y - 0.005}};

    if (s->glasses <= 0)
        return;
    draw_lens(canvas, -1);
    draw_lens(canvas, 1);
    phi_face_head_curve(canvas, bridge, 3, false);
    cairo_stroke(cr);
    for (int side = -1; side <= 1; side += 2) {
        const struct phi_face_point temple[2] = {
            {side * (s->eye_x + 1.45 * s->eye_w + 0.012), s->eye_y - 0.02},
            {side * 1.0 * s->cheek_x, s->eye_y + 0.01}};

        phi_face_head_curve(canvas, temple, 2, false);
        cairo_stroke(cr);
    }
}
