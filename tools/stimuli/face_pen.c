/* SPDX-License-Identifier: MIT */
#include "tools/stimuli/face_private.h"

#define MAX_POINTS 40

void phi_face_source(cairo_t *cr, struct phi_face_rgb colour, double alpha)
{
    cairo_set_source_rgba(cr, colour.r, colour.g, colour.b, alpha);
}

void phi_face_curve(cairo_t *cr, const struct phi_face_point *points, size_t n, bool closed)
{
    size_t n_parts = closed ? n : n - 1;

    cairo_move_to(cr, points[0].x, points[0].y);
    for (size_t i = 0; i < n_parts; i++) {
        const struct phi_face_point *before = &points[i > 0 ? i - 1 : closed ? n - 1 : 0];
        const struct phi_face_point *from = &points[i];
        const struct phi_face_point *to = &points[(i + 1) % n];
        const struct phi_face_point *after = &points[closed      ? (i + 2) % n
                                                     : i + 2 < n ? i + 2
                                                                 : n - 1];

        cairo_curve_to(cr, from->x + (to->x - before->x) / 6, from->y + (to->y - before->y) / 6,
                       to->x - (after->x - from->x) / 6, to->y - (after->y - from->y) / 6, to->x,
                       to->y);
    }
    if (closed)
        cairo_close_path(cr);
}

void phi_face_head_curve(const struct phi_face_canvas *canvas, const struct phi_face_point *points,
                         size_t n, bool closed)
{
    struct phi_face_point seen[MAX_POINTS];

    n = n < MAX_POINTS ? n : MAX_POINTS;
    for (size_t i = 0; i < n; i++)
        seen[i] = phi_face_project(canvas->shape, points[i].x, points[i].y, 0);
    phi_face_curve(canvas->cr, seen, n, closed);
}

/* The fall of (1 - r^2)^2 in five stops: no visible edge. */
void phi_face_cloud(const struct phi_face_canvas *canvas, struct phi_face_box box,
                    struct phi_face_rgb colour, double alpha)
{
    static const double falls[5][2] = {
        {0, 1}, {0.25, 0.879}, {0.5, 0.5625}, {0.75, 0.1914}, {1, 0}};
    cairo_t *cr = canvas->cr;
    struct phi_face_point at = phi_face_project(canvas->shape, box.x, box.y, 0);
    cairo_pattern_t *cloud = cairo_pattern_create_radial(0, 0, 0, 0, 0, 1);

    for (size_t i = 0; i < 5; i++)
        cairo_pattern_add_color_stop_rgba(cloud, falls[i][0], colour.r, colour.g, colour.b,
                                          alpha * falls[i][1]);
    cairo_save(cr);
    cairo_translate(cr, at.x, at.y);
    cairo_scale(cr, box.r_x, box.r_y);
    cairo_set_source(cr, cloud);
    cairo_rectangle(cr, -1, -1, 2, 2);
    cairo_fill(cr);
    cairo_restore(cr);
    cairo_pattern_destroy(cloud);
}

void phi_face_soft_line(const struct phi_face_canvas *canvas, const struct phi_face_point *points,
                        size_t n, double width, struct phi_face_rgb colour)
{
    cairo_t *cr = canvas->cr;

    cairo_set_line_cap(cr, CAIRO_LINE_CAP_ROUND);
    for (int i = 0; i < 3; i++) {
        phi_face_head_curve(canvas, points, n, false);
        cairo_set_line_width(cr, width * (3.2 - 1.1 * i));
        phi_face_source(cr, colour, 0.30);
        cairo_stroke(cr);
    }
}
