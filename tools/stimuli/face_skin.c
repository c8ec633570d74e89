/* SPDX-License-Identifier: MIT
 *
 * Skin as a lit surface: the seen half of the head's ellipsoid, raised and hollowed by compact
 * bumps (nose, sockets, cheeks, lips, chin) that turn with the head. Normals come from differences
 * of the depth; light wraps around the edge as it does under skin, and shadows turn red. */
#include <math.h>

#include "tools/stimuli/face_private.h"

struct bump {
    double x, y, r_x, r_y, height;
};

#define MAX_BUMPS 32

struct bumps {
    struct bump list[MAX_BUMPS];
    size_t n;
};

static void add(struct bumps *bumps, struct bump bump)
{
    if (bumps->n < MAX_BUMPS)
        bumps->list[bumps->n++] = bump;
}

static void add_pair(struct bumps *bumps, struct bump bump)
{
    add(bumps, bump);
    bump.x = -bump.x;
    add(bumps, bump);
}

static void collect_nose(const struct phi_face_shape *s, struct bumps *bumps)
{
    double middle = 0.5 * (s->eye_y + s->nose_y);
    double w = s->nose_w;

    add(bumps, (struct bump){0, middle + 0.02, 0.085 + 0.2 * w, 0.27, 0.085});
    add(bumps, (struct bump){0, s->nose_y - 0.02, 0.065 + s->nose_tip, 0.10 + s->nose_tip,
                             0.075 + 0.5 * s->nose_tip});
    add_pair(bumps, (struct bump){0.75 * w, s->nose_y + 0.012, 0.075, 0.07, 0.038});
    add(bumps, (struct bump){0, s->nose_y + 0.09, 0.04, 0.07, -0.014}); /* philtrum */
}

static void collect_eyes(const struct phi_face_shape *s, struct bumps *bumps)
{
    add_pair(bumps, (struct bump){s->eye_x, s->eye_y - 0.02, 0.19, 0.13, -0.052});
    add_pair(bumps, (struct bump){s->eye_x, s->eye_y, 1.15 * s->eye_w, 1.7 * s->eye_h, 0.028});
    add_pair(bumps, (struct bump){s->eye_x, s->brow_y + 0.005, 0.23, 0.085, 0.026});
    add_pair(bumps, (struct bump){0.10, s->eye_y - 0.01, 0.06, 0.09, -0.022});
    add(bumps, (struct bump){0, s->brow_y - 0.22, 0.40, 0.22, 0.03}); /* forehead */
}

static void collect_lower_face(const struct phi_face_shape *s, struct bumps *bumps)
{
    double full = 0.5 + 0.5 * s->f[PHI_FACE_CHEEKS];
    double raised = 0.02 * fmax(0, s->smile);

    add_pair(bumps, (struct bump){0.29, s->eye_y + 0.245 - raised, 0.21, 0.18,
                                  0.026 + 0.03 * full + 1.1 * raised});
    add_pair(bumps, (struct bump){0.31, s->mouth_y - 0.02, 0.15, 0.22,
                                  -0.045 + 0.045 * full - 0.012 * s->age});
    add(bumps, (struct bump){0, s->mouth_y, 0.29, 0.19, 0.05});
    add(bumps,
        (struct bump){0, s->mouth_y + 1.9 * s->lip_h + s->opening + 0.035, 0.15, 0.055, -0.024});
    add(bumps, (struct bump){0, s->chin_y - 0.105, 0.16, 0.115, 0.042});
    add_pair(bumps,
             (struct bump){s->mouth_w + 0.025, s->mouth_y - 0.03 * s->smile, 0.05, 0.06, -0.014});
    add_pair(bumps, (struct bump){0.92 * s->temple_x, s->brow_y, 0.13, 0.20, -0.03});
}

static float height_at(const struct bumps *bumps, double x, double y)
{
    double sum = 0;

    for (size_t i = 0; i < bumps->n; i++) {
        const struct bump *bump = &bumps->list[i];
        double u = (x - bump->x) / bump->r_x;
        double v = (y - bump->y) / bump->r_y;
        double rest = 1 - u * u - v * v;

        if (rest > 0)
            sum += bump->height * rest * rest * (1.5 - 0.5 * rest);
    }
    return (float)sum;
}

static void fill_depth(const struct phi_face_shape *s, const struct bumps *bumps, size_t n,
                       float *depth /* [n][n] */)
{
    for (size_t row = 0; row < n; row++) {
        for (size_t col = 0; col < n; col++) {
            double x = (2.0 * (double)col + 1) / (double)n - 1;
            double y = (2.0 * (double)row + 1) / (double)n - 1;
            double u = x / s->ellipsoid_x;
            double v = (y - s->ellipsoid_mid_y) / s->ellipsoid_y;
            struct phi_face_point on = phi_face_unproject(s, x, y);
            double round = sqrt(fmax(0.02, 1 - u * u - v * v));

            depth[row * n + col] = (float)(0.50 * round) + height_at(bumps, on.x, on.y);
        }
    }
}

/* Where a beard grows, 0 .. 1, at a point of the head: below a line from the sideburns over the
 * cheeks to the nose, but not on the lips. */
static double beard_at(const struct phi_face_shape *s, double x, double y)
{
    double edge = 1.08 * s->mouth_w;
    double wide = fabs(x);
    double u = fmin(1, fmax(0, (wide - edge) / (s->cheek_x - edge)));
    double inside = wide / edge;
    double line = wide < edge
                      ? s->nose_y + 0.050 + 0.035 * inside * inside
                      : phi_face_lerp(s->nose_y + 0.085, -0.02, u * u) + 0.10 * sin(M_PI * u);
    double across = x / (1.04 * s->mouth_w);
    double down = (y - s->mouth_y - 0.3 * s->opening) / (1.30 * s->lip_h + 0.5 * s->opening);

    if (s->beard <= 0 || y < line - 0.03)
        return 0;
    return phi_face_step(-0.03, 0.06, y - line) *
           phi_face_step(0.75, 1.6, across * across + down * down);
}

/* A fixed noise in [0, 1) over the pixels: bristles. */
static double grain(size_t row, size_t col)
{
    uint32_t h = (uint32_t)(row * 73856093u) ^ (uint32_t)(col * 19349663u);

    h = (h ^ h >> 13) * 0x5bd1e995u;
    return (double)(h >> 8 & 0xffff) / 65536;
}

static unsigned to_byte(double value)
{
    return (unsigned)(255.0 * fmax(0, fmin(1, value)) + 0.5);
}

/* How the light falls on a surface of that slope. */
struct lit {
    double diffuse; /* 1 shows the skin's own colour */
    double gloss;
};

static struct lit light_on(const struct phi_face_shape *s, double slope_x, double slope_y)
{
    double length = sqrt(slope_x * slope_x + slope_y * slope_y + 1);
    double nx = -slope_x / length;
    double ny = -slope_y / length;
    double nz = 1 / length;
    double facing = nx * s->light[0] + ny * s->light[1] + nz * s->light[2];
    double wrapped = fmax(0, (facing + 0.30) / 1.30);
    /* half vector between light and viewer, to the 26th power */
    double half = fmax(0, facing + nz) / sqrt(2 + 2 * s->light[2]);
    double half2 = half * half;
    double half8 = half2 * half2 * half2 * half2;

    return (struct lit){s->ambient * (0.72 + 0.28 * nz) + s->key * wrapped,
                        0.16 * s->key * half8 * half8 * half8 * half2};
}

static struct phi_face_rgb skin_colour(const struct phi_face_shape *s, double light)
{
    struct phi_face_rgb straight;

    if (light >= 1)
        return phi_face_mix(s->skin, s->skin_light, fmin(1, (light - 1) * 2.1));
    /* between the smooth step and a straight line: deep tones, no banding */
    straight = phi_face_mix(s->skin_dark, s->skin, light);
    return phi_face_mix(straight,
                        phi_face_mix(s->skin_dark, s->skin, phi_face_step(0, 1.06, light)), 0.5);
}

static uint32_t shade(const struct phi_face_shape *s, struct lit lit, double beard, double noise)
{
    struct phi_face_rgb c = skin_colour(s, lit.diffuse);
    double gloss = lit.gloss * (1 - beard);

    if (beard > 0) {
        double tone = (0.35 + 0.65 * lit.diffuse) * (0.72 + 0.5 * noise);
        struct phi_face_rgb hair = {s->hair.r * tone, s->hair.g * tone, s->hair.b * tone};

        c = phi_face_mix(c, hair, beard * s->beard * (0.55 + 0.36 * s->beard));
    }
    return 0xff000000u | to_byte(c.r + gloss) << 16 | to_byte(c.g + gloss * 0.96) << 8 |
           to_byte(c.b + gloss * 0.88);
}

static uint32_t shade_pixel(const struct phi_face_shape *s, const float *height, size_t n,
                            const size_t at[2] /* row, column */)
{
    size_t row = at[0];
    size_t col = at[1];
    const float *above = height + (row > 0 ? row - 1 : row) * n;
    const float *below = height + (row + 1 < n ? row + 1 : row) * n;
    const float *here = height + row * n;
    double per_pixel = (double)n / 4; /* a central difference spans two pixels of 2/n */
    double slope_x = (double)(here[col + 1 < n ? col + 1 : col] - here[col > 0 ? col - 1 : col]);
    double slope_y = (double)(below[col] - above[col]);
    struct phi_face_point on = phi_face_unproject(s, (2.0 * (double)col + 1) / (double)n - 1,
                                                  (2.0 * (double)row + 1) / (double)n - 1);

    return shade(s, light_on(s, slope_x * per_pixel, slope_y * per_pixel), beard_at(s, on.x, on.y),
                 grain(row, col));
}

void phi_face_shade_skin(const struct phi_face_shape *shape, cairo_surface_t *surface,
                         float *height)
{
    size_t n = (size_t)cairo_image_surface_get_width(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    unsigned char *pixels = cairo_image_surface_get_data(surface);
    struct bumps bumps = {.n = 0};

    collect_nose(shape, &bumps);
    collect_eyes(shape, &bumps);
    collect_lower_face(shape, &bumps);
    cairo_surface_flush(surface);
    fill_depth(shape, &bumps, n, height);
    for (size_t row = 0; row < n; row++) {
        uint32_t *out = (uint32_t *)(void *)(pixels + row * stride);

        for (size_t col = 0; col < n; col++)
            out[col] = shade_pixel(shape, height, n, (const size_t[2]){row, col});
    }
    cairo_surface_mark_dirty(surface);
}
