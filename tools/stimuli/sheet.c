/* SPDX-License-Identifier: MIT */
#include "tools/stimuli/sheet.h"

#include <cairo.h>
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/png.h"

#define FONT_PX 12.0

struct phi_sheet {
    struct phi_sheet_layout layout;
    size_t width, height;
    cairo_surface_t *surface;
    cairo_t *cr;
};

static size_t span(size_t n, size_t size, size_t gap)
{
    return n * size + (n > 0 ? (n - 1) * gap : 0);
}

static enum ph_status check(const struct phi_sheet_layout *layout, struct ph_error *reterr)
{
    const size_t sizes[] = {layout->n_rows, layout->n_cols, layout->tile_width, layout->tile_height,
                            layout->left,   layout->top,    layout->caption,    layout->gap};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] > PHI_IMAGE_MAX_SIDE || (i < 4 && sizes[i] == 0))
            return phi_error(reterr, PH_E_LIMIT, "a sheet cannot be laid out with %zu x %zu tiles",
                             layout->n_rows, layout->n_cols);
    }
    return PH_OK;
}

enum ph_status phi_sheet_create(const struct phi_sheet_layout *layout, struct phi_sheet **ret_sheet,
                                struct ph_error *reterr)
{
    enum ph_status status = check(layout, reterr);
    struct phi_sheet *sheet;

    if (status < 0)
        return status;
    sheet = phi_calloc(1, sizeof *sheet);
    if (!sheet)
        return phi_error_nomem(reterr, "a sheet", sizeof *sheet);
    sheet->layout = *layout;
    sheet->width = layout->left + span(layout->n_cols, layout->tile_width, layout->gap);
    sheet->height =
        layout->top + span(layout->n_rows, layout->tile_height + layout->caption, layout->gap);
    if (sheet->width > PHI_IMAGE_MAX_SIDE || sheet->height > PHI_IMAGE_MAX_SIDE) {
        phi_free(sheet);
        return phi_error(reterr, PH_E_LIMIT, "a sheet of %zu x %zu tiles is too large",
                         layout->n_rows, layout->n_cols);
    }
    sheet->surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)sheet->width, (int)sheet->height);
    sheet->cr = cairo_create(sheet->surface);
    if (cairo_status(sheet->cr) != CAIRO_STATUS_SUCCESS) {
        phi_sheet_destroy(&sheet);
        return phi_error_nomem(reterr, "a sheet", 4 * PHI_IMAGE_MAX_SIDE);
    }
    cairo_set_source_rgb(sheet->cr, 1, 1, 1);
    cairo_paint(sheet->cr);
    cairo_select_font_face(sheet->cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(sheet->cr, FONT_PX);
    *ret_sheet = sheet;
    return PH_OK;
}

void phi_sheet_destroy(struct phi_sheet **sheet)
{
    if (!sheet || !*sheet)
        return;
    cairo_destroy((*sheet)->cr);
    cairo_surface_destroy((*sheet)->surface);
    phi_free(*sheet);
    *sheet = NULL;
}

static double tile_x(const struct phi_sheet *sheet, size_t col)
{
    return (double)(sheet->layout.left + col * (sheet->layout.tile_width + sheet->layout.gap));
}

static double tile_y(const struct phi_sheet *sheet, size_t row)
{
    const struct phi_sheet_layout *layout = &sheet->layout;

    return (double)(layout->top + row * (layout->tile_height + layout->caption + layout->gap));
}

void phi_sheet_put(struct phi_sheet *sheet, struct phi_sheet_cell cell, size_t width, size_t height,
                   const uint8_t *rgb)
{
    cairo_t *cr = sheet->cr;
    cairo_surface_t *picture =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    unsigned char *pixels = cairo_image_surface_get_data(picture);
    size_t stride = (size_t)cairo_image_surface_get_stride(picture);

    for (size_t y = 0; pixels && y < height; y++) {
        uint32_t *row = (uint32_t *)(void *)(pixels + y * stride);

        for (size_t x = 0; x < width; x++) {
            const uint8_t *p = rgb + (y * width + x) * 3;

            row[x] = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        }
    }
    if (pixels && cell.row < sheet->layout.n_rows && cell.col < sheet->layout.n_cols) {
        double scale_x = (double)sheet->layout.tile_width / (double)width;
        double scale_y = (double)sheet->layout.tile_height / (double)height;

        cairo_surface_mark_dirty(picture);
        cairo_save(cr);
        cairo_translate(cr, tile_x(sheet, cell.col), tile_y(sheet, cell.row));
        cairo_scale(cr, scale_x, scale_y);
        cairo_set_source_surface(cr, picture, 0, 0);
        cairo_pattern_set_filter(cairo_get_source(cr),
                                 scale_x >= 1 ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
        cairo_rectangle(cr, 0, 0, (double)width, (double)height);
        cairo_fill(cr);
        cairo_restore(cr);
    }
    cairo_surface_destroy(picture);
}

enum ph_status phi_sheet_put_planes(struct phi_sheet *sheet, struct phi_sheet_cell cell,
                                    size_t width, size_t height, const float *rgb)
{
    size_t n = width * height;
    uint8_t *bytes = phi_calloc2(width, height, 3);

    if (!bytes)
        return PH_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++)
            bytes[i * 3 + c] = (uint8_t)(fminf(1, fmaxf(0, rgb[c * n + i])) * 255.0f + 0.5f);
    }
    phi_sheet_put(sheet, cell, width, height, bytes);
    phi_free(bytes);
    return PH_OK;
}

/* Centred on x, base line at y, squeezed to `room`. */
static void write_text(struct phi_sheet *sheet, double x, double y, double room, const char *text)
{
    cairo_t *cr = sheet->cr;
    cairo_text_extents_t extents;
    double scale;

    cairo_text_extents(cr, text, &extents);
    scale = extents.width > room && extents.width > 0 ? room / extents.width : 1;
    cairo_save(cr);
    cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
    cairo_translate(cr, x - scale * (extents.width / 2 + extents.x_bearing), y);
    cairo_scale(cr, scale, scale);
    cairo_move_to(cr, 0, 0);
    cairo_show_text(cr, text);
    cairo_restore(cr);
}

void phi_sheet_caption(struct phi_sheet *sheet, struct phi_sheet_cell cell, const char *text)
{
    double w = (double)sheet->layout.tile_width;
    double bottom = tile_y(sheet, cell.row) + (double)sheet->layout.tile_height;

    write_text(sheet, tile_x(sheet, cell.col) + w / 2, bottom + FONT_PX, w, text);
}

void phi_sheet_label_row(struct phi_sheet *sheet, size_t row, const char *text)
{
    double room = (double)sheet->layout.left - 6;

    write_text(sheet, (double)sheet->layout.left / 2,
               tile_y(sheet, row) + ((double)sheet->layout.tile_height + FONT_PX) / 2, room, text);
}

void phi_sheet_label_col(struct phi_sheet *sheet, size_t col, const char *text)
{
    double w = (double)sheet->layout.tile_width;

    write_text(sheet, tile_x(sheet, col) + w / 2, ((double)sheet->layout.top + FONT_PX) / 2 - 2, w,
               text);
}

enum ph_status phi_sheet_write(struct phi_sheet *sheet, const char *path, struct ph_error *reterr)
{
    uint8_t *rgb = phi_calloc2(sheet->width, sheet->height, 3);
    const unsigned char *pixels;
    size_t stride = (size_t)cairo_image_surface_get_stride(sheet->surface);
    struct phi_png_pixels picture = {sheet->width, sheet->height, 3, rgb};
    enum ph_status status;

    if (!rgb)
        return phi_error_nomem(reterr, "a sheet", sheet->width * sheet->height * 3);
    cairo_surface_flush(sheet->surface);
    pixels = cairo_image_surface_get_data(sheet->surface);
    for (size_t i = 0; i < sheet->width * sheet->height; i++) {
        const unsigned char *p = pixels + i / sheet->width * stride + i % sheet->width * 4;

        rgb[i * 3] = p[2];
        rgb[i * 3 + 1] = p[1];
        rgb[i * 3 + 2] = p[0];
    }
    status = phi_png_write(path, &picture, reterr);
    phi_free(rgb);
    return status;
}
