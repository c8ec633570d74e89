/* SPDX-License-Identifier: MIT
 * The scene keeps each trial's newest statement and each event's first moment in a tile, counts
 * what happened, and marks what is old; the operator's view of it shows the pictures and never
 * draws outside its canvas. */
#include <stdlib.h>

#include "display/mosaic.h"
#include "display/operator.h"
#include "display/subject.h"
#include "test.h"

static uint8_t rgb[8 * 8 * 3];
static const uint8_t truth[3] = {0, 0, 255};

static bool stimulus(void *context, int32_t index, const uint8_t **ret_rgb, uint32_t *ret_width,
                     uint32_t *ret_height)
{
    (void)context;
    if (index != 5)
        return false;
    *ret_rgb = truth;
    *ret_width = *ret_height = 1;
    return true;
}

static struct phi_scene *scene_of(void)
{
    struct phi_scene *scene = NULL;
    struct phi_scene_config config = {
        .max_width = 8, .max_height = 8, .tr_s = 2, .title = "run", .stimulus = stimulus};

    config.geometry.dims[0] = 3;
    config.geometry.dims[1] = 4;
    config.geometry.dims[2] = 2;
    for (int i = 0; i < 3; i++)
        config.geometry.affine[i][i] = 3;
    assert_int_equal(phi_scene_create(&config, &scene), PH_OK);
    return scene;
}

static struct ph_frame image_of(uint32_t trial, uint32_t revision, uint8_t grey)
{
    struct ph_frame image = {.kind = PH_FRAME_IMAGE, .rank = 3, .dims = {8, 8, 3}, .data = rgb};

    memset(rgb, grey, sizeof rgb);
    (void)snprintf(image.u.image.generator, sizeof image.u.image.generator, "eigenface");
    image.u.image.latent.trial = trial;
    image.u.image.latent.revision = revision;
    image.u.image.latent.stimulus_s = trial * 8.0;
    image.u.image.latent.stim_index = 5;
    image.u.image.latent.share = 0.5f;
    return image;
}

static void tiles_keep_the_newest_statement(void **state)
{
    struct phi_scene *scene = scene_of();
    struct ph_frame image = image_of(3, 2, 20);

    (void)state;
    phi_scene_add_tile(scene, &image, 1);
    image = image_of(3, 1, 10); /* an older revision that came late */
    phi_scene_add_tile(scene, &image, 2);
    assert_int_equal(phi_scene_tile(scene, 3)->picture.rgb[0], 20);
    image = image_of(3 + PHI_SCENE_TILES, 0, 30); /* takes over the place */
    phi_scene_add_tile(scene, &image, 3);
    assert_null(phi_scene_tile(scene, 3));
    image = image_of(3, 9, 40); /* its time has passed */
    phi_scene_add_tile(scene, &image, 4);
    assert_int_equal(phi_scene_tile(scene, 3 + PHI_SCENE_TILES)->picture.rgb[0], 30);
    assert_int_equal(scene->newest_trial, 3 + PHI_SCENE_TILES);
    image = image_of(200, 0, 1);
    image.dims[0] = 9; /* larger than planned */
    phi_scene_set_now(scene, &image, 5);
    assert_int_equal(scene->now[0].width, 0);
    phi_scene_destroy(&scene);
}

static struct ph_frame moment_of(double at_s, uint8_t grey)
{
    struct ph_frame image = image_of(PH_NO_TRIAL, 0, grey);

    image.u.image.latent.stimulus_s = at_s;
    image.u.image.latent.stim_index = -1;
    return image;
}

static void a_moment_goes_to_the_event_it_falls_in(void **state)
{
    struct phi_scene *scene = scene_of();
    const struct ph_event events[] = {
        {.onset_s = 10, .duration_s = 4, .number = 0, .stim_index = 5},
        {.onset_s = 14, .duration_s = 4, .number = 1, .stim_index = 45}};
    const struct {
        double at_s;
        uint8_t grey;
    } moments[] = {{9, 1}, {11, 20}, {13, 30}, {14, 40}, {18, 50}};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        phi_scene_add_event(scene, &events[i]);
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        struct ph_frame image = moment_of(moments[i].at_s, moments[i].grey);

        phi_scene_add_tile(scene, &image, 1);
    }
    assert_int_equal(phi_scene_tile(scene, 0)->picture.rgb[0], 20); /* the first in the event */
    assert_int_equal(phi_scene_tile(scene, 1)->picture.rgb[0], 40);
    assert_int_equal(phi_scene_tile(scene, 1)->stim_index,
                     45); /* of the event, not of the moment */
    assert_int_equal(scene->newest_trial, 1);
    phi_scene_destroy(&scene);
}

static void quality_is_counted(void **state)
{
    struct phi_scene *scene = scene_of();
    struct ph_frame frame = {.acquired_s = 0};

    (void)state;
    frame.quality.fd_mm = 0.25f;
    phi_scene_add_quality(scene, &frame);
    frame.flags = PH_FLAG_CENSORED;
    frame.acquired_s = 2;
    phi_scene_add_quality(scene, &frame);
    frame.flags = PH_FLAG_GAP | PH_FLAG_CENSORED;
    frame.acquired_s = 4;
    phi_scene_add_quality(scene, &frame);
    assert_int_equal(scene->n_volumes, 3);
    assert_int_equal(scene->n_censored, 1);
    assert_int_equal(scene->n_missing, 1);
    assert_near(scene->clock_s, 6, 0);
    assert_true(isnan(phi_history_back(&scene->fd, 0)));
    assert_near(phi_history_back(&scene->fd, 1), 0.25, 1e-7);
    phi_scene_destroy(&scene);
}

static void old_statements_are_marked(void **state)
{
    struct phi_scene *scene = scene_of();
    struct ph_frame image = image_of(1, 0, 9);
    struct ph_frame volume = {.acquired_s = 10};

    (void)state;
    image.u.image.latent.stimulus_s = 4;
    image.u.image.latent.lag_s = 8; /* told at 12 s */
    phi_scene_set_now(scene, &image, 1);
    phi_scene_add_quality(scene, &volume); /* the clock stands at 12 s */
    assert_false(phi_scene_stale(scene, &scene->now[0]));
    volume.acquired_s = 15; /* 17 s: 5 s later, more than two TR */
    phi_scene_add_quality(scene, &volume);
    assert_true(phi_scene_stale(scene, &scene->now[0]));
    phi_scene_destroy(&scene);
}

static size_t count(const struct phi_canvas *canvas, uint32_t colour)
{
    size_t n = 0;

    for (int i = 0; i < canvas->width * canvas->height; i++)
        n += canvas->pixels[i] == colour;
    return n;
}

static void the_view_shows_pictures_at_any_size(void **state)
{
    static const int sizes[][2] = {{640, 360}, {1280, 720}, {900, 1000}, {330, 200}};
    struct phi_operator_fonts fonts;
    struct phi_scene *scene = scene_of();
    struct phi_operator_choice choice = {.help = false};
    struct ph_frame image = image_of(0, 0, 77);
    struct ph_event event = {.onset_s = 0, .number = 0, .stim_index = 5, .trial_type = "face"};

    (void)state;
    assert_int_equal(phi_operator_fonts_create(720, &fonts), PH_OK);
    phi_scene_add_event(scene, &event);
    phi_scene_add_tile(scene, &image, 1);
    phi_scene_set_now(scene, &image, 1);
    for (size_t i = 0; i < 4; i++) {
        struct phi_canvas *canvas = NULL;

        assert_int_equal(phi_canvas_create(sizes[i][0], sizes[i][1], &canvas), PH_OK);
        choice.help = i == 2;
        choice.mosaic = i == 1;
        phi_operator_draw(canvas, &fonts, scene, &choice, 0);
        if (i != 3) { /* decoded grey and the true blue are both there */
            assert_true(count(canvas, 0x4d4d4d) > 1000);
            assert_true(count(canvas, 0x0000ff) > 1000);
        }
        phi_canvas_destroy(&canvas);
    }
    phi_operator_fonts_destroy(&fonts);
    phi_scene_destroy(&scene);
}

/* A map of 24 voxels, one of them hot, one cold, one below the threshold. */
static struct phi_shown_map *map_of(const char *title)
{
    struct phi_shown_map *map = calloc(1, sizeof *map + 24 * sizeof(float));

    assert_non_null(map);
    (void)snprintf(map->title, sizeof map->title, "%s", title);
    map->threshold = 3;
    map->values[7] = 6;
    map->values[9] = -6;
    map->values[11] = 2.9f;
    return map;
}

static void maps_lie_over_the_brain(void **state)
{
    static float volume[24] = {0, 100, 200};
    const struct ph_frame frame = {
        .kind = PH_FRAME_VOLUME, .rank = 3, .dims = {2, 4, 3}, .data = volume};
    struct phi_scene *scene = scene_of();
    struct phi_shown_map *map = map_of("t, face");
    struct phi_operator_choice choice = {.mosaic = true};
    struct phi_operator_fonts fonts;
    struct phi_canvas *canvas = NULL;
    size_t hot, cold;

    (void)state;
    assert_int_equal(phi_operator_fonts_create(720, &fonts), PH_OK);
    assert_int_equal(phi_canvas_create(1280, 720, &canvas), PH_OK);
    assert_false(phi_map_draw(canvas, &fonts, scene, 0));
    phi_scene_add_volume(scene, &frame);
    phi_scene_set_map(scene, 0, map);
    assert_int_equal(scene->maps[0].peak[0], 1);
    assert_int_equal(scene->maps[0].peak[1], 2);
    assert_int_equal(scene->maps[0].peak[2], 0);
    phi_scene_set_map(scene, 2, map);
    assert_int_equal(phi_operator_next_map(scene, 0), 2);
    assert_int_equal(phi_operator_next_map(scene, 2), -1);
    assert_int_equal(phi_operator_next_map(scene, -1), 0);
    phi_operator_draw(canvas, &fonts, scene, &choice, 0);
    hot = count(canvas, phi_mosaic_heat(1));
    cold = count(canvas, phi_mosaic_heat(-1));
    assert_true(hot > 100 && cold > 100);
    choice.map = -1; /* none: neither voxels nor legend */
    phi_operator_draw(canvas, &fonts, scene, &choice, 0);
    assert_int_equal(count(canvas, phi_mosaic_heat(1)), 0);
    assert_true(phi_map_draw(canvas, &fonts, scene, 0));
    assert_true(count(canvas, phi_mosaic_heat(1)) > hot); /* the whole canvas is larger */
    free(map);
    phi_canvas_destroy(&canvas);
    phi_operator_fonts_destroy(&fonts);
    phi_scene_destroy(&scene);
}

static void every_page_draws_at_any_size(void **state)
{
    static const int sizes[][2] = {{640, 360}, {1280, 720}, {330, 200}};
    static struct phi_shown_curves curves = {.title = "power",
                                             .x_unit = "Hz",
                                             .dx = 0.01,
                                             .n_traces = 1,
                                             .n_points = 3,
                                             .n_bands = 1,
                                             .log_y = true,
                                             .names = {"ffa"},
                                             .bands = {{0.01, 0.015, "heart"}},
                                             .values = {{1, 100, 0}}};
    struct phi_scene *scene = scene_of();
    struct phi_operator_fonts fonts;

    (void)state;
    assert_int_equal(phi_operator_fonts_create(720, &fonts), PH_OK);
    for (int i = 0; i < 9; i++) {
        struct phi_operator_choice choice = {.page = i % 3};
        struct phi_canvas *canvas = NULL;

        if (i == 3)
            phi_scene_set_curves(scene, 1, &curves);
        assert_int_equal(phi_canvas_create(sizes[i / 3][0], sizes[i / 3][1], &canvas), PH_OK);
        phi_operator_draw(canvas, &fonts, scene, &choice, 0);
        if (i == 5) /* the trace's colour, in the line and its name */
            assert_true(count(canvas, 0x56B4E9) > 10);
        phi_canvas_destroy(&canvas);
    }
    phi_operator_fonts_destroy(&fonts);
    phi_scene_destroy(&scene);
}

/* Samples of the posterior lie under the last reconstruction and take no pane of their own. */
static void samples_are_a_strip(void **state)
{
    struct phi_operator_fonts fonts;
    struct phi_operator_choice choice = {.help = false};
    struct phi_scene_config config = {.max_width = 40, .max_height = 8, .tr_s = 2};
    struct phi_scene *scene = NULL;
    struct phi_canvas *canvas = NULL;
    static uint8_t wide[8 * 40 * 3];
    struct ph_frame image = image_of(0, 0, 77);
    struct ph_frame strip = image_of(0, 0, 77);
    size_t n_strip = 0, n_right = 0;

    (void)state;
    assert_int_equal(phi_operator_fonts_create(720, &fonts), PH_OK);
    assert_int_equal(phi_scene_create(&config, &scene), PH_OK);
    phi_scene_set_now(scene, &image, 1);
    memset(wide, 200, sizeof wide);
    strip.dims[1] = 40;
    strip.data = wide;
    (void)snprintf(strip.u.image.generator, sizeof strip.u.image.generator, "samples");
    phi_scene_set_now(scene, &strip, 1);
    assert_int_equal(phi_canvas_create(1280, 720, &canvas), PH_OK);
    phi_operator_draw(canvas, &fonts, scene, &choice, 0);
    assert_true(count(canvas, 0x4d4d4d) > 10000); /* the reconstruction is the larger */
    for (int y = 0; y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++)
            if (canvas->pixels[(size_t)y * canvas->stride + (size_t)x] == 0xc8c8c8) {
                n_strip++;
                n_right += x > canvas->width / 2; /* two panes: reconstruction, stimulus */
            }
    assert_true(n_strip > 5000);
    assert_int_equal(n_right, 0);
    phi_canvas_destroy(&canvas);
    phi_scene_destroy(&scene);
    phi_operator_fonts_destroy(&fonts);
}

static void the_subject_sees_degrees(void **state)
{
    struct phi_subject_config config = {.screen_width_mm = 400,
                                        .distance_mm = 1000,
                                        .size_deg = 10,
                                        .background = 0x808080,
                                        .photodiode = true};
    struct phi_canvas *canvas = NULL;

    (void)state;
    assert_int_equal(phi_canvas_create(800, 600, &canvas), PH_OK);
    memset(rgb, 255, sizeof rgb);
    /* 2 * 1000 * tan(5 deg) = 174.98 mm = 349.95 pixels */
    assert_near(phi_subject_pixels(&config, 800, 10), 349.955, 0.01);
    phi_subject_draw(canvas, &config, rgb, 8, 8, false);
    assert_int_equal(count(canvas, 0xffffff), 350 * 350);
    assert_int_equal(canvas->pixels[599 * 800], 0);
    phi_subject_draw(canvas, &config, NULL, 0, 0, true);
    assert_int_equal(canvas->pixels[599 * 800], 0xffffff);
    assert_int_equal(canvas->pixels[300 * 800 + 400], 0x808080);
    phi_canvas_destroy(&canvas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_keep_the_newest_statement),
        cmocka_unit_test(a_moment_goes_to_the_event_it_falls_in),
        cmocka_unit_test(quality_is_counted),
        cmocka_unit_test(old_statements_are_marked),
        cmocka_unit_test(the_view_shows_pictures_at_any_size),
        cmocka_unit_test(maps_lie_over_the_brain),
        cmocka_unit_test(every_page_draws_at_any_size),
        cmocka_unit_test(samples_are_a_strip),
        cmocka_unit_test(the_subject_sees_degrees),
    };
    return cmocka_run_group_tests_name("display/scene", tests, NULL, NULL);
}
