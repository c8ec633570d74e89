/* SPDX-License-Identifier: MIT
 *
 * Sheets: a grid of pictures with labels, written as PNG. For figures, contact sheets and reports.
 * A sheet belongs to one thread.
 */
#ifndef TOOLS_STIMULI_SHEET_H
#define TOOLS_STIMULI_SHEET_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_sheet_layout {
    size_t n_rows, n_cols;
    size_t tile_width, tile_height; /* on the sheet, in pixels */
    size_t left;                    /* room for labels of rows; 0 for none */
    size_t top;                     /* room for labels of columns; 0 for none */
    size_t caption;                 /* room under each tile for its label; 0 for none */
    size_t gap;                     /* between tiles */
};

struct phi_sheet;

/* A white sheet. PH_E_LIMIT if it would be larger than 16384 pixels a side. Owned by the caller. */
PH_NODISCARD enum ph_status phi_sheet_create(const struct phi_sheet_layout *layout,
                                             struct phi_sheet **ret_sheet, struct ph_error *reterr);

/* Frees; accepts NULL and *sheet == NULL. */
void phi_sheet_destroy(struct phi_sheet **sheet);

/* A place on the sheet. */
struct phi_sheet_cell {
    size_t row, col;
};

/* Draws rgb[height][width][3] into a tile, scaled to fill it (enlarged without smoothing). Cells
 * outside the sheet are passed over. */
void phi_sheet_put(struct phi_sheet *sheet, struct phi_sheet_cell cell, size_t width, size_t height,
                   const uint8_t *rgb);

/* As put, from planes rgb[3][height][width] with values 0 .. 1 (clamped). */
PH_NODISCARD enum ph_status phi_sheet_put_planes(struct phi_sheet *sheet,
                                                 struct phi_sheet_cell cell, size_t width,
                                                 size_t height, const float *rgb);

/* Writes text under a tile, left of a row, above a column. */
void phi_sheet_caption(struct phi_sheet *sheet, struct phi_sheet_cell cell, const char *text);
void phi_sheet_label_row(struct phi_sheet *sheet, size_t row, const char *text);
void phi_sheet_label_col(struct phi_sheet *sheet, size_t col, const char *text);

/* Writes the sheet to `path` as PNG. */
PH_NODISCARD enum ph_status phi_sheet_write(struct phi_sheet *sheet, const char *path,
                                            struct ph_error *reterr);

#endif
