/* SPDX-License-Identifier: MIT
 *
 * One or two people before a drifting wall: heads turn, nod and tilt, walk across, look, blink,
 * smile and speak, each by slow waves of its own. */
#include <math.h>
#include <string.h>

#include "tools/stimuli/film_private.h"

/* The factors that move, how far, and how often a second at most. */
static const struct {
    enum phi_face_factor factor;
    double size, hz;
} movements[] = {
    {PHI_FACE_YAW, 0.75, 0.30},          {PHI_FACE_PITCH, 0.45, 0.25},
    {PHI_FACE_ROLL, 0.5, 0.22},          {PHI_FACE_SMILE, 0.6, 0.25},
    {PHI_FACE_GAZE, 0.7, 0.4},           {PHI_FACE_BROW_HEIGHT, 0.6, 0.4},
    {PHI_FACE_MOUTH_OPENING, 0.75, 0.9},
};

struct wave {
    double size, hz, phase;
};

static struct wave draw_wave(struct phi_rng *rng, double size, double hz)
{
    return (struct wave){size * phi_film_between(rng, 0.4, 1), hz * phi_film_between(rng, 0.4, 1),
                         phi_film_between(rng, 0, 2 * M_PI)};
}

static double wave_at(const struct wave *wave, double time_s)
{
    return wave->size * sin(2 * M_PI * wave->hz * time_s + wave->phase);
}

/* Lids close for a fifth of a second every few seconds. */
static double blink_at(double period_s, double time_s)
{
    double since = fmod(time_s, period_s) - 0.5 * period_s;

    return exp(-pow(since / 0.08, 2));
}

static void animate(struct phi_rng *rng, double time_s, double *factors, struct phi_face_view *view)
{
    struct wave across = draw_wave(rng, 0.45, 0.22);
    struct wave up = draw_wave(rng, 0.10, 0.35);
    struct wave near = draw_wave(rng, 0.16, 0.15);
    double period_s = phi_film_between(rng, 2, 5);

    for (size_t i = 0; i < sizeof movements / sizeof *movements; i++) {
        struct wave wave = draw_wave(rng, movements[i].size, movements[i].hz);

        factors[movements[i].factor] = 0.5 * factors[movements[i].factor] + wave_at(&wave, time_s);
    }
    factors[PHI_FACE_EYE_OPENING] -= 2 * blink_at(period_s, time_s);
    view->shift_x += wave_at(&across, time_s);
    view->shift_y += wave_at(&up, time_s);
    view->zoom *= 1 + wave_at(&near, time_s);
}

/* Straight alpha to cairo's premultiplied words. */
static void upload(struct phi_film_painter *painter)
{
    unsigned char *pixels = cairo_image_surface_get_data(painter->face_surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(painter->face_surface);
    size_t side = painter->face_side;

    cairo_surface_flush(painter->face_surface);
    for (size_t y = 0; y < side; y++) {
        uint32_t *row = (uint32_t *)(void *)(pixels + y * stride);

        for (size_t x = 0; x < side; x++) {
            const uint8_t *p = painter->face_rgba + (y * side + x) * 4;
            uint32_t a = p[3];

            row[x] = a << 24 | (p[0] * a + 127) / 255 << 16 | (p[1] * a + 127) / 255 << 8 |
                     (p[2] * a + 127) / 255;
        }
    }
    cairo_surface_mark_dirty(painter->face_surface);
}

static enum ph_status draw_person(struct phi_film_painter *painter, cairo_t *cr,
                                  const struct phi_film_clip *clip, size_t person, double time_s)
{
    double factors[PHI_FACE_N_FACTORS];
    struct phi_face_view view = {.zoom = 1, .no_background = true};
    struct phi_rng rng;
    enum ph_status status;

    phi_rng_init(&rng, clip->seed ^ 0x70656f706c65u, 2 * clip->index + person);
    phi_face_sample(clip->seed + 1, 2 * clip->index + person, factors);
    view.zoom = phi_film_between(&rng, 0.65, 0.95);
    view.shift_x = phi_film_between(&rng, -0.2, 0.2);
    view.shift_y = 0.55 * (1 - view.zoom);
    animate(&rng, time_s, factors, &view);
    /* the painter's square covers the longer side of the frame */
    view.zoom /= fmax(painter->half_x, painter->half_y);
    view.shift_x /= fmax(painter->half_x, painter->half_y);
    view.shift_y /= fmax(painter->half_x, painter->half_y);
    status = phi_face_paint_rgba(painter->face, factors, &view, painter->face_rgba);
    if (status < 0)
        return status;
    upload(painter);
    cairo_save(cr);
    cairo_identity_matrix(cr);
    cairo_set_source_surface(cr, painter->face_surface,
                             ((double)painter->width - (double)painter->face_side) / 2,
                             ((double)painter->height - (double)painter->face_side) / 2);
    cairo_paint(cr);
    cairo_restore(cr);
    return PH_OK;
}

enum ph_status phi_film_draw_faces(struct phi_film_painter *painter, cairo_t *cr,
                                   const struct phi_film_clip *clip, double time_s)
{
    struct phi_rng rng;
    size_t n;
    enum ph_status status = PH_OK;

    phi_rng_init(&rng, clip->seed ^ 0x6661636573u, clip->index);
    n = 1 + phi_rng_below(&rng, 3) / 2;
    cairo_save(cr);
    cairo_translate(cr, phi_film_between(&rng, -0.2, 0.2) * time_s, 0);
    phi_film_texture(painter, cr, &rng, phi_film_between(&rng, 1.2, 2.4));
    cairo_paint(cr);
    cairo_restore(cr);
    cairo_set_source_rgba(cr, 0.55, 0.55, 0.55, 0.45); /* the wall is out of focus */
    cairo_paint(cr);
    for (size_t i = 0; status >= 0 && i < n; i++)
        status = draw_person(painter, cr, clip, i, time_s);
    return status;
}
