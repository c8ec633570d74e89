/* SPDX-License-Identifier: MIT
 *
 * Text on a canvas. A font renders its glyphs once, through SDL_ttf from a system font where one is
 * found, else from the small bitmap font that is compiled in; drawing then only blends. Printable
 * ASCII and the degree, plus-minus, mu, sigma and arrow signs are known, others draw as a box.
 * A font belongs to one thread; create and destroy may allocate, nothing else does.
 */
#ifndef PHI_DISPLAY_TEXT_H
#define PHI_DISPLAY_TEXT_H

#include "display/canvas.h"

struct phi_font;

enum phi_align { PHI_ALIGN_LEFT, PHI_ALIGN_CENTRE, PHI_ALIGN_RIGHT };

/* A font of `size_px` (8 to 96) pixels height. `path` names a TrueType file; NULL looks in the
 * usual places; where none can be opened the built-in font is used. Owned by the caller. */
PH_NODISCARD enum ph_status phi_font_create(const char *path, int size_px,
                                            struct phi_font **ret_font);

/* Frees the font; accepts NULL, clears *font. */
void phi_font_destroy(struct phi_font **font);

/* True if the compiled-in bitmap font serves. */
int phi_font_is_builtin(const struct phi_font *font);

/* Height of a line, and width of UTF-8 `text`, in pixels. */
int phi_font_line(const struct phi_font *font);
int phi_text_width(const struct phi_font *font, const char *text);

/* Draws `text` with its top at y; x is its left, centre or right by `align`. Returns its width. */
int phi_text(struct phi_canvas *canvas, const struct phi_font *font, int x, int y,
             enum phi_align align, uint32_t colour, const char *text);

/* As phi_text with a format; texts over 255 bytes are cut. */
int phi_textf(struct phi_canvas *canvas, const struct phi_font *font, int x, int y,
              enum phi_align align, uint32_t colour, const char *format, ...) PH_PRINTF(7, 8);

#endif
