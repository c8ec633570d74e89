/* SPDX-License-Identifier: MIT
 * The panel of attributes: a statement's mean and sd along each axis are those of the projection;
 * the tick stands where the mean is, the band is as wide as the sd, what lies beyond the range
 * stands at its end; as many rows as fit, nothing outside the rectangle; the scene takes statements
 * of its axes' size only. */
#include "display/palette.h"
#include "display/scene.h"
#include "test.h"

enum { P = 3, W = 400, H = 200 };

static const float directions[2 * P] = {1, 0, 0, 0, 0.6f, -0.8f};
static const struct phi_panel panel = {
    .n = 2, .p = P, .names = {"age", "smile"}, .directions = directions};
static const float statement[2 * P] = {0.5f, 1, -2, 0.3f, 0.5f, 1};

static void measures_are_projections(void **state)
{
    struct phi_panel_values values;

    (void)state;
    phi_panel_measure(&panel, statement, &values);
    assert_near(values.mean[0], 0.5, 1e-6);
    assert_near(values.sd[0], 0.3, 1e-6);
    assert_near(values.mean[1], 0.6 + 1.6, 1e-6);
    assert_near(values.sd[1], sqrt(0.09 + 0.64), 1e-6);
}

/* First and last column of `colour` in row y; false if there is none. */
static bool extent(const struct phi_canvas *canvas, int y, uint32_t colour, int ret[2])
{
    bool any = false;

    for (int x = 0; x < canvas->width; x++)
        if (canvas->pixels[(size_t)y * canvas->stride + (size_t)x] == colour) {
            ret[0] = any ? ret[0] : x;
            ret[1] = x;
            any = true;
        }
    return any;
}

static struct phi_canvas *draw(const struct phi_panel_values *values, struct phi_rect rect,
                               int *ret_line)
{
    struct phi_canvas *canvas = NULL;
    struct phi_font *font = NULL;

    assert_int_equal(phi_canvas_create(W, H, &canvas), PH_OK);
    assert_int_equal(phi_font_create(NULL, 11, &font), PH_OK);
    phi_panel_draw(canvas, font, rect, &panel, values);
    *ret_line = phi_font_line(font) + 2;
    phi_font_destroy(&font);
    return canvas;
}

/* Columns of the grid, the band and the tick of the first row with mean and sd. */
static void columns(double mean, double sd, int grid[2], int band[2], int tick[2])
{
    const struct phi_panel_values values = {.mean = {mean, NAN}, .sd = {sd, 1}};
    struct phi_canvas *canvas;
    int line, y;

    canvas = draw(&values, (struct phi_rect){10, 20, 380, 100}, &line);
    y = 20 + line / 2;
    assert_true(extent(canvas, y, PHI_COLOUR_GRID, grid));
    (void)extent(canvas, y, PHI_COLOUR_BLUE, band); /* the tick may lie over it */
    assert_true(extent(canvas, y - line / 4 - 1, PHI_COLOUR_TEXT, tick)); /* above the bar */
    phi_canvas_destroy(&canvas);
}

static void bars_are_to_scale(void **state)
{
    int grid[2], band[2], tick[2];
    double per_sd;

    (void)state;
    columns(1, 0.5, grid, band, tick);
    per_sd = (grid[1] - grid[0]) / 6.0;
    assert_near(band[1] - band[0], per_sd, 2);
    assert_near((band[0] + band[1]) / 2.0, grid[0] + 4 * per_sd, 2);
    assert_near((tick[0] + tick[1]) / 2.0, grid[0] + 4 * per_sd, 2);
    columns(-2, 0.5, grid, band, tick);
    assert_near((band[0] + band[1]) / 2.0, grid[0] + per_sd, 2);
    columns(9, 0.5, grid, band, tick); /* beyond the range: at its end */
    assert_in_range(tick[0], grid[1] - 2, grid[1] + 2);
}

static void nothing_is_drawn_outside(void **state)
{
    const struct phi_panel_values values = {.mean = {1, -1}, .sd = {0.2, 0.2}};
    const struct phi_rect rect = {50, 40, 300, 20}; /* room for one row */
    struct phi_canvas *canvas;
    int line;

    (void)state;
    canvas = draw(&values, rect, &line);
    assert_in_range(line, 11, 20);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            if (x < rect.x || x >= rect.x + rect.w || y < rect.y - 1 || y >= rect.y + rect.h)
                assert_int_equal(canvas->pixels[(size_t)y * canvas->stride + (size_t)x], 0);
    phi_canvas_destroy(&canvas);
}

static void the_scene_takes_its_own_latents(void **state)
{
    const struct phi_scene_config config = {
        .max_width = 8, .max_height = 8, .tr_s = 2, .axes = &panel};
    float values[2 * P];
    struct ph_frame latent = {
        .kind = PH_FRAME_LATENT, .rank = 2, .dims = {2, P + 1}, .data = values};
    struct phi_scene *scene = NULL;

    (void)state;
    memcpy(values, statement, sizeof values);
    assert_int_equal(phi_scene_create(&config, &scene), PH_OK);
    phi_scene_set_latent(scene, &latent);
    assert_false(scene->has_along);
    latent.dims[1] = P;
    latent.u.latent.stimulus_s = 12;
    phi_scene_set_latent(scene, &latent);
    assert_true(scene->has_along);
    assert_near(scene->along.mean[1], 2.2, 1e-6);
    assert_near(scene->stated.stimulus_s, 12, 0);
    phi_scene_destroy(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_are_projections),
        cmocka_unit_test(bars_are_to_scale),
        cmocka_unit_test(nothing_is_drawn_outside),
        cmocka_unit_test(the_scene_takes_its_own_latents),
    };

    return cmocka_run_group_tests_name("display/panel", tests, NULL, NULL);
}
