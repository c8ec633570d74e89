/* SPDX-License-Identifier: MIT
 *
 * What the files that draw faces share. Coordinates are face units: x to the right, y down, the
 * picture spans [-1, 1]. "On the head" means points of the frontal face, (x, y), that are laid on
 * an ellipsoid and turned with it. Not for others.
 */
#ifndef TOOLS_STIMULI_FACE_PRIVATE_H
#define TOOLS_STIMULI_FACE_PRIVATE_H

#include <cairo.h>

#include "base/rng.h"
#include "tools/stimuli/face.h"

struct phi_face_rgb {
    double r, g, b;
};

struct phi_face_point {
    double x, y;
};

/* All that the factors mean, in face units. */
struct phi_face_shape {
    double f[PHI_FACE_N_FACTORS];
    double top_y, chin_y;                           /* of the skull and of the chin */
    double temple_x, cheek_x, jaw_x, jaw_y, chin_x; /* half widths of the outline */
    double eye_x, eye_y, eye_w, eye_h, eye_tilt;    /* half sizes of one eye */
    double brow_y, brow_h, brow_angle;
    double nose_y, nose_w, nose_tip;
    double mouth_y, mouth_w, lip_h, smile, opening;
    double hair_out, hair_end_y, hair_wave, hairline_y, parting_x;
    double age, beard, glasses; /* 0 .. 1 */
    double ellipsoid_x, ellipsoid_y, ellipsoid_mid_y;
    double sin_yaw, cos_yaw, sin_pitch, cos_pitch, roll;
    double light[3]; /* unit vector towards the light, in the head's frame of the picture */
    double ambient, key;
    struct phi_face_rgb skin_dark, skin, skin_light, lip, hair, hair_light, brow, iris, cloth;
    struct phi_face_rgb wall, wall_edge;
};

struct phi_face_canvas {
    cairo_t *cr;
    const struct phi_face_shape *shape;
    struct phi_rng rng; /* strands and other irregular detail; the same for all faces */
    double detail;      /* 1 for large pictures, less where strands would not be seen */
};

/* Fills `shape` from factors, clamped to [-1, 1]. */
void phi_face_shape_init(struct phi_face_shape *shape, const double factors[PHI_FACE_N_FACTORS]);

/* Linear mix: a at t = 0, b at 1. */
struct phi_face_rgb phi_face_mix(struct phi_face_rgb a, struct phi_face_rgb b, double t);
double phi_face_lerp(double a, double b, double t);

/* 0 below `low`, 1 above `high`, smooth between. */
double phi_face_step(double low, double high, double value);

/* Where a point on the head, `lift` above it (in head radii), falls in the picture; and back, to
 * the point of the head that is seen there. */
struct phi_face_point phi_face_project(const struct phi_face_shape *shape, double x, double y,
                                       double lift);
struct phi_face_point phi_face_unproject(const struct phi_face_shape *shape, double x, double y);

/* The head's outline in the picture, n points from the top clockwise (as seen). */
#define PHI_FACE_N_OUTLINE 24
void phi_face_outline(const struct phi_face_shape *shape,
                      struct phi_face_point ret_points[PHI_FACE_N_OUTLINE]);

/* Adds a smooth curve through points[n] to the path (Catmull and Rom); `closed` joins the ends. */
void phi_face_curve(cairo_t *cr, const struct phi_face_point *points, size_t n, bool closed);

/* As curve, through points on the head. At most 40. */
void phi_face_head_curve(const struct phi_face_canvas *canvas, const struct phi_face_point *points,
                         size_t n, bool closed);

/* Sets the source to a colour. */
void phi_face_source(cairo_t *cr, struct phi_face_rgb colour, double alpha);

/* An elliptic cloud with radii of `box` (x, y: centre on the head; r_x, r_y), densest in the
 * middle. */
struct phi_face_box {
    double x, y, r_x, r_y;
};
void phi_face_cloud(const struct phi_face_canvas *canvas, struct phi_face_box box,
                    struct phi_face_rgb colour, double alpha);

/* A soft line through points on the head: three strokes of growing width. */
void phi_face_soft_line(const struct phi_face_canvas *canvas, const struct phi_face_point *points,
                        size_t n, double width, struct phi_face_rgb colour);

/* Shades the skin of the whole square into `surface` (ARGB32, n x n), using height[n][n] as
 * scratch. */
void phi_face_shade_skin(const struct phi_face_shape *shape, cairo_surface_t *surface,
                         float *height);

/* The layers, back to front. */
void phi_face_draw_background(const struct phi_face_canvas *canvas);
void phi_face_draw_back_hair(struct phi_face_canvas *canvas);
void phi_face_draw_body(const struct phi_face_canvas *canvas);
void phi_face_draw_head(const struct phi_face_canvas *canvas, cairo_surface_t *skin);
void phi_face_draw_cheeks(const struct phi_face_canvas *canvas);
void phi_face_draw_nose(const struct phi_face_canvas *canvas);
void phi_face_draw_mouth(const struct phi_face_canvas *canvas);
void phi_face_draw_eyes(const struct phi_face_canvas *canvas);
void phi_face_draw_brows(struct phi_face_canvas *canvas);
void phi_face_draw_front_hair(struct phi_face_canvas *canvas);
void phi_face_draw_glasses(const struct phi_face_canvas *canvas);

#endif
