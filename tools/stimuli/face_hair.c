/* SPDX-License-Identifier: MIT
 *
 * Hair is two borders and strands between them. Behind the head hangs a shape as wide as the
 * outline plus the volume, down to the hair's end; in front a cap lies between the outer border and
 * the hairline on the forehead, combed away from the parting. */
#include <math.h>

#include "tools/stimuli/face_private.h"

#define N_BORDER 21

static const struct phi_face_rgb black = {0, 0, 0};

/* Waves and curls push a border in and out. */
static double ripple(const struct phi_face_shape *s, double along)
{
    return s->hair_wave * (0.018 * sin(along) + 0.013 * sin(2.3 * along + 1.1));
}

/* A skull is squarer than an ellipse. */
static double rounded(double cosine)
{
    return copysign(pow(fabs(cosine), 0.85), cosine);
}

/* The outer border over the skull, t from 0 (left ear) over the top to 1 (right ear). */
static struct phi_face_point outer(const struct phi_face_shape *s, double t)
{
    double angle = phi_face_lerp(-0.30, M_PI + 0.30, t);
    double out = s->hair_out + ripple(s, 34 * t);
    double narrow = sin(angle) < 0 ? 1 + 0.10 * sin(angle) : 1;
    double high = -s->top_y - 0.04;

    return (struct phi_face_point){-rounded(cos(angle)) * (s->temple_x + 0.72 * out) * narrow,
                                   -0.04 - sin(angle) * (high + 1.05 * out)};
}

static void hair_gradient(const struct phi_face_canvas *canvas, double darkness)
{
    const struct phi_face_shape *s = canvas->shape;
    double x = 0.75 * s->light[0];
    cairo_pattern_t *sheen = cairo_pattern_create_radial(x, -0.62, 0.05, 0.3 * x, -0.2, 1.15);
    struct phi_face_rgb light = phi_face_mix(s->hair_light, black, darkness);
    struct phi_face_rgb dark = phi_face_mix(s->hair, black, 0.50 + 0.5 * darkness);
    struct phi_face_rgb mid = phi_face_mix(s->hair, black, 0.12 + darkness);

    cairo_pattern_add_color_stop_rgb(sheen, 0, light.r, light.g, light.b);
    cairo_pattern_add_color_stop_rgb(sheen, 0.38, mid.r, mid.g, mid.b);
    cairo_pattern_add_color_stop_rgb(sheen, 1, dark.r, dark.g, dark.b);
    cairo_set_source(canvas->cr, sheen);
    cairo_pattern_destroy(sheen);
}

/* Strands go to a layer of their own that is painted through `path` once: clipping every strand
 * would cost three times as much. */
static void begin_strands(struct phi_face_canvas *canvas)
{
    cairo_push_group(canvas->cr);
    cairo_set_tolerance(canvas->cr, 0.4);
    cairo_set_antialias(canvas->cr, CAIRO_ANTIALIAS_FAST);
}

static void end_strands(struct phi_face_canvas *canvas, cairo_path_t *path)
{
    cairo_pop_group_to_source(canvas->cr);
    cairo_append_path(canvas->cr, path);
    cairo_fill(canvas->cr);
    cairo_path_destroy(path);
}

static int scaled(const struct phi_face_canvas *canvas, int n)
{
    return (int)(n * canvas->detail);
}

static void strand(struct phi_face_canvas *canvas, const struct phi_face_point *points, size_t n)
{
    const struct phi_face_shape *s = canvas->shape;
    double tone = phi_rng_uniform(&canvas->rng);
    struct phi_face_rgb colour =
        tone < 0.5 ? phi_face_mix(s->hair, black, 0.45) : phi_face_mix(s->hair, s->hair_light, 0.9);

    phi_face_curve(canvas->cr, points, n, false);
    cairo_set_line_width(canvas->cr,
                         (0.006 + 0.014 * phi_rng_uniform(&canvas->rng)) / canvas->detail);
    phi_face_source(canvas->cr, colour, 0.16 + 0.16 * phi_rng_uniform(&canvas->rng));
    cairo_stroke(canvas->cr);
}

/* Half width of the hanging hair at height y. */
static double hanging(const struct phi_face_shape *s, double y)
{
    double up = fmax(0, -0.04 - y) / (-s->top_y - 0.04 + 1.05 * s->hair_out);
    double base = (s->temple_x + 0.72 * s->hair_out) * rounded(sqrt(fmax(0, 1 - up * up)));
    double flare = 0.10 * phi_face_step(0.0, 1.0, y) * (0.4 + s->hair_wave);
    double taper = 0.10 * phi_face_step(s->hair_end_y - 0.45, s->hair_end_y, y);

    return base + flare - taper + ripple(s, 13 * y + 2);
}

/* From the crown down both sides to the hair's end. */
static size_t back_border(const struct phi_face_shape *s, double end, struct phi_face_point *loop)
{
    size_t n = 0;

    for (int i = 0; i <= 16; i++)
        loop[n++] = outer(s, 0.10 + 0.80 * i / 16);
    for (int i = 0; i < 20; i++) {
        double y = phi_face_lerp(-0.06, end, (i < 10 ? i : 19 - i) / 9.0);

        loop[n++] = (struct phi_face_point){(i < 10 ? 1 : -1) * hanging(s, y), y};
    }
    return n;
}

/* A strand that hangs `inward` of the border, from height `from` to `to`. */
static void hang(struct phi_face_canvas *canvas, double side, double inward, const double range[2])
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_point points[6];

    for (int k = 0; k < 6; k++) {
        double y = phi_face_lerp(range[0], range[1], k / 5.0);
        double wave = 0.045 * s->hair_wave * sin(9 * y + 20 * inward);

        points[k] = (struct phi_face_point){side * (hanging(s, y) - inward) + wave, y};
    }
    strand(canvas, points, 6);
}

void phi_face_draw_back_hair(struct phi_face_canvas *canvas)
{
    cairo_t *cr = canvas->cr;
    struct phi_face_point loop[38];
    double end = fmax(canvas->shape->hair_end_y, -0.02);
    const double range[2] = {-0.35, end};
    cairo_path_t *path;

    phi_face_curve(cr, loop, back_border(canvas->shape, end, loop), true);
    hair_gradient(canvas, 0.34);
    path = cairo_copy_path(cr);
    cairo_fill(cr);
    if (end < 0.05) {
        cairo_path_destroy(path);
        return;
    }
    begin_strands(canvas);
    for (int i = 0; i < scaled(canvas, 44); i++)
        hang(canvas, i % 2 ? 1 : -1, 0.02 + 0.34 * phi_rng_uniform(&canvas->rng), range);
    end_strands(canvas, path);
}

/* Long hair falls over the ears and frames the face. */
static void draw_lock(struct phi_face_canvas *canvas, double side, double end)
{
    const struct phi_face_shape *s = canvas->shape;
    cairo_t *cr = canvas->cr;
    struct phi_face_point loop[20];
    const double range[2] = {-0.30, end};
    double turned = 0.10 * s->sin_yaw;
    cairo_path_t *path;

    for (int i = 0; i < 10; i++) {
        double y = phi_face_lerp(-0.30, end, i / 9.0);
        double near = s->cheek_x * (0.93 - 0.05 * sin(M_PI * i / 9.0)) +
                      0.10 * phi_face_step(0.25, 0.8, y) * (end > 0.6) + 0.6 * ripple(s, 11 * y);
        double far = hanging(s, y);

        near = fmin(near, far - 0.05 * (1 - i / 9.0) - 0.01);
        loop[i] = (struct phi_face_point){side * far, y};
        loop[19 - i] = (struct phi_face_point){side * near + turned * (1 - i / 9.0), y};
    }
    phi_face_curve(cr, loop, 20, true);
    hair_gradient(canvas, 0.10);
    path = cairo_copy_path(cr);
    cairo_fill(cr);
    begin_strands(canvas);
    for (int i = 0; i < scaled(canvas, 20); i++)
        hang(canvas, side, 0.005 + 0.17 * phi_rng_uniform(&canvas->rng), range);
    end_strands(canvas, path);
}

static void draw_locks(struct phi_face_canvas *canvas)
{
    double end = canvas->shape->hair_end_y;

    if (end < 0.08)
        return;
    draw_lock(canvas, -1, end);
    draw_lock(canvas, 1, end);
}

/* The hairline seen in the picture, t as for outer: sideburn, temple, forehead, and back. */
static struct phi_face_point inner(const struct phi_face_shape *s, double t)
{
    double across = 2 * t - 1; /* -1 .. 1 */
    double side = across < 0 ? -1 : 1;
    double wide = fabs(across);
    double fringe = 0.5 + 0.5 * s->f[PHI_FACE_HAIR_FRINGE];
    double low = phi_face_lerp(s->hairline_y, s->hairline_y + 0.05, fringe);
    double parted = exp(-pow((across * 0.42 - s->parting_x) / 0.09, 2));
    double y, x;

    if (wide > 0.72) { /* down the temple to the sideburn */
        double u = (wide - 0.72) / 0.28;
        double burn = phi_face_lerp(-0.02, 0.10, phi_face_step(0, 1, s->beard));

        x = phi_face_lerp(0.80, 0.90, u) * s->temple_x;
        y = phi_face_lerp(low + 0.10, burn, u);
    } else {
        x = phi_face_lerp(0, 0.80, wide / 0.72) * s->temple_x;
        y = low + 0.10 * pow(wide / 0.72, 3) - parted * phi_face_lerp(0.015, 0.085, fringe) +
            0.6 * ripple(s, 26 * t);
    }
    return phi_face_project(s, side * x, y, 0.015);
}

static void cap_path(struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_point border[2 * N_BORDER];

    for (size_t i = 0; i < N_BORDER; i++) {
        double t = (double)i / (N_BORDER - 1);

        border[i] = outer(s, t);
        border[2 * N_BORDER - 1 - i] = inner(s, t);
    }
    phi_face_curve(canvas->cr, border, 2 * N_BORDER, true);
}

/* A soft shadow of the hair on the forehead. */
static void cast_shadow(const struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    struct phi_face_point line[N_BORDER];
    cairo_t *cr = canvas->cr;

    for (size_t i = 0; i < N_BORDER; i++)
        line[i] = inner(s, (double)i / (N_BORDER - 1));
    for (int i = 0; i < 3; i++) {
        phi_face_curve(cr, line, N_BORDER, false);
        cairo_set_line_width(cr, 0.10 - 0.03 * i);
        phi_face_source(cr, s->skin_dark, 0.16);
        cairo_stroke(cr);
    }
}

/* From the parting outwards and down, between hairline (depth 0) and outer border (1). */
static void comb(struct phi_face_canvas *canvas, double depth, double side)
{
    const struct phi_face_shape *s = canvas->shape;
    double part = 0.5 + 0.5 * s->parting_x / 0.42;
    struct phi_face_point points[7];

    for (int k = 0; k < 7; k++) {
        double t = phi_face_lerp(part, side < 0 ? 0.0 : 1.0, k / 6.0);
        struct phi_face_point in = inner(s, t);
        struct phi_face_point out = outer(s, t);
        double wave = 0.03 * s->hair_wave * sin(7.0 * k / 6.0 + 17 * depth);

        points[k].x = phi_face_lerp(in.x, out.x, depth + wave);
        points[k].y = phi_face_lerp(in.y, out.y, depth + wave);
    }
    strand(canvas, points, 7);
}

/* Curls: small arcs strewn over the cap. */
static void curls(struct phi_face_canvas *canvas)
{
    const struct phi_face_shape *s = canvas->shape;
    int n = scaled(canvas, (int)(70 * phi_face_step(0.45, 1.0, s->hair_wave)));

    for (int i = 0; i < n; i++) {
        double t = phi_rng_uniform(&canvas->rng);
        double depth = phi_rng_uniform(&canvas->rng);
        struct phi_face_point in = inner(s, t);
        struct phi_face_point out = outer(s, t);
        double x = phi_face_lerp(in.x, out.x, depth);
        double y = phi_face_lerp(in.y, out.y, depth);
        double r = 0.030 + 0.030 * phi_rng_uniform(&canvas->rng);
        double turn = 6.28 * phi_rng_uniform(&canvas->rng);
        const struct phi_face_point arc[4] = {
            {x + r * cos(turn), y + r * sin(turn)},
            {x + r * cos(turn + 1.3), y + r * sin(turn + 1.3)},
            {x + r * cos(turn + 2.6), y + r * sin(turn + 2.6)},
            {x + 0.8 * r * cos(turn + 3.9), y + 0.8 * r * sin(turn + 3.9)}};

        strand(canvas, arc, 4);
    }
}

void phi_face_draw_front_hair(struct phi_face_canvas *canvas)
{
    cairo_t *cr = canvas->cr;
    int n = scaled(canvas, 28);
    cairo_path_t *path;

    cast_shadow(canvas);
    draw_locks(canvas);
    cap_path(canvas);
    hair_gradient(canvas, 0);
    path = cairo_copy_path(cr);
    cairo_fill(cr);
    begin_strands(canvas);
    for (int i = 0; i < 2 * n; i++)
        comb(canvas, (i / 2 + phi_rng_uniform(&canvas->rng)) / n, i % 2 ? 1 : -1);
    curls(canvas);
    end_strands(canvas, path);
}
