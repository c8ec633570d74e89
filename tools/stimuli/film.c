/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "tools/stimuli/film_private.h"

typedef enum ph_status draw_fn(struct phi_film_painter *painter, cairo_t *cr,
                               const struct phi_film_clip *clip, double time_s);

static const struct {
    const char *name;
    draw_fn *draw;
} kinds[PHI_FILM_N_KINDS] = {
    [PHI_FILM_FACES] = {"faces", phi_film_draw_faces},
    [PHI_FILM_SHAPES] = {"shapes", phi_film_draw_shapes},
    [PHI_FILM_SCENES] = {"scenes", phi_film_draw_scenes},
};

const char *phi_film_kind_name(enum phi_film_kind kind)
{
    return (unsigned)kind < PHI_FILM_N_KINDS ? kinds[kind].name : NULL;
}

static enum ph_status allocate(struct phi_film_painter *painter, struct ph_error *reterr)
{
    size_t side = painter->face_side;
    enum ph_status status = phi_face_painter_create(side, &painter->face, reterr);

    if (status < 0)
        return status;
    painter->frame =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)painter->width, (int)painter->height);
    painter->texture =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, PHI_FILM_TEXTURE, PHI_FILM_TEXTURE);
    painter->face_surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)side, (int)side);
    painter->face_rgba = phi_calloc2(side, side, 4);
    if (!painter->face_rgba || cairo_surface_status(painter->frame) != CAIRO_STATUS_SUCCESS ||
        cairo_surface_status(painter->texture) != CAIRO_STATUS_SUCCESS ||
        cairo_surface_status(painter->face_surface) != CAIRO_STATUS_SUCCESS)
        return phi_error_nomem(reterr, "a film painter", side * side * 8);
    return PH_OK;
}

enum ph_status phi_film_painter_create(size_t width, size_t height,
                                       struct phi_film_painter **ret_painter,
                                       struct ph_error *reterr)
{
    struct phi_film_painter *painter;
    size_t shorter = width < height ? width : height;
    enum ph_status status;

    if (width % 8 || height % 8 || shorter < 16 || width > PHI_FILM_MAX_SIDE ||
        height > PHI_FILM_MAX_SIDE)
        return phi_error(reterr, PH_E_INVAL,
                         "frames must be multiples of 8 from 16 to %d pixels a side, not %zu x %zu",
                         PHI_FILM_MAX_SIDE, width, height);
    painter = phi_calloc(1, sizeof *painter);
    if (!painter)
        return phi_error_nomem(reterr, "a film painter", sizeof *painter);
    painter->width = width;
    painter->height = height;
    painter->half_x = (double)width / (double)shorter;
    painter->half_y = (double)height / (double)shorter;
    painter->face_side = width > height ? width : height;
    status = allocate(painter, reterr);
    if (status < 0)
        phi_film_painter_destroy(&painter);
    else
        *ret_painter = painter;
    return status;
}

void phi_film_painter_destroy(struct phi_film_painter **painter)
{
    if (!painter || !*painter)
        return;
    phi_face_painter_destroy(&(*painter)->face);
    cairo_surface_destroy((*painter)->frame);
    cairo_surface_destroy((*painter)->texture);
    cairo_surface_destroy((*painter)->face_surface);
    phi_free((*painter)->face_rgba);
    phi_free(*painter);
    *painter = NULL;
}

double phi_film_between(struct phi_rng *rng, double low, double high)
{
    return low + (high - low) * phi_rng_uniform(rng);
}

struct phi_film_rgb phi_film_colour(struct phi_rng *rng, double saturation, double value)
{
    double hue = 6 * phi_rng_uniform(rng);
    double c[3];

    for (int i = 0; i < 3; i++) {
        double k = fmod((i == 0 ? 5.0 : i == 1 ? 3.0 : 1.0) + hue, 6.0);

        c[i] = value * (1 - saturation * fmax(0, fmin(fmin(k, 4 - k), 1)));
    }
    return (struct phi_film_rgb){c[0], c[1], c[2]};
}

/* 0 .. 1 over the tile, seamless; four styles. */
static double pattern_at(int style, const double *wave, double x, double y)
{
    switch (style) {
    case 0: /* stripes */
        return 0.5 + 0.5 * tanh(4 * sin(2 * M_PI * (wave[0] * x + wave[1] * y)));
    case 1: /* checks */
        return 0.5 + 0.5 * tanh(8 * sin(2 * M_PI * wave[0] * x) * sin(2 * M_PI * wave[0] * y));
    case 2: /* dots */
        return 0.5 +
               0.5 * tanh(4 * (cos(2 * M_PI * wave[0] * x) + cos(2 * M_PI * wave[0] * y) - 0.7));
    default: /* clouds */
        return 0.5 + 0.2 * sin(2 * M_PI * (wave[0] * x + y) + wave[2]) +
               0.2 * sin(2 * M_PI * (wave[1] * y - x) + wave[3]) +
               0.1 * sin(2 * M_PI * (3 * x + 2 * y) + wave[2] * wave[3]);
    }
}

static uint32_t pack(struct phi_film_rgb a, struct phi_film_rgb b, double t)
{
    double r = 255 * (a.r + (b.r - a.r) * t);
    double g = 255 * (a.g + (b.g - a.g) * t);
    double blue = 255 * (a.b + (b.b - a.b) * t);

    return (uint32_t)(r + 0.5) << 16 | (uint32_t)(g + 0.5) << 8 | (uint32_t)(blue + 0.5);
}

void phi_film_texture(struct phi_film_painter *painter, cairo_t *cr, struct phi_rng *rng,
                      double scale)
{
    struct phi_film_rgb a =
        phi_film_colour(rng, phi_film_between(rng, 0.2, 0.8), phi_film_between(rng, 0.35, 1.0));
    struct phi_film_rgb b =
        phi_film_colour(rng, phi_film_between(rng, 0.2, 0.8), phi_film_between(rng, 0.15, 0.8));
    int style = (int)phi_rng_below(rng, 4);
    const double wave[4] = {1 + (double)phi_rng_below(rng, 3), (double)phi_rng_below(rng, 4),
                            phi_film_between(rng, 0, 6), phi_film_between(rng, 0, 6)};
    unsigned char *pixels = cairo_image_surface_get_data(painter->texture);
    size_t stride = (size_t)cairo_image_surface_get_stride(painter->texture);
    cairo_matrix_t matrix;

    cairo_surface_flush(painter->texture);
    for (size_t y = 0; y < PHI_FILM_TEXTURE; y++) {
        uint32_t *row = (uint32_t *)(void *)(pixels + y * stride);

        for (size_t x = 0; x < PHI_FILM_TEXTURE; x++)
            row[x] = pack(a, b,
                          pattern_at(style, wave, (double)x / PHI_FILM_TEXTURE,
                                     (double)y / PHI_FILM_TEXTURE));
    }
    cairo_surface_mark_dirty(painter->texture);
    cairo_set_source_surface(cr, painter->texture, 0, 0);
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_REPEAT);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_BILINEAR);
    cairo_matrix_init_scale(&matrix, PHI_FILM_TEXTURE / scale, PHI_FILM_TEXTURE / scale);
    cairo_pattern_set_matrix(cairo_get_source(cr), &matrix);
}

static void copy_frame(const struct phi_film_painter *painter, uint8_t *rgb)
{
    const unsigned char *pixels = cairo_image_surface_get_data(painter->frame);
    size_t stride = (size_t)cairo_image_surface_get_stride(painter->frame);

    for (size_t i = 0; i < painter->width * painter->height; i++) {
        const unsigned char *p = pixels + i / painter->width * stride + i % painter->width * 4;

        rgb[i * 3] = p[2];
        rgb[i * 3 + 1] = p[1];
        rgb[i * 3 + 2] = p[0];
    }
}

enum ph_status phi_film_paint(struct phi_film_painter *painter, const struct phi_film_clip *clip,
                              double time_s, uint8_t *ret_rgb)
{
    cairo_t *cr;
    enum ph_status status;

    if ((unsigned)clip->kind >= PHI_FILM_N_KINDS || !(time_s >= 0 && time_s < 1e6))
        return PH_E_INVAL;
    cr = cairo_create(painter->frame);
    cairo_scale(cr, (double)painter->width / 2 / painter->half_x,
                (double)painter->height / 2 / painter->half_y);
    cairo_translate(cr, painter->half_x, painter->half_y);
    status = kinds[clip->kind].draw(painter, cr, clip, time_s);
    if (status >= 0 && cairo_status(cr) != CAIRO_STATUS_SUCCESS)
        status = PH_E_NOMEM;
    cairo_destroy(cr);
    cairo_surface_flush(painter->frame);
    if (status >= 0)
        copy_frame(painter, ret_rgb);
    return status;
}
