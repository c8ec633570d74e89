/* SPDX-License-Identifier: MIT */
#include "display/mosaic.h"

#include <math.h>
#include <stdlib.h>

#include "display/palette.h"

#define N_SAMPLE 4096

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

void phi_mosaic_range(const float *volume, size_t n, float *ret_low, float *ret_high)
{
    float sample[N_SAMPLE];
    size_t step = n / N_SAMPLE + 1;
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < N_SAMPLE; i += step)
        if (isfinite(volume[i]))
            sample[kept++] = volume[i];
    *ret_low = 0;
    *ret_high = 1;
    if (kept == 0)
        return;
    qsort(sample, kept, sizeof *sample, by_value);
    *ret_low = sample[kept * 2 / 100];
    *ret_high = sample[(size_t)((double)(kept - 1) * 0.995)];
    if (!(*ret_high > *ret_low))
        *ret_high = *ret_low + 1;
}

static uint32_t pack(float r, float g, float b)
{
    return (uint32_t)(r * 255.0f) << 16 | (uint32_t)(g * 255.0f) << 8 | (uint32_t)(b * 255.0f);
}

uint32_t phi_mosaic_heat(float relative)
{
    float strength = fminf(fabsf(relative), 1.0f);

    if (relative >= 0)
        return pack(0.7f + 0.3f * strength, strength * 0.95f,
                    strength > 0.8f ? strength - 0.8f : 0);
    return pack(0.0f, 0.25f + 0.7f * strength, 0.6f + 0.4f * strength);
}

struct slice {
    const struct phi_mosaic *mosaic;
    int across, down; /* axes of the volume that run to the right and downwards */
    int through;      /* the axis that is fixed */
    uint32_t at;      /* the fixed index */
    float low, high, most;
};

static size_t voxel_of(const struct slice *slice, uint32_t right, uint32_t down)
{
    const uint32_t *dims = slice->mosaic->dims;
    size_t at[3];

    at[slice->across] = right;
    at[slice->down] = dims[slice->down] - 1 - down; /* high indices (front, top) upwards */
    at[slice->through] = slice->at;
    return (at[2] * dims[1] + at[1]) * dims[0] + at[0];
}

static uint32_t colour_of(const struct slice *slice, size_t voxel)
{
    const struct phi_mosaic *mosaic = slice->mosaic;
    float grey = (mosaic->volume[voxel] - slice->low) / (slice->high - slice->low);

    if (mosaic->overlay && fabsf(mosaic->overlay[voxel]) >= mosaic->threshold)
        return phi_mosaic_heat(mosaic->overlay[voxel] / slice->most);
    grey = grey > 0 ? fminf(grey, 1.0f) : 0; /* NaN becomes black */
    return pack(grey, grey, grey);
}

static void draw_slice(struct phi_canvas *canvas, struct phi_rect rect, const struct slice *slice)
{
    struct phi_rect r = phi_rect_and(rect, canvas->clip);
    uint32_t n_right = slice->mosaic->dims[slice->across];
    uint32_t n_down = slice->mosaic->dims[slice->down];

    for (int y = r.y; y < r.y + r.h; y++) {
        uint32_t down = (uint32_t)((uint64_t)(y - rect.y) * n_down / (uint64_t)rect.h);
        uint32_t *row = canvas->pixels + (size_t)y * canvas->stride;

        for (int x = r.x; x < r.x + r.w; x++) {
            uint32_t right = (uint32_t)((uint64_t)(x - rect.x) * n_right / (uint64_t)rect.w);

            row[x] = colour_of(slice, voxel_of(slice, right, down));
        }
    }
}

static float largest(const float *values, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]) && fabsf(values[i]) > most)
            most = fabsf(values[i]);
    return most > 0 ? most : 1;
}

static struct slice prepare(const struct phi_mosaic *mosaic)
{
    size_t n = (size_t)mosaic->dims[0] * mosaic->dims[1] * mosaic->dims[2];
    struct slice slice = {mosaic, 0, 1, 2, 0, mosaic->low, mosaic->high, mosaic->overlay_most};

    if (!(slice.high > slice.low))
        phi_mosaic_range(mosaic->volume, n, &slice.low, &slice.high);
    if (mosaic->overlay && !(slice.most > 0))
        slice.most = largest(mosaic->overlay, n);
    return slice;
}

/* The number of columns that makes tiles of the given shape largest. */
static int best_columns(struct phi_rect rect, uint32_t n, double tile_ratio)
{
    int best = 1;
    double best_width = 0;

    for (int columns = 1; columns <= (int)n; columns++) {
        int rows = ((int)n + columns - 1) / columns;
        double width = fmin((double)rect.w / columns, (double)rect.h / rows * tile_ratio);

        if (width > best_width) {
            best_width = width;
            best = columns;
        }
    }
    return best;
}

void phi_mosaic_draw(struct phi_canvas *canvas, struct phi_rect rect,
                     const struct phi_mosaic *mosaic)
{
    struct slice slice = prepare(mosaic);
    uint32_t n = mosaic->dims[2];
    double width_mm = mosaic->dims[0] * mosaic->voxel_mm[0];
    double height_mm = mosaic->dims[1] * mosaic->voxel_mm[1];
    int columns = best_columns(rect, n, width_mm / height_mm);
    int rows = ((int)n + columns - 1) / columns;

    phi_canvas_fill(canvas, rect, PHI_COLOUR_BLACK);
    for (uint32_t z = 0; z < n; z++) {
        struct phi_rect cell = {rect.x + (int)z % columns * rect.w / columns,
                                rect.y + (int)z / columns * rect.h / rows, rect.w / columns,
                                rect.h / rows};
        struct phi_rect fit = phi_rect_fit(cell, (int)lround(width_mm), (int)lround(height_mm));

        slice.at = z;
        if (fit.w > 0 && fit.h > 0)
            draw_slice(canvas, fit, &slice);
    }
}

static void draw_plane(struct phi_canvas *canvas, struct phi_rect cell, struct slice slice,
                       const uint32_t voxel[3])
{
    const struct phi_mosaic *mosaic = slice.mosaic;
    double width_mm = mosaic->dims[slice.across] * mosaic->voxel_mm[slice.across];
    double height_mm = mosaic->dims[slice.down] * mosaic->voxel_mm[slice.down];
    struct phi_rect fit = phi_rect_fit(cell, (int)lround(width_mm), (int)lround(height_mm));
    int x;
    int y;

    if (fit.w < 1 || fit.h < 1)
        return;
    slice.at = voxel[slice.through];
    draw_slice(canvas, fit, &slice);
    x = fit.x + (int)((voxel[slice.across] + 0.5) * fit.w / mosaic->dims[slice.across]);
    y = fit.y + fit.h - 1 - (int)((voxel[slice.down] + 0.5) * fit.h / mosaic->dims[slice.down]);
    for (int i = 0; i < fit.w; i++)
        phi_canvas_blend(canvas, fit.x + i, y, PHI_COLOUR_GREEN, 110);
    for (int i = 0; i < fit.h; i++)
        phi_canvas_blend(canvas, x, fit.y + i, PHI_COLOUR_GREEN, 110);
}

void phi_planes_draw(struct phi_canvas *canvas, struct phi_rect rect,
                     const struct phi_mosaic *mosaic, const uint32_t voxel[3])
{
    static const int axes[3][3] = {{0, 1, 2}, {0, 2, 1}, {1, 2, 0}}; /* across, down, through */
    struct slice slice = prepare(mosaic);

    phi_canvas_fill(canvas, rect, PHI_COLOUR_BLACK);
    for (int i = 0; i < 3; i++) {
        struct phi_rect cell = {rect.x + i * rect.w / 3, rect.y, rect.w / 3, rect.h};

        slice.across = axes[i][0];
        slice.down = axes[i][1];
        slice.through = axes[i][2];
        draw_plane(canvas, phi_rect_inset(cell, 2), slice, voxel);
    }
}
