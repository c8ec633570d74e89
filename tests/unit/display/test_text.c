/* SPDX-License-Identifier: MIT
 * Text leaves ink where it is aligned to, in a system font and in the built-in one, and bytes that
 * are no UTF-8 neither crash nor vanish. */
#include "display/text.h"
#include "test.h"

static struct phi_rect ink_of(const struct phi_canvas *canvas)
{
    int left = canvas->width, right = -1, top = canvas->height, bottom = -1;

    for (int y = 0; y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++)
            if (canvas->pixels[y * canvas->width + x]) {
                left = x < left ? x : left;
                right = x > right ? x : right;
                top = y < top ? y : top;
                bottom = y > bottom ? y : bottom;
            }
    return (struct phi_rect){left, top, right - left + 1, bottom - top + 1};
}

static void check_font(const char *path, int builtin)
{
    struct phi_font *font = NULL;
    struct phi_canvas *canvas = NULL;
    struct phi_rect ink;
    int width;

    assert_int_equal(phi_font_create(path, 18, &font), PH_OK);
    assert_int_equal(phi_font_is_builtin(font), builtin);
    assert_in_range(phi_font_line(font), 14, 22);
    assert_int_equal(phi_canvas_create(300, 40, &canvas), PH_OK);
    width = phi_text_width(font, "FD 0.31 mm");
    assert_int_equal(phi_text(canvas, font, 290, 10, PHI_ALIGN_RIGHT, 0xffffff, "FD 0.31 mm"),
                     width);
    ink = ink_of(canvas);
    assert_true(ink.x >= 290 - width && ink.x + ink.w <= 292);
    assert_true(ink.y >= 10 && ink.y + ink.h <= 10 + phi_font_line(font) + 1);
    assert_true(ink.w > width * 3 / 4);
    phi_canvas_fill(canvas, canvas->clip, 0);
    phi_textf(canvas, font, 5, 5, PHI_ALIGN_LEFT, 0xffffff, "%s", "\xff\xc3\x80\xe2");
    assert_true(ink_of(canvas).w > 5);
    phi_canvas_destroy(&canvas);
    phi_font_destroy(&font);
    assert_null(font);
}

static void system_font(void **state)
{
    (void)state;
    check_font(NULL, 0);
}

static void builtin_font_serves_where_there_is_none(void **state)
{
    (void)state;
    check_font("/nonexistent.ttf", 1);
}

static void every_sign_has_its_own_shape(void **state)
{
    struct phi_font *font = NULL;
    struct phi_canvas *a = NULL, *b = NULL;

    (void)state;
    assert_int_equal(phi_font_create("/nonexistent.ttf", 9, &font), PH_OK);
    assert_int_equal(phi_canvas_create(8, 10, &a), PH_OK);
    assert_int_equal(phi_canvas_create(8, 10, &b), PH_OK);
    for (char c = '!'; c < '~'; c++) {
        phi_canvas_fill(a, a->clip, 0);
        phi_canvas_fill(b, b->clip, 0);
        phi_textf(a, font, 0, 0, PHI_ALIGN_LEFT, 0xffffff, "%c", c);
        phi_textf(b, font, 0, 0, PHI_ALIGN_LEFT, 0xffffff, "%c", c + 1);
        assert_memory_not_equal(a->pixels, b->pixels, 80 * sizeof(uint32_t));
    }
    phi_canvas_destroy(&a);
    phi_canvas_destroy(&b);
    phi_font_destroy(&font);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_font),
        cmocka_unit_test(builtin_font_serves_where_there_is_none),
        cmocka_unit_test(every_sign_has_its_own_shape),
    };
    return cmocka_run_group_tests_name("display/text", tests, NULL, NULL);
}
