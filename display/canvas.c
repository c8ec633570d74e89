/* SPDX-License-Identifier: MIT
 *
 * Plain loops over memory: SDL's renderer takes 5 to 8 times as long to clear and scale in
 * software, and its textures go through a software OpenGL (docs/measurements.md).
 */
#include "display/canvas.h"

#include <math.h>

#include "base/mem.h"

#define MAX_SIDE 16384

enum ph_status phi_canvas_create(int width, int height, struct phi_canvas **ret_canvas)
{
    struct phi_canvas *canvas;

    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return PH_E_INVAL;
    canvas = phi_calloc(1, sizeof *canvas);
    if (!canvas)
        return PH_E_NOMEM;
    *canvas = phi_canvas_over(phi_calloc2((size_t)width, (size_t)height, sizeof(uint32_t)), width,
                              height, (size_t)width);
    if (!canvas->pixels) {
        phi_free(canvas);
        return PH_E_NOMEM;
    }
    *ret_canvas = canvas;
    return PH_OK;
}

void phi_canvas_destroy(struct phi_canvas **canvas)
{
    if (!canvas || !*canvas)
        return;
    phi_free((*canvas)->pixels);
    phi_free(*canvas);
    *canvas = NULL;
}

struct phi_canvas phi_canvas_over(uint32_t *pixels, int width, int height, size_t stride)
{
    return (struct phi_canvas){width, height, stride, pixels, {0, 0, width, height}};
}

struct phi_rect phi_rect_and(struct phi_rect a, struct phi_rect b)
{
    int left = a.x > b.x ? a.x : b.x;
    int top = a.y > b.y ? a.y : b.y;
    int right = a.x + a.w < b.x + b.w ? a.x + a.w : b.x + b.w;
    int bottom = a.y + a.h < b.y + b.h ? a.y + a.h : b.y + b.h;

    if (right <= left || bottom <= top)
        return (struct phi_rect){left, top, 0, 0};
    return (struct phi_rect){left, top, right - left, bottom - top};
}

struct phi_rect phi_rect_inset(struct phi_rect rect, int n)
{
    struct phi_rect inner = {rect.x + n, rect.y + n, rect.w - 2 * n, rect.h - 2 * n};

    if (inner.w < 0)
        inner.w = 0;
    if (inner.h < 0)
        inner.h = 0;
    return inner;
}

struct phi_rect phi_rect_fit(struct phi_rect rect, int width, int height)
{
    struct phi_rect fit = rect;

    if (width < 1 || height < 1)
        return rect;
    if ((long)rect.w * height > (long)rect.h * width)
        fit.w = (int)((long)rect.h * width / height);
    else
        fit.h = (int)((long)rect.w * height / width);
    fit.x += (rect.w - fit.w) / 2;
    fit.y += (rect.h - fit.h) / 2;
    return fit;
}

struct phi_rect phi_canvas_set_clip(struct phi_canvas *canvas, struct phi_rect rect)
{
    struct phi_rect old = canvas->clip;

    canvas->clip = phi_rect_and(rect, (struct phi_rect){0, 0, canvas->width, canvas->height});
    return old;
}

static uint32_t *pixel_at(const struct phi_canvas *canvas, int x, int y)
{
    return canvas->pixels + (size_t)y * canvas->stride + (size_t)x;
}

void phi_canvas_fill(struct phi_canvas *canvas, struct phi_rect rect, uint32_t colour)
{
    struct phi_rect r = phi_rect_and(rect, canvas->clip);

    for (int y = r.y; y < r.y + r.h; y++) {
        uint32_t *row = pixel_at(canvas, r.x, y);

        for (int x = 0; x < r.w; x++)
            row[x] = colour;
    }
}

void phi_canvas_outline(struct phi_canvas *canvas, struct phi_rect r, uint32_t colour)
{
    phi_canvas_fill(canvas, (struct phi_rect){r.x, r.y, r.w, 1}, colour);
    phi_canvas_fill(canvas, (struct phi_rect){r.x, r.y + r.h - 1, r.w, 1}, colour);
    phi_canvas_fill(canvas, (struct phi_rect){r.x, r.y, 1, r.h}, colour);
    phi_canvas_fill(canvas, (struct phi_rect){r.x + r.w - 1, r.y, 1, r.h}, colour);
}

static uint32_t mix_channel(uint32_t below, uint32_t above, unsigned alpha, int shift)
{
    uint32_t b = below >> shift & 255;
    uint32_t a = above >> shift & 255;

    return ((b * (255 - alpha) + a * alpha + 127) / 255) << shift;
}

void phi_canvas_blend(struct phi_canvas *canvas, int x, int y, uint32_t colour, unsigned alpha)
{
    const struct phi_rect *clip = &canvas->clip;
    uint32_t *pixel;

    if (x < clip->x || y < clip->y || x >= clip->x + clip->w || y >= clip->y + clip->h)
        return;
    pixel = pixel_at(canvas, x, y);
    *pixel = mix_channel(*pixel, colour, alpha, 16) | mix_channel(*pixel, colour, alpha, 8) |
             mix_channel(*pixel, colour, alpha, 0);
}

static void blend_across(struct phi_canvas *canvas, int steep, int along, double across,
                         uint32_t colour)
{
    int near = (int)floor(across);
    unsigned far_weight = (unsigned)((across - near) * 255.0 + 0.5);

    if (steep) {
        phi_canvas_blend(canvas, near, along, colour, 255 - far_weight);
        phi_canvas_blend(canvas, near + 1, along, colour, far_weight);
    } else {
        phi_canvas_blend(canvas, along, near, colour, 255 - far_weight);
        phi_canvas_blend(canvas, along, near + 1, colour, far_weight);
    }
}

static void swap(double *a, double *b)
{
    double t = *a;

    *a = *b;
    *b = t;
}

void phi_canvas_line(struct phi_canvas *canvas, double x0, double y0, double x1, double y1,
                     uint32_t colour)
{
    int steep = fabs(y1 - y0) > fabs(x1 - x0);
    double slope;

    /* A plot may ask for points far outside: beyond this the clip hides them anyway, and the loop
     * below stays short. NaN fails the comparison too. */
    if (!(fabs(x0) < 4 * MAX_SIDE && fabs(y0) < 4 * MAX_SIDE && fabs(x1) < 4 * MAX_SIDE &&
          fabs(y1) < 4 * MAX_SIDE))
        return;
    if (steep) {
        swap(&x0, &y0);
        swap(&x1, &y1);
    }
    if (x0 > x1) {
        swap(&x0, &x1);
        swap(&y0, &y1);
    }
    slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
    for (int x = (int)lround(x0); x <= (int)lround(x1); x++)
        blend_across(canvas, steep, x, y0 + slope * (x - x0), colour);
}

void phi_canvas_rgb(struct phi_canvas *canvas, struct phi_rect rect, const uint8_t *rgb, int width,
                    int height)
{
    struct phi_rect r = phi_rect_and(rect, canvas->clip);

    for (int y = r.y; y < r.y + r.h; y++) {
        const uint8_t *source =
            rgb + (size_t)((long)(y - rect.y) * height / rect.h) * (size_t)width * 3;
        uint32_t *row = pixel_at(canvas, r.x, y);

        for (int x = 0; x < r.w; x++) {
            const uint8_t *p = source + (size_t)((long)(x + r.x - rect.x) * width / rect.w) * 3;

            row[x] = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        }
    }
}

/* Source position of a target pixel's centre in 1/256 pixel, kept inside the picture. */
static int source_position(int target, int n_target, int n_source)
{
    long at = ((2 * (long)target + 1) * n_source * 128) / n_target - 128;
    long last = ((long)n_source - 1) * 256;

    return (int)(at < 0 ? 0 : at > last ? last : at);
}

static uint32_t bilinear(const uint8_t *top, const uint8_t *bottom, int step, int fx, int fy)
{
    uint32_t pixel = 0;

    for (int c = 0; c < 3; c++) {
        int above = top[c] * (256 - fx) + top[c + step] * fx;
        int below = bottom[c] * (256 - fx) + bottom[c + step] * fx;

        pixel = pixel << 8 | (uint32_t)((above * (256 - fy) + below * fy + 32768) >> 16);
    }
    return pixel;
}

void phi_canvas_rgb_smooth(struct phi_canvas *canvas, struct phi_rect rect, const uint8_t *rgb,
                           int width, int height)
{
    struct phi_rect r = phi_rect_and(rect, canvas->clip);

    for (int y = r.y; y < r.y + r.h; y++) {
        int sy = source_position(y - rect.y, rect.h, height);
        const uint8_t *top = rgb + (size_t)(sy >> 8) * (size_t)width * 3;
        const uint8_t *bottom = (sy >> 8) + 1 < height ? top + (size_t)width * 3 : top;
        uint32_t *row = pixel_at(canvas, r.x, y);

        for (int x = 0; x < r.w; x++) {
            int sx = source_position(x + r.x - rect.x, rect.w, width);
            size_t at = (size_t)(sx >> 8) * 3;
            int step = (sx >> 8) + 1 < width ? 3 : 0;

            row[x] = bilinear(top + at, bottom + at, step, sx & 255, sy & 255);
        }
    }
}

void phi_canvas_to_rgb(const struct phi_canvas *canvas, uint8_t *rgb)
{
    for (int y = 0; y < canvas->height; y++) {
        const uint32_t *row = pixel_at(canvas, 0, y);

        for (int x = 0; x < canvas->width; x++) {
            *rgb++ = (uint8_t)(row[x] >> 16);
            *rgb++ = (uint8_t)(row[x] >> 8);
            *rgb++ = (uint8_t)row[x];
        }
    }
}
