/* SPDX-License-Identifier: MIT
 * Slices stand where they should, front up and low x left; the overlay shows only above its
 * threshold; values that are not finite are black, not a crash. */
#include "display/mosaic.h"
#include "test.h"

static float volume[4 * 6 * 5], overlay[4 * 6 * 5]; /* [z=4][y=6][x=5] */

static struct phi_mosaic mosaic_of(const float *on_top)
{
    return (struct phi_mosaic){.volume = volume,
                               .overlay = on_top,
                               .dims = {5, 6, 4},
                               .voxel_mm = {1, 1, 1},
                               .low = 0,
                               .high = 1,
                               .threshold = 2,
                               .overlay_most = 4};
}

static void slices_are_upright(void **state)
{
    struct phi_canvas *canvas = NULL;
    struct phi_mosaic mosaic = mosaic_of(NULL);

    (void)state;
    memset(volume, 0, sizeof volume);
    volume[(1 * 6 + 5) * 5 + 0] = 1; /* z 1, front row, low x */
    volume[0] = NAN;
    assert_int_equal(phi_canvas_create(100, 120, &canvas), PH_OK);
    phi_mosaic_draw(canvas, (struct phi_rect){0, 0, 100, 120}, &mosaic); /* 2 x 2 of 50 x 60 */
    assert_int_equal(canvas->pixels[5 * 100 + 55], 0xffffff);
    assert_int_equal(canvas->pixels[5 * 100 + 65], 0);
    assert_int_equal(canvas->pixels[15 * 100 + 55], 0);
    assert_int_equal(canvas->pixels[5 * 100 + 5], 0);
    assert_int_equal(canvas->pixels[65 * 100 + 55], 0);
    phi_canvas_destroy(&canvas);
}

static void overlay_has_a_threshold(void **state)
{
    struct phi_canvas *canvas = NULL;
    struct phi_mosaic mosaic = mosaic_of(overlay);
    uint32_t hot, cold;

    (void)state;
    memset(volume, 0, sizeof volume);
    memset(overlay, 0, sizeof overlay);
    overlay[0] = 3;
    overlay[1] = -3;
    overlay[2] = 1.9f;
    overlay[3] = NAN;
    assert_int_equal(phi_canvas_create(100, 120, &canvas), PH_OK);
    phi_mosaic_draw(canvas, (struct phi_rect){0, 0, 100, 120}, &mosaic);
    hot = canvas->pixels[55 * 100 + 5];
    cold = canvas->pixels[55 * 100 + 15];
    assert_true((hot >> 16) > (hot & 255) + 100);
    assert_true((cold & 255) > (cold >> 16) + 100);
    assert_int_equal(canvas->pixels[55 * 100 + 25], 0);
    assert_int_equal(canvas->pixels[55 * 100 + 35], 0);
    phi_canvas_destroy(&canvas);
}

static void planes_cross_at_the_voxel(void **state)
{
    struct phi_canvas *canvas = NULL;
    struct phi_mosaic mosaic = mosaic_of(NULL);
    const uint32_t voxel[3] = {2, 3, 1};
    int bright = 0;

    (void)state;
    memset(volume, 0, sizeof volume);
    volume[(1 * 6 + 3) * 5 + 2] = 1;
    assert_int_equal(phi_canvas_create(300, 100, &canvas), PH_OK);
    phi_planes_draw(canvas, (struct phi_rect){0, 0, 300, 100}, &mosaic, voxel);
    for (int third = 0; third < 3; third++) {
        int here = 0;

        for (int y = 0; y < 100; y++)
            for (int x = third * 100; x < third * 100 + 100; x++)
                here += canvas->pixels[y * 300 + x] == 0xffffff;
        bright += here > 20;
    }
    assert_int_equal(bright, 3);
    phi_canvas_destroy(&canvas);
}

static void range_is_robust(void **state)
{
    float values[1000];
    float low, high;

    (void)state;
    for (int i = 0; i < 1000; i++)
        values[i] = (float)i;
    values[0] = -1e9f;
    values[999] = 1e9f;
    values[500] = NAN;
    phi_mosaic_range(values, 1000, &low, &high);
    assert_true(low >= 0 && low < 60);
    assert_true(high > 980 && high < 1000);
    phi_mosaic_range(values + 500, 1, &low, &high);
    assert_true(high > low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_upright),
        cmocka_unit_test(overlay_has_a_threshold),
        cmocka_unit_test(planes_cross_at_the_voxel),
        cmocka_unit_test(range_is_robust),
    };
    return cmocka_run_group_tests_name("display/mosaic", tests, NULL, NULL);
}
