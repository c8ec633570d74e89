/* SPDX-License-Identifier: MIT
 *
 * From factors to lengths and colours. The numbers are a draughtsman's, found by looking. */
#include <math.h>
#include <string.h>

#include "tools/stimuli/face_private.h"

double phi_face_lerp(double a, double b, double t)
{
    return a + (b - a) * t;
}

struct phi_face_rgb phi_face_mix(struct phi_face_rgb a, struct phi_face_rgb b, double t)
{
    return (struct phi_face_rgb){phi_face_lerp(a.r, b.r, t), phi_face_lerp(a.g, b.g, t),
                                 phi_face_lerp(a.b, b.b, t)};
}

double phi_face_step(double low, double high, double value)
{
    double t = fmax(0, fmin(1, (value - low) / (high - low)));

    return t * t * (3 - 2 * t);
}

/* Along ramp[n], `t` in [-1, 1]. */
static struct phi_face_rgb along(const struct phi_face_rgb *ramp, size_t n, double t)
{
    double at = (t + 1) / 2 * (double)(n - 1);
    size_t i = (size_t)fmin(floor(at), (double)(n - 2));

    return phi_face_mix(ramp[i], ramp[i + 1], at - (double)i);
}

static struct phi_face_rgb scale(struct phi_face_rgb colour, double r, double g, double b)
{
    return (struct phi_face_rgb){fmin(1, colour.r * r), fmin(1, colour.g * g),
                                 fmin(1, colour.b * b)};
}

static void set_outline(struct phi_face_shape *s)
{
    const double *f = s->f;
    double width = 1 + 0.11 * f[PHI_FACE_HEAD_WIDTH];
    double full = 0.018 * f[PHI_FACE_CHEEKS];

    s->top_y = -0.66 - 0.04 * f[PHI_FACE_HEAD_LENGTH];
    s->chin_y = 0.64 + 0.05 * f[PHI_FACE_HEAD_LENGTH] + 0.045 * f[PHI_FACE_CHIN_LENGTH];
    s->temple_x = 0.475 * width;
    s->cheek_x = (0.495 + full) * width;
    s->jaw_x = (0.395 + 0.05 * f[PHI_FACE_JAW_WIDTH] + 1.4 * full) * width;
    s->jaw_y = 0.36 + 0.03 * f[PHI_FACE_JAW_WIDTH] + 0.03 * f[PHI_FACE_HEAD_LENGTH];
    s->chin_x = (0.175 + 0.05 * f[PHI_FACE_JAW_WIDTH]) * width;
    s->ellipsoid_x = 1.13 * s->cheek_x;
    s->ellipsoid_mid_y = 0.5 * (s->top_y + s->chin_y);
    s->ellipsoid_y = 0.5 * (s->chin_y - s->top_y) * 1.13;
}

static void set_features(struct phi_face_shape *s)
{
    const double *f = s->f;
    double middle = 0.02 - 0.03 * f[PHI_FACE_EYE_HEIGHT];

    s->eye_x = 0.213 + 0.024 * f[PHI_FACE_EYE_DISTANCE] + 0.012 * f[PHI_FACE_HEAD_WIDTH];
    s->eye_y = middle - 0.06;
    s->eye_w = 0.108 + 0.018 * f[PHI_FACE_EYE_SIZE];
    s->eye_h = (0.052 + 0.010 * f[PHI_FACE_EYE_SIZE]) * (1 + 0.3 * f[PHI_FACE_EYE_OPENING]) *
               (1 - 0.14 * fmax(0, f[PHI_FACE_SMILE]));
    s->eye_tilt = 0.16 * f[PHI_FACE_EYE_TILT];
    s->brow_y = s->eye_y - 0.145 - 0.028 * f[PHI_FACE_BROW_HEIGHT];
    s->brow_h = 0.024 + 0.013 * f[PHI_FACE_BROW_THICKNESS];
    s->brow_angle = 0.17 * f[PHI_FACE_BROW_ANGLE];
    s->nose_y = s->eye_y + 0.285 + 0.04 * f[PHI_FACE_NOSE_LENGTH];
    s->nose_w = 0.088 + 0.024 * f[PHI_FACE_NOSE_WIDTH];
    s->nose_tip = 0.055 + 0.034 * f[PHI_FACE_NOSE_TIP];
    s->mouth_y = phi_face_lerp(s->nose_y, s->chin_y, 0.40 - 0.055 * f[PHI_FACE_MOUTH_HEIGHT]);
    s->mouth_w = 0.172 + 0.03 * f[PHI_FACE_MOUTH_WIDTH] + 0.028 * fmax(0, f[PHI_FACE_SMILE]);
    s->lip_h = 0.038 + 0.015 * f[PHI_FACE_LIP_FULLNESS];
    s->smile = 0.12 + 0.88 * f[PHI_FACE_SMILE];
    s->opening = 0.085 * phi_face_step(-0.15, 1.0, f[PHI_FACE_MOUTH_OPENING]);
}

static void set_hair(struct phi_face_shape *s)
{
    const double *f = s->f;
    double curl = fmax(0, f[PHI_FACE_HAIR_WAVE]);

    s->age = 0.5 + 0.5 * f[PHI_FACE_AGE];
    s->beard = phi_face_step(-0.35, 0.75, f[PHI_FACE_BEARD]);
    s->glasses = phi_face_step(0.0, 0.4, f[PHI_FACE_GLASSES]);
    s->hair_out = 0.100 + 0.055 * f[PHI_FACE_HAIR_VOLUME] + 0.075 * curl * curl +
                  0.015 * f[PHI_FACE_HAIR_LENGTH];
    s->hair_end_y = phi_face_lerp(-0.16, 1.02, phi_face_step(-0.75, 0.95, f[PHI_FACE_HAIR_LENGTH]));
    s->hair_wave = phi_face_step(-0.6, 1.0, f[PHI_FACE_HAIR_WAVE]);
    s->hairline_y = phi_face_lerp(-0.53, -0.26, 0.5 + 0.5 * f[PHI_FACE_HAIR_FRINGE]) -
                    0.05 * phi_face_step(0.2, 1, f[PHI_FACE_AGE]);
    s->parting_x = 0.24 * f[PHI_FACE_HAIR_PARTING];
}

static void set_pose_and_light(struct phi_face_shape *s)
{
    const double *f = s->f;
    double yaw = 0.42 * f[PHI_FACE_YAW];
    double pitch = 0.26 * f[PHI_FACE_PITCH];
    double side = 0.95 * f[PHI_FACE_LIGHT_SIDE];
    double up = 0.25 + 0.6 * f[PHI_FACE_LIGHT_HEIGHT];
    double contrast = 0.5 + 0.5 * f[PHI_FACE_LIGHT_CONTRAST];
    double x, y, z;

    s->sin_yaw = sin(yaw);
    s->cos_yaw = cos(yaw);
    s->sin_pitch = sin(pitch);
    s->cos_pitch = cos(pitch);
    s->roll = 0.22 * f[PHI_FACE_ROLL];
    x = sin(side) * cos(up);
    y = -sin(up);
    z = cos(side) * cos(up);
    s->light[0] = x * cos(s->roll) + y * sin(s->roll);
    s->light[1] = y * cos(s->roll) - x * sin(s->roll);
    s->light[2] = z;
    s->ambient = phi_face_lerp(0.62, 0.30, contrast);
    s->key = phi_face_lerp(0.52, 0.86, contrast);
}

static void set_skin(struct phi_face_shape *s)
{
    static const struct phi_face_rgb ramp[] = {{0.29, 0.185, 0.135},
                                               {0.46, 0.305, 0.22},
                                               {0.66, 0.465, 0.345},
                                               {0.83, 0.64, 0.51},
                                               {0.93, 0.78, 0.68}};
    static const struct phi_face_rgb pale = {0.78, 0.50, 0.46};
    static const struct phi_face_rgb red = {0.72, 0.16, 0.20};
    const double *f = s->f;
    double warm = f[PHI_FACE_SKIN_WARMTH];
    double lipstick = phi_face_step(0.0, 0.9, f[PHI_FACE_LIP_COLOUR]);

    s->skin = scale(along(ramp, 5, f[PHI_FACE_SKIN_LIGHTNESS]), 1 + 0.035 * warm, 1 - 0.025 * warm,
                    1 - 0.02 * warm);
    s->skin_dark = scale(s->skin, 0.50, 0.37, 0.34);
    s->skin_light = phi_face_mix(s->skin, (struct phi_face_rgb){1, 0.97, 0.92}, 0.42);
    s->lip =
        phi_face_mix(scale(s->skin, 0.92, 0.66, 0.66), pale, 0.35 + 0.25 * f[PHI_FACE_LIP_COLOUR]);
    s->lip = phi_face_mix(s->lip, phi_face_mix(red, s->skin, 0.15), 0.85 * lipstick);
}

static void set_hair_colour(struct phi_face_shape *s)
{
    static const struct phi_face_rgb ramp[] = {{0.075, 0.065, 0.07},
                                               {0.17, 0.11, 0.085},
                                               {0.31, 0.20, 0.13},
                                               {0.57, 0.41, 0.25},
                                               {0.85, 0.71, 0.48}};
    static const struct phi_face_rgb red = {0.56, 0.20, 0.08};
    static const struct phi_face_rgb grey = {0.70, 0.70, 0.71};
    const double *f = s->f;
    double redness = 0.75 * phi_face_step(0.05, 1.0, f[PHI_FACE_HAIR_REDNESS]);
    double greyness = 0.85 * phi_face_step(0.35, 0.95, f[PHI_FACE_AGE]);
    struct phi_face_rgb hair = along(ramp, 5, f[PHI_FACE_HAIR_LIGHTNESS]);

    hair = phi_face_mix(hair, phi_face_mix(red, hair, 0.35), redness);
    s->hair = phi_face_mix(hair, grey, greyness);
    s->hair_light = phi_face_mix(s->hair, (struct phi_face_rgb){1, 0.93, 0.80}, 0.26);
    s->brow = phi_face_mix(scale(s->hair, 0.72, 0.70, 0.70), scale(s->skin, 0.5, 0.38, 0.3), 0.3);
}

/* Hue in [0, 1), plain sector formula. */
static struct phi_face_rgb from_hue(double hue, double saturation, double value)
{
    double c[3];

    for (int i = 0; i < 3; i++) {
        double k = fmod((i == 0 ? 5.0 : i == 1 ? 3.0 : 1.0) + hue * 6.0, 6.0);

        c[i] = value - value * saturation * fmax(0, fmin(fmin(k, 4 - k), 1));
    }
    return (struct phi_face_rgb){c[0], c[1], c[2]};
}

static void set_other_colours(struct phi_face_shape *s)
{
    static const struct phi_face_rgb iris[] = {{0.20, 0.11, 0.06},
                                               {0.36, 0.21, 0.10},
                                               {0.42, 0.38, 0.18},
                                               {0.36, 0.48, 0.42},
                                               {0.32, 0.50, 0.70}};
    static const struct phi_face_rgb walls[] = {{0.80, 0.58, 0.48},
                                                {0.78, 0.70, 0.58},
                                                {0.70, 0.71, 0.70},
                                                {0.55, 0.69, 0.76},
                                                {0.52, 0.57, 0.80}};
    const double *f = s->f;
    double light = 0.5 + 0.5 * f[PHI_FACE_BACKGROUND_LIGHTNESS];
    struct phi_face_rgb wall = along(walls, 5, f[PHI_FACE_BACKGROUND_HUE]);
    double level = phi_face_lerp(0.34, 1.12, light);

    s->iris = along(iris, 5, f[PHI_FACE_IRIS_COLOUR]);
    s->wall = scale(wall, level, level, level);
    s->wall_edge = scale(s->wall, 0.62, 0.62, 0.66);
    s->cloth = from_hue(0.5 + 0.42 * f[PHI_FACE_CLOTHES_HUE], 0.48,
                        phi_face_lerp(0.16, 0.78, 0.5 + 0.5 * f[PHI_FACE_CLOTHES_LIGHTNESS]));
}

void phi_face_shape_init(struct phi_face_shape *shape, const double factors[PHI_FACE_N_FACTORS])
{
    memset(shape, 0, sizeof *shape);
    for (int i = 0; i < PHI_FACE_N_FACTORS; i++)
        shape->f[i] = isnan(factors[i]) ? 0 : fmax(-1, fmin(1, factors[i]));
    set_outline(shape);
    set_features(shape);
    set_hair(shape);
    set_pose_and_light(shape);
    set_skin(shape);
    set_hair_colour(shape);
    set_other_colours(shape);
}

struct phi_face_point phi_face_project(const struct phi_face_shape *s, double x, double y,
                                       double lift)
{
    double u = x / s->ellipsoid_x;
    double v = (y - s->ellipsoid_mid_y) / s->ellipsoid_y;
    double w = sqrt(fmax(0, 1 - u * u - v * v));
    double across = u * s->cos_yaw + w * s->sin_yaw;
    double deep = w * s->cos_yaw - u * s->sin_yaw;
    double down = v * s->cos_pitch - deep * s->sin_pitch;

    return (struct phi_face_point){across * (1 + lift) * s->ellipsoid_x,
                                   down * (1 + lift) * s->ellipsoid_y + s->ellipsoid_mid_y};
}

struct phi_face_point phi_face_unproject(const struct phi_face_shape *s, double x, double y)
{
    double across = x / s->ellipsoid_x;
    double down = (y - s->ellipsoid_mid_y) / s->ellipsoid_y;
    double near = sqrt(fmax(0, 1 - across * across - down * down));
    double v = down * s->cos_pitch + near * s->sin_pitch;
    double deep = near * s->cos_pitch - down * s->sin_pitch;

    return (struct phi_face_point){(across * s->cos_yaw - deep * s->sin_yaw) * s->ellipsoid_x,
                                   v * s->ellipsoid_y + s->ellipsoid_mid_y};
}

/* The silhouette of a turned head hardly changes in width; what moves is the chin, which stands
 * forward of the axis. */
void phi_face_outline(const struct phi_face_shape *s,
                      struct phi_face_point ret_points[PHI_FACE_N_OUTLINE])
{
    const struct phi_face_point right[13] = {
        {0, s->top_y},
        {0.24 * s->temple_x / 0.475, s->top_y + 0.035},
        {0.78 * s->temple_x, s->top_y + 0.15},
        {0.97 * s->temple_x, s->top_y + 0.31},
        {1.005 * s->temple_x, -0.18},
        {1.01 * s->cheek_x, -0.02},
        {s->cheek_x, 0.10},
        {phi_face_lerp(s->cheek_x, s->jaw_x, 0.42), 0.24},
        {s->jaw_x, s->jaw_y},
        {phi_face_lerp(s->jaw_x, s->chin_x, 0.48), phi_face_lerp(s->jaw_y, s->chin_y, 0.52)},
        {s->chin_x, s->chin_y - 0.055},
        {0.5 * s->chin_x, s->chin_y - 0.01},
        {0, s->chin_y},
    };

    for (size_t i = 0; i < PHI_FACE_N_OUTLINE; i++) {
        size_t k = i <= 12 ? i : 24 - i;
        double forward = phi_face_step(0.1, 0.7, right[k].y);

        ret_points[i].x = (i <= 12 ? right[k].x : -right[k].x) + 0.16 * forward * s->sin_yaw;
        ret_points[i].y = right[k].y - 0.10 * forward * s->sin_pitch;
    }
}
