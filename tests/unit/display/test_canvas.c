/* SPDX-License-Identifier: MIT
 * Drawing stays inside clip and canvas, puts colours where it says, and scales pictures exactly. */
#include "display/canvas.h"
#include "test.h"

static struct phi_canvas *canvas_of(int w, int h)
{
    struct phi_canvas *canvas = NULL;

    assert_int_equal(phi_canvas_create(w, h, &canvas), PH_OK);
    return canvas;
}

static size_t count(const struct phi_canvas *canvas, uint32_t colour)
{
    size_t n = 0;

    for (int i = 0; i < canvas->width * canvas->height; i++)
        n += canvas->pixels[i] == colour;
    return n;
}

static void sizes_are_checked(void **state)
{
    struct phi_canvas *canvas = NULL;

    (void)state;
    assert_int_equal(phi_canvas_create(0, 5, &canvas), PH_E_INVAL);
    assert_int_equal(phi_canvas_create(5, 20000, &canvas), PH_E_INVAL);
    assert_null(canvas);
}

static void fills_are_clipped(void **state)
{
    struct phi_canvas *canvas = canvas_of(20, 10);
    struct phi_rect old;

    (void)state;
    phi_canvas_fill(canvas, (struct phi_rect){-5, -5, 8, 8}, 0xff0000);
    assert_int_equal(count(canvas, 0xff0000), 9);
    old = phi_canvas_set_clip(canvas, (struct phi_rect){10, 2, 100, 3});
    phi_canvas_fill(canvas, (struct phi_rect){0, 0, 20, 10}, 0x00ff00);
    assert_int_equal(count(canvas, 0x00ff00), 30);
    canvas->clip = old;
    phi_canvas_outline(canvas, (struct phi_rect){4, 4, 4, 4}, 0x0000ff);
    assert_int_equal(count(canvas, 0x0000ff), 12);
    phi_canvas_destroy(&canvas);
    assert_null(canvas);
}

static void lines_join_their_ends(void **state)
{
    struct phi_canvas *canvas = canvas_of(16, 16);

    (void)state;
    phi_canvas_line(canvas, 2, 3, 12, 3, 0xffffff);
    assert_int_equal(count(canvas, 0xffffff), 11);
    phi_canvas_line(canvas, 5, 14, 5, 6, 0xff0000);
    assert_int_equal(count(canvas, 0xff0000), 9);
    phi_canvas_line(canvas, -50, -50, 60, 60, 0x00ff00);
    assert_int_equal(canvas->pixels[9 * 16 + 9], 0x00ff00);
    phi_canvas_line(canvas, NAN, 0, 5, 5, 0x0000ff);
    phi_canvas_line(canvas, 0, 0, 1e12, 5, 0x0000ff);
    assert_int_equal(count(canvas, 0x0000ff), 0);
    phi_canvas_destroy(&canvas);
}

static void pictures_are_scaled(void **state)
{
    const uint8_t rgb[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
    struct phi_canvas *canvas = canvas_of(40, 40);
    uint8_t back[40 * 40 * 3];

    (void)state;
    phi_canvas_rgb(canvas, (struct phi_rect){0, 0, 40, 40}, rgb, 2, 2);
    assert_int_equal(count(canvas, 0xff0000), 400);
    assert_int_equal(count(canvas, 0xffffff), 400);
    phi_canvas_to_rgb(canvas, back);
    assert_memory_equal(back + (19 * 40 + 19) * 3, rgb, 3);
    assert_memory_equal(back + (20 * 40 + 20) * 3, rgb + 9, 3);
    /* Bilinear: the corners keep their colours, the middle is the mean of the four. */
    phi_canvas_rgb_smooth(canvas, (struct phi_rect){0, 0, 40, 40}, rgb, 2, 2);
    assert_int_equal(canvas->pixels[0], 0xff0000);
    assert_int_equal(canvas->pixels[39 * 40 + 39], 0xffffff);
    phi_canvas_to_rgb(canvas, back);
    assert_near(back[(20 * 40 + 20) * 3], 127.5, 8);
    phi_canvas_rgb_smooth(canvas, (struct phi_rect){-30, -30, 64, 64}, rgb, 2, 2);
    phi_canvas_rgb(canvas, (struct phi_rect){35, 35, 64, 64}, rgb, 2, 2);
    assert_int_equal(canvas->pixels[39 * 40 + 39], 0xff0000);
    phi_canvas_destroy(&canvas);
}

static void fit_keeps_the_shape(void **state)
{
    struct phi_rect fit = phi_rect_fit((struct phi_rect){10, 20, 100, 50}, 1, 1);

    (void)state;
    assert_int_equal(fit.w, 50);
    assert_int_equal(fit.h, 50);
    assert_int_equal(fit.x, 35);
    assert_int_equal(fit.y, 20);
    assert_int_equal(phi_rect_inset((struct phi_rect){0, 0, 3, 3}, 5).w, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_checked),     cmocka_unit_test(fills_are_clipped),
        cmocka_unit_test(lines_join_their_ends), cmocka_unit_test(pictures_are_scaled),
        cmocka_unit_test(fit_keeps_the_shape),
    };
    return cmocka_run_group_tests_name("display/canvas", tests, NULL, NULL);
}
