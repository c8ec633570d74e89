/* SPDX-License-Identifier: MIT
 *
 * The picture is drawn at twice its size and averaged, which smooths what cairo's own coverage does
 * not: the shading of the skin and the many thin strands. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "tools/stimuli/face_private.h"

#define SUPERSAMPLE 2
#define BASE_ZOOM   1.10 /* head and hair fill the picture */
#define FINE_SKIN                                                                                  \
    128 /* skin is smooth: from this size on it is shaded at the picture's own size                \
         */

struct phi_face_painter {
    size_t size;
    size_t n_px; /* SUPERSAMPLE * size */
    cairo_surface_t *surface;
    cairo_surface_t *skin;
    float *height; /* scratch of the skin, at most [n_px][n_px] */
};

enum ph_status phi_face_painter_create(size_t size, struct phi_face_painter **ret_painter,
                                       struct ph_error *reterr)
{
    struct phi_face_painter *painter;
    size_t n_skin;

    if (size < 8 || size > PHI_FACE_MAX_SIZE)
        return phi_error(reterr, PH_E_INVAL, "faces are drawn 8 to %d pixels wide, not %zu",
                         PHI_FACE_MAX_SIZE, size);
    painter = phi_calloc(1, sizeof *painter);
    if (!painter)
        return phi_error_nomem(reterr, "a painter", sizeof *painter);
    painter->size = size;
    painter->n_px = SUPERSAMPLE * size;
    painter->surface =
        cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)painter->n_px, (int)painter->n_px);
    n_skin = size < FINE_SKIN ? painter->n_px : size;
    painter->skin = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)n_skin, (int)n_skin);
    painter->height = phi_calloc2(painter->n_px, painter->n_px, sizeof *painter->height);
    if (cairo_surface_status(painter->surface) != CAIRO_STATUS_SUCCESS ||
        cairo_surface_status(painter->skin) != CAIRO_STATUS_SUCCESS || !painter->height) {
        phi_face_painter_destroy(&painter);
        return phi_error_nomem(reterr, "a painter", 12 * 4 * size * size);
    }
    *ret_painter = painter;
    return PH_OK;
}

void phi_face_painter_destroy(struct phi_face_painter **painter)
{
    if (!painter || !*painter)
        return;
    cairo_surface_destroy((*painter)->surface);
    cairo_surface_destroy((*painter)->skin);
    phi_free((*painter)->height);
    phi_free(*painter);
    *painter = NULL;
}

static void draw_portrait(struct phi_face_canvas *canvas, const struct phi_face_view *view,
                          cairo_surface_t *skin)
{
    cairo_t *cr = canvas->cr;
    double zoom = BASE_ZOOM * (view->zoom > 0 ? view->zoom : 1);

    if (!view->no_background)
        phi_face_draw_background(canvas);
    cairo_translate(cr, view->shift_x, view->shift_y + 0.02);
    cairo_scale(cr, zoom, zoom);
    cairo_save(cr);
    cairo_translate(cr, 0, 0.45);
    cairo_rotate(cr, canvas->shape->roll);
    cairo_translate(cr, 0, -0.45);
    phi_face_draw_back_hair(canvas);
    cairo_restore(cr);
    if (!view->head_only)
        phi_face_draw_body(canvas);
    cairo_translate(cr, 0, 0.45);
    cairo_rotate(cr, canvas->shape->roll);
    cairo_translate(cr, 0, -0.45);
    phi_face_draw_head(canvas, skin);
    phi_face_draw_cheeks(canvas);
    phi_face_draw_nose(canvas);
    phi_face_draw_mouth(canvas);
    phi_face_draw_eyes(canvas);
    phi_face_draw_brows(canvas);
    phi_face_draw_front_hair(canvas);
    phi_face_draw_glasses(canvas);
}

static enum ph_status draw(struct phi_face_painter *painter,
                           const double factors[PHI_FACE_N_FACTORS],
                           const struct phi_face_view *view)
{
    static const struct phi_face_view straight;
    struct phi_face_shape shape;
    struct phi_face_canvas canvas = {.shape = &shape};
    double half = (double)painter->n_px / 2;
    cairo_status_t problem;

    phi_face_shape_init(&shape, factors);
    phi_face_shade_skin(&shape, painter->skin, painter->height);
    phi_rng_init(&canvas.rng, 7, 0);
    canvas.detail = fmin(1, fmax(0.4, (double)painter->n_px / 400));
    canvas.cr = cairo_create(painter->surface);
    cairo_set_operator(canvas.cr, CAIRO_OPERATOR_CLEAR);
    cairo_paint(canvas.cr);
    cairo_set_operator(canvas.cr, CAIRO_OPERATOR_OVER);
    cairo_scale(canvas.cr, half, half);
    cairo_translate(canvas.cr, 1, 1);
    draw_portrait(&canvas, view ? view : &straight, painter->skin);
    problem = cairo_status(canvas.cr);
    cairo_destroy(canvas.cr);
    cairo_surface_flush(painter->surface);
    return problem == CAIRO_STATUS_SUCCESS ? PH_OK : PH_E_NOMEM;
}

/* Sums the SUPERSAMPLE^2 premultiplied pixels under pixel (row, col): b, g, r, a. */
static void gather(const struct phi_face_painter *painter, size_t row, size_t col, unsigned sum[4])
{
    const unsigned char *pixels = cairo_image_surface_get_data(painter->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(painter->surface);

    memset(sum, 0, 4 * sizeof *sum);
    for (size_t y = 0; y < SUPERSAMPLE; y++) {
        const unsigned char *at = pixels + (row * SUPERSAMPLE + y) * stride + col * SUPERSAMPLE * 4;

        for (size_t i = 0; i < SUPERSAMPLE * (size_t)4; i++)
            sum[i % 4] += at[i];
    }
}

enum ph_status phi_face_paint(struct phi_face_painter *painter,
                              const double factors[PHI_FACE_N_FACTORS],
                              const struct phi_face_view *view, uint8_t *ret_rgb)
{
    const unsigned n = SUPERSAMPLE * SUPERSAMPLE;
    enum ph_status status = draw(painter, factors, view);
    unsigned sum[4];

    for (size_t i = 0; status >= 0 && i < painter->size * painter->size; i++) {
        gather(painter, i / painter->size, i % painter->size, sum);
        for (size_t c = 0; c < 3; c++)
            ret_rgb[i * 3 + c] = (uint8_t)((sum[2 - c] + n / 2) / n);
    }
    return status;
}

enum ph_status phi_face_paint_rgba(struct phi_face_painter *painter,
                                   const double factors[PHI_FACE_N_FACTORS],
                                   const struct phi_face_view *view, uint8_t *ret_rgba)
{
    const unsigned n = SUPERSAMPLE * SUPERSAMPLE;
    enum ph_status status = draw(painter, factors, view);
    unsigned sum[4];

    for (size_t i = 0; status >= 0 && i < painter->size * painter->size; i++) {
        gather(painter, i / painter->size, i % painter->size, sum);
        for (size_t c = 0; c < 3; c++)
            ret_rgba[i * 4 + c] = (uint8_t)(sum[3] ? (sum[2 - c] * 255 + sum[3] / 2) / sum[3] : 0);
        ret_rgba[i * 4 + 3] = (uint8_t)((sum[3] + n / 2) / n);
    }
    return status;
}

enum ph_status phi_face_draw(const double factors[PHI_FACE_N_FACTORS], size_t size,
                             uint8_t *ret_rgb, struct ph_error *reterr)
{
    struct phi_face_painter *painter;
    enum ph_status status = phi_face_painter_create(size, &painter, reterr);

    if (status < 0)
        return status;
    status = phi_face_paint(painter, factors, NULL, ret_rgb);
    phi_face_painter_destroy(&painter);
    return status < 0 ? phi_error(reterr, status, "a face could not be drawn") : PH_OK;
}
