/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "tools/stimuli/face_private.h"

static const struct phi_face_rgb black = {0, 0, 0};
static const struct phi_face_rgb white = {1, 1, 1};

void phi_face_draw_background(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    double side = 0.5 * s->f[PHI_FACE_LIGHT_SIDE];
    cairo_pattern_t *wall = cairo_pattern_create_radial(side, -0.3, 0.1, side, -0.1, 1.9);

    cairo_pattern_add_color_stop_rgb(wall, 0, s->wall.r, s->wall.g, s->wall.b);
    cairo_pattern_add_color_stop_rgb(wall, 1, s->wall_edge.r, s->wall_edge.g, s->wall_edge.b);
    cairo_set_source(canvas->cr, wall);
    cairo_paint(canvas->cr);
    cairo_pattern_destroy(wall);
}

static void fill_gradient(const struct phi_face_canvas *canvas, struct phi_face_rgb near,
                          struct phi_face_rgb far)
{
    double side = canvas->shape->light[0] >= 0 ? 1 : -1;
    cairo_pattern_t *across = cairo_pattern_create_linear(0.8 * side, 0, -0.8 * side, 0.1);

    cairo_pattern_add_color_stop_rgb(across, 0, near.r, near.g, near.b);
    cairo_pattern_add_color_stop_rgb(across, 1, far.r, far.g, far.b);
    cairo_set_source(canvas->cr, across);
    cairo_fill(canvas->cr);
    cairo_pattern_destroy(across);
}

static void draw_neck(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    double w = 0.60 * s->jaw_x + 0.035;
    double shift = 0.05 * s->sin_yaw;
    cairo_pattern_t *fall = cairo_pattern_create_linear(0, s->chin_y - 0.12, 0, s->chin_y + 0.34);
    struct phi_face_rgb shadow = phi_face_mix(s->skin_dark, s->skin, 0.22);
    struct phi_face_rgb lit = phi_face_mix(s->skin_dark, s->skin, 0.80);

    cairo_move_to(cr, shift - w, 0.35);
    cairo_curve_to(cr, shift - w, 0.70, -w - 0.02, 0.78, -w - 0.10, 1.02);
    cairo_line_to(cr, w + 0.10, 1.02);
    cairo_curve_to(cr, w + 0.02, 0.78, shift + w, 0.70, shift + w, 0.35);
    cairo_close_path(cr);
    cairo_pattern_add_color_stop_rgb(fall, 0, shadow.r, shadow.g, shadow.b);
    cairo_pattern_add_color_stop_rgb(fall, 1, lit.r, lit.g, lit.b);
    cairo_set_source(cr, fall);
    cairo_fill(cr);
    cairo_pattern_destroy(fall);
}

static void draw_clothes(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    double neck = 0.60 * s->jaw_x + 0.10;
    double shoulder = 0.76 + 0.06 * s->f[PHI_FACE_JAW_WIDTH];

    cairo_move_to(cr, -1.6, 1.6);
    cairo_curve_to(cr, -shoulder - 0.20, 0.96, -shoulder + 0.10, 0.93, -neck, 0.80);
    cairo_curve_to(cr, -0.7 * neck, 0.97, 0.7 * neck, 0.97, neck, 0.80);
    cairo_curve_to(cr, shoulder - 0.10, 0.93, shoulder + 0.20, 0.96, 1.6, 1.6);
    cairo_close_path(cr);
    fill_gradient(canvas, phi_face_mix(s->cloth, white, 0.10), phi_face_mix(s->cloth, black, 0.42));
    cairo_move_to(cr, -neck, 0.80);
    cairo_curve_to(cr, -0.7 * neck, 0.97, 0.7 * neck, 0.97, neck, 0.80);
    cairo_set_line_width(cr, 0.03);
    phi_face_source(cr, phi_face_mix(s->cloth, black, 0.35), 0.7);
    cairo_stroke(cr);
}

void phi_face_draw_body(const struct phi_face_canvas *canvas)
{
    draw_neck(canvas);
    draw_clothes(canvas);
}

static void draw_ear(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    double x = side * (s->cheek_x + 0.012) - 0.10 * s->sin_yaw;
    double y = s->eye_y + 0.13 - 0.06 * s->sin_pitch;
    double lit = 0.62 + 0.26 * side * s->light[0];
    struct phi_face_rgb colour = phi_face_mix(s->skin_dark, s->skin, fmax(0.2, lit));

    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, 0.14 * side);
    cairo_scale(cr, 0.062, 0.135);
    cairo_arc(cr, 0, 0, 1, 0, 2 * M_PI);
    cairo_restore(cr);
    phi_face_source(cr, colour, 1);
    cairo_fill(cr);
    cairo_save(cr);
    cairo_translate(cr, x - 0.008 * side, y);
    cairo_scale(cr, 0.034, 0.085);
    cairo_arc(cr, 0, 0, 1, 0, 2 * M_PI);
    cairo_restore(cr);
    phi_face_source(cr, s->skin_dark, 0.35);
    cairo_fill(cr);
}

void phi_face_draw_head(const struct phi_face_canvas *canvas, cairo_surface_t *skin)
{
    struct phi_face_point outline[PHI_FACE_N_OUTLINE];
    cairo_t *cr = canvas->cr;
    double n = cairo_image_surface_get_width(skin);
    cairo_matrix_t to_pixels;

    draw_ear(canvas, -1);
    draw_ear(canvas, 1);
    phi_face_outline(canvas->shape, outline);
    cairo_save(cr);
    phi_face_curve(cr, outline, PHI_FACE_N_OUTLINE, true);
    cairo_set_source_surface(cr, skin, 0, 0);
    cairo_matrix_init(&to_pixels, n / 2, 0, 0, n / 2, n / 2, n / 2);
    cairo_pattern_set_matrix(cairo_get_source(cr), &to_pixels);
    cairo_fill_preserve(cr);
    cairo_clip(cr);
    /* the turn of the surface away from the viewer, along the true outline */
    for (int i = 0; i < 4; i++) {
        phi_face_curve(cr, outline, PHI_FACE_N_OUTLINE, true);
        cairo_set_line_width(cr, 0.17 - 0.04 * i);
        phi_face_source(cr, canvas->shape->skin_dark, 0.085);
        cairo_stroke(cr);
    }
    cairo_restore(cr);
}

static void draw_folds(const struct phi_face_canvas *canvas, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    double smile = fmax(0, s->smile);
    double age = phi_face_step(0.25, 1, s->age);
    double fold = fmin(1, 0.18 + 0.75 * age + 0.45 * smile);
    struct phi_face_rgb crease = phi_face_mix(s->skin, s->skin_dark, 0.30 + 0.5 * fold);
    const struct phi_face_point nasolabial[4] = {
        {side * (s->nose_w + 0.025), s->nose_y - 0.01},
        {side * (s->nose_w + 0.075 + 0.02 * smile), s->nose_y + 0.06},
        {side * (s->mouth_w + 0.045), phi_face_lerp(s->nose_y, s->mouth_y, 0.75)},
        {side * (s->mouth_w + 0.050), s->mouth_y + 0.02 + 0.03 * age},
    };
    const struct phi_face_point bag[3] = {
        {side * (s->eye_x - 0.9 * s->eye_w), s->eye_y + s->eye_h + 0.012},
        {side * s->eye_x, s->eye_y + 1.25 * s->eye_h + 0.040 + 0.012 * age},
        {side * (s->eye_x + 0.85 * s->eye_w), s->eye_y + s->eye_h + 0.020},
    };

    phi_face_soft_line(canvas, nasolabial, 4, 0.008 + 0.012 * fold, crease);
    if (age > 0.02) {
        phi_face_soft_line(canvas, bag, 3, 0.004 + 0.016 * age,
                           phi_face_mix(s->skin, s->skin_dark, 0.25 + 0.4 * age));
        for (int i = -1; i <= 1; i++) { /* crow's feet */
            const struct phi_face_point foot[2] = {
                {side * (s->eye_x + 1.25 * s->eye_w), s->eye_y + 0.018 * i},
                {side * (s->eye_x + (1.4 + 0.4 * age) * s->eye_w), s->eye_y + 0.045 * i + 0.012}};

            phi_face_soft_line(canvas, foot, 2, 0.008 * age,
                               phi_face_mix(s->skin, s->skin_dark, 0.65 * age));
        }
    }
}

static void draw_forehead_lines(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    double age = phi_face_step(0.45, 1, s->age);

    for (int i = 0; age > 0.02 && i < 3; i++) {
        double y = s->brow_y - 0.085 - 0.062 * i;
        double w = 0.24 - 0.03 * i;
        const struct phi_face_point line[5] = {{-w, y + 0.014},
                                               {-0.5 * w, y - 0.004},
                                               {0, y + 0.006},
                                               {0.5 * w, y - 0.004},
                                               {w, y + 0.014}};

        phi_face_soft_line(canvas, line, 5, 0.012 * age,
                           phi_face_mix(s->skin, s->skin_dark, 0.6 * age));
    }
}

void phi_face_draw_cheeks(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    double blush = 0.06 + 0.46 * phi_face_step(-0.6, 1, s->f[PHI_FACE_BLUSH]);
    struct phi_face_rgb red = {fmin(1, 1.06 * s->skin.r + 0.03), 0.46 * s->skin.g,
                               0.50 * s->skin.b};

    for (int side = -1; side <= 1; side += 2) {
        double x = side * 0.285;

        phi_face_cloud(canvas, (struct phi_face_box){x, s->eye_y + 0.27, 0.20, 0.16}, red, blush);
        phi_face_cloud(canvas,
                       (struct phi_face_box){side * s->eye_x, s->eye_y - 0.01, 0.165, 0.115},
                       phi_face_mix(s->skin_dark, red, 0.25), 0.34);
        draw_folds(canvas, side);
    }
    phi_face_cloud(canvas, (struct phi_face_box){0, s->nose_y - 0.01, 0.13, 0.10}, red,
                   0.6 * blush);
    draw_forehead_lines(canvas);
}
