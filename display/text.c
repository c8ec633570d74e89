/* SPDX-License-Identifier: MIT */
#include "display/text.h"

#include <SDL_ttf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "display/font5x7.h"

#define FIRST_ASCII 32
#define N_ASCII     95
#define N_GLYPHS    (N_ASCII + 6)

/* Signs beyond ASCII that the views use; the last glyph is the box for everything else. */
static const uint16_t extra_signs[N_GLYPHS - N_ASCII] = {0x00B0, 0x00B1, 0x00B5,
                                                         0x03C3, 0x2192, 0x25A1};

struct glyph {
    int advance;
    int left, top; /* of the bitmap from the pen and the line's top */
    int w, h;
    uint8_t *alpha; /* [h][w] */
};

struct phi_font {
    int line;
    int builtin;
    struct glyph glyphs[N_GLYPHS];
};

static const char *const font_paths[] = {
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
};

static uint16_t sign_of(int glyph)
{
    return glyph < N_ASCII ? (uint16_t)(FIRST_ASCII + glyph) : extra_signs[glyph - N_ASCII];
}

static enum ph_status take_alpha(struct glyph *glyph, int w, int h)
{
    glyph->w = w;
    glyph->h = h;
    glyph->alpha = phi_calloc2((size_t)w, (size_t)h, 1);
    return glyph->alpha ? PH_OK : PH_E_NOMEM;
}

static enum ph_status render_ttf(struct glyph *glyph, TTF_Font *ttf, uint16_t sign)
{
    const SDL_Color white = {255, 255, 255, 255};
    SDL_Surface *surface;
    int min_x, max_x, min_y, max_y;

    if (TTF_GlyphMetrics(ttf, sign, &min_x, &max_x, &min_y, &max_y, &glyph->advance) != 0)
        return PH_E_FORMAT;
    surface = TTF_RenderGlyph_Blended(ttf, sign, white);
    if (!surface) {
        return PH_OK; /* a sign without ink, as the space in some fonts */
    }
    if (take_alpha(glyph, surface->w, surface->h) != PH_OK) {
        SDL_FreeSurface(surface);
        return PH_E_NOMEM;
    }
    glyph->left = min_x < 0 ? min_x : 0;
    for (int y = 0; y < surface->h; y++) {
        const uint32_t *row = (const uint32_t *)(const void *)((const uint8_t *)surface->pixels +
                                                               (size_t)y * (size_t)surface->pitch);

        for (int x = 0; x < surface->w; x++)
            glyph->alpha[y * surface->w + x] = (uint8_t)(row[x] >> 24);
    }
    SDL_FreeSurface(surface);
    return PH_OK;
}

static enum ph_status fill_from_ttf(struct phi_font *font, const char *path, int size_px)
{
    enum ph_status status = PH_OK;
    TTF_Font *ttf = TTF_OpenFont(path, size_px);

    if (!ttf)
        return PH_E_IO;
    /* TTF sizes count the body; scale so that the line is what was asked for. */
    if (TTF_SetFontSize(ttf, size_px * size_px / (TTF_FontHeight(ttf) ? TTF_FontHeight(ttf) : 1)) !=
        0)
        status = PH_E_IO;
    font->line = TTF_FontHeight(ttf);
    for (int i = 0; i < N_GLYPHS && status == PH_OK; i++)
        status = render_ttf(&font->glyphs[i], ttf, sign_of(i));
    TTF_CloseFont(ttf);
    return status;
}

static void clear_glyphs(struct phi_font *font)
{
    for (int i = 0; i < N_GLYPHS; i++)
        phi_free(font->glyphs[i].alpha);
    memset(font->glyphs, 0, sizeof font->glyphs);
}

/* One dot of the 5 x 7 font is `scale` pixels; signs beyond ASCII and the box are a hollow box. */
static int dot(int glyph, int column, int row)
{
    if (glyph < N_ASCII)
        return phi_font5x7[glyph][column] >> row & 1;
    return column == 0 || column == 4 || row == 0 || row == 6;
}

static enum ph_status fill_builtin(struct phi_font *font, int size_px)
{
    int scale = size_px / 9 > 0 ? size_px / 9 : 1;

    font->builtin = 1;
    font->line = 9 * scale;
    for (int i = 0; i < N_GLYPHS; i++) {
        struct glyph *glyph = &font->glyphs[i];

        glyph->advance = 6 * scale;
        glyph->top = scale;
        if (take_alpha(glyph, 5 * scale, 7 * scale) != PH_OK)
            return PH_E_NOMEM;
        for (int y = 0; y < glyph->h; y++)
            for (int x = 0; x < glyph->w; x++)
                glyph->alpha[y * glyph->w + x] = dot(i, x / scale, y / scale) ? 255 : 0;
    }
    return PH_OK;
}

static enum ph_status fill_from_any(struct phi_font *font, const char *path, int size_px)
{
    enum ph_status status = PH_E_IO;

    if (!TTF_WasInit() && TTF_Init() != 0)
        return PH_E_IO;
    if (path)
        return fill_from_ttf(font, path, size_px);
    for (size_t i = 0; i < sizeof font_paths / sizeof *font_paths && status != PH_OK; i++) {
        clear_glyphs(font);
        status = fill_from_ttf(font, font_paths[i], size_px);
    }
    return status;
}

enum ph_status phi_font_create(const char *path, int size_px, struct phi_font **ret_font)
{
    struct phi_font *font;
    enum ph_status status;

    if (size_px < 8 || size_px > 96)
        return PH_E_INVAL;
    font = phi_calloc(1, sizeof *font);
    if (!font)
        return PH_E_NOMEM;
    status = fill_from_any(font, path, size_px);
    if (status != PH_OK) {
        clear_glyphs(font);
        status = fill_builtin(font, size_px);
    }
    if (status != PH_OK) {
        phi_font_destroy(&font);
        return status;
    }
    *ret_font = font;
    return PH_OK;
}

void phi_font_destroy(struct phi_font **font)
{
    if (!font || !*font)
        return;
    clear_glyphs(*font);
    phi_free(*font);
    *font = NULL;
}

int phi_font_is_builtin(const struct phi_font *font)
{
    return font->builtin;
}

int phi_font_line(const struct phi_font *font)
{
    return font->line;
}

/* The glyph of the UTF-8 sign at *text, which moves past it; malformed bytes are a box each. */
static const struct glyph *next_glyph(const struct phi_font *font, const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    uint32_t sign = p[0];
    int n = 1;

    if (p[0] >= 0xC2 && p[0] < 0xE0 && (p[1] & 0xC0) == 0x80) {
        sign = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
        n = 2;
    } else if ((p[0] & 0xF0) == 0xE0 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80) {
        sign = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        n = 3;
    }
    *text += n;
    if (sign >= FIRST_ASCII && sign < FIRST_ASCII + N_ASCII)
        return &font->glyphs[sign - FIRST_ASCII];
    for (int i = 0; i < N_GLYPHS - N_ASCII; i++)
        if (extra_signs[i] == sign)
            return &font->glyphs[N_ASCII + i];
    return &font->glyphs[N_GLYPHS - 1];
}

int phi_text_width(const struct phi_font *font, const char *text)
{
    int width = 0;

    while (*text)
        width += next_glyph(font, &text)->advance;
    return width;
}

static void draw_glyph(struct phi_canvas *canvas, const struct glyph *glyph, int x, int y,
                       uint32_t colour)
{
    for (int row = 0; row < glyph->h; row++)
        for (int column = 0; column < glyph->w; column++) {
            unsigned alpha = glyph->alpha[row * glyph->w + column];

            if (alpha)
                phi_canvas_blend(canvas, x + glyph->left + column, y + glyph->top + row, colour,
                                 alpha);
        }
}

int phi_text(struct phi_canvas *canvas, const struct phi_font *font, int x, int y,
             enum phi_align align, uint32_t colour, const char *text)
{
    int width = phi_text_width(font, text);
    int pen = align == PHI_ALIGN_LEFT ? x : align == PHI_ALIGN_RIGHT ? x - width : x - width / 2;

    while (*text) {
        const struct glyph *glyph = next_glyph(font, &text);

        draw_glyph(canvas, glyph, pen, y, colour);
        pen += glyph->advance;
    }
    return width;
}

int phi_textf(struct phi_canvas *canvas, const struct phi_font *font, int x, int y,
              enum phi_align align, uint32_t colour, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    return phi_text(canvas, font, x, y, align, colour, text);
}
