/* SPDX-License-Identifier: MIT
 * Histories keep the newest values; a plot puts a higher value higher, leaves holes for NaN, and
 * draws whatever it is given inside its rectangle. */
#include "display/plot.h"
#include "test.h"

static struct phi_history history;

static void history_keeps_the_newest(void **state)
{
    (void)state;
    memset(&history, 0, sizeof history);
    assert_true(isnan(phi_history_back(&history, 0)));
    for (int i = 0; i < PHI_HISTORY + 10; i++)
        phi_history_add(&history, (float)i);
    assert_near(phi_history_back(&history, 0), PHI_HISTORY + 9, 0);
    assert_near(phi_history_back(&history, PHI_HISTORY - 1), 10, 0);
    assert_true(isnan(phi_history_back(&history, PHI_HISTORY)));
}

static void steps_are_round(void **state)
{
    (void)state;
    assert_near(phi_plot_step(1.0), 0.5, 1e-12);
    assert_near(phi_plot_step(0.9), 0.2, 1e-12);
    assert_near(phi_plot_step(5000), 2000, 1e-9);
}

/* The first trace is sky blue, mixed with the ground where the line lies between pixels. */
static int is_trace(uint32_t pixel)
{
    return (pixel & 255) > 100 && (pixel & 255) > (pixel >> 16) + 50;
}

static int mean_row(const struct phi_canvas *canvas, int from, int to)
{
    int sum = 0, n = 0;

    for (int y = 13; y < canvas->height; y++) /* below the heading */
        for (int x = from; x < to; x++)
            if (is_trace(canvas->pixels[y * canvas->width + x])) {
                sum += y;
                n++;
            }
    return n ? sum / n : -1;
}

static void a_step_goes_up(void **state)
{
    struct phi_font *font = NULL;
    struct phi_canvas *canvas = NULL;
    struct phi_plot plot = {.title = "FD",
                            .unit = "mm",
                            .traces = &history,
                            .n_traces = 1,
                            .min_span = 0.1f,
                            .threshold = NAN,
                            .n_shown = 100};
    int early, late;

    (void)state;
    memset(&history, 0, sizeof history);
    for (int i = 0; i < 100; i++)
        phi_history_add(&history, i == 50 ? NAN : i < 50 ? 0.2f : 0.8f);
    assert_int_equal(phi_font_create("/nonexistent.ttf", 9, &font), PH_OK);
    assert_int_equal(phi_canvas_create(300, 120, &canvas), PH_OK);
    phi_plot_draw(canvas, font, (struct phi_rect){0, 0, 300, 120}, &plot);
    early = mean_row(canvas, 60, 150);
    late = mean_row(canvas, 200, 290);
    assert_true(early > late + 40 && late > 0);
    /* Column of the hole: no trace between the two levels. */
    for (int y = late + 5; y < early - 5; y++)
        for (int x = 44; x < 294; x++)
            assert_false(is_trace(canvas->pixels[y * 300 + x]));
    phi_canvas_destroy(&canvas);
    phi_font_destroy(&font);
}

static void odd_data_stay_inside(void **state)
{
    struct phi_font *font = NULL;
    struct phi_canvas *canvas = NULL;
    struct phi_plot plot = {.title = "x",
                            .unit = "",
                            .traces = &history,
                            .n_traces = 1,
                            .min_span = 0,
                            .threshold = NAN,
                            .n_shown = PHI_HISTORY};
    const float odd[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-40f, 0};

    (void)state;
    memset(&history, 0, sizeof history);
    assert_int_equal(phi_font_create("/nonexistent.ttf", 9, &font), PH_OK);
    assert_int_equal(phi_canvas_create(200, 200, &canvas), PH_OK);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        phi_history_add(&history, odd[i]);
        phi_plot_draw(canvas, font, (struct phi_rect){50, 50, 100, 60}, &plot);
    }
    phi_plot_draw(canvas, font, (struct phi_rect){50, 50, 3, 3}, &plot);
    for (int y = 0; y < 200; y++)
        for (int x = 0; x < 200; x++)
            if (x < 50 || x >= 150 || y < 50 || y >= 110)
                assert_int_equal(canvas->pixels[y * 200 + x], 0);
    phi_canvas_destroy(&canvas);
    phi_font_destroy(&font);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_keeps_the_newest),
        cmocka_unit_test(steps_are_round),
        cmocka_unit_test(a_step_goes_up),
        cmocka_unit_test(odd_data_stay_inside),
    };
    return cmocka_run_group_tests_name("display/plot", tests, NULL, NULL);
}
