/* SPDX-License-Identifier: MIT
 * A set that was written is read back from its file and, without the file, from its pictures; the
 * two agree; names are found; pictures of another size, foreign files and empty folders are refused
 * by name; an unfinished set leaves no file. */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "test.h"
#include "tools/stimuli/set.h"
#include "tools/stimuli/set_write.h"
#include "tools/stimuli/sheet.h"

#define N      5
#define WIDTH  12
#define HEIGHT 9

static char folder[] = "/tmp/phosphene-test-XXXXXX";
static uint8_t pictures[N][HEIGHT * WIDTH * 3];
static const char *const attribute_names[2] = {"first", "second"};
static const struct phi_safetensors_pair note = {"set", "test"};

static int make_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < sizeof pictures[i]; k++)
            pictures[i][k] = (uint8_t)(i * 37 + k * 11);
    }
    return mkdtemp(folder) ? 0 : -1;
}

static void remove_file(const char *name)
{
    char path[PHI_PATH_MAX];

    assert_true(phi_path_join(path, sizeof path, folder, name));
    (void)unlink(path);
}

static void remove_files(void)
{
    char name[32];

    for (size_t i = 0; i < N; i++) {
        (void)snprintf(name, sizeof name, "p_%02zu.png", i);
        remove_file(name);
    }
    remove_file("stimuli.safetensors");
    remove_file("attributes.tsv");
    remove_file("sheet.png");
}

static int remove_folder(void **state)
{
    (void)state;
    remove_files();
    return rmdir(folder);
}

static void write_set(bool finish)
{
    const struct phi_stimuli_plan plan = {.folder = folder,
                                          .n = N,
                                          .height = HEIGHT,
                                          .width = WIDTH,
                                          .png = true,
                                          .film = true,
                                          .name_format = "p_%02zu.png",
                                          .attribute_names = attribute_names,
                                          .n_attributes = 2,
                                          .notes = &note,
                                          .n_notes = 1};
    struct phi_stimuli_writer *writer;
    struct ph_error err;

    assert_ok(phi_stimuli_writer_create(&plan, &writer, &err), err);
    for (size_t i = 0; i < N; i++) {
        const double attributes[2] = {(double)i, 0.5};

        assert_int_equal(phi_stimuli_writer_finish(writer, &err), PH_E_STATE);
        assert_ok(phi_stimuli_writer_add(writer, pictures[i], attributes, (int32_t)i / 2, &err),
                  err);
    }
    if (finish)
        assert_ok(phi_stimuli_writer_finish(writer, &err), err);
    phi_stimuli_writer_destroy(&writer);
}

static void check_pictures(const struct phi_stimuli *set)
{
    assert_int_equal(phi_stimuli_count(set), N);
    assert_int_equal(phi_stimuli_width(set), WIDTH);
    assert_int_equal(phi_stimuli_height(set), HEIGHT);
    for (size_t i = 0; i < N; i++)
        assert_memory_equal(phi_stimuli_image(set, i), pictures[i], sizeof pictures[i]);
    assert_string_equal(phi_stimuli_name(set, 3), "p_03.png");
    assert_int_equal(phi_stimuli_find(set, "some/where/p_04.png"), 4);
    assert_true(phi_stimuli_find(set, "absent.png") == SIZE_MAX);
}

static void sets_come_back(void **state)
{
    struct phi_stimuli *set;
    struct ph_error err;
    float values[HEIGHT * WIDTH * 3];
    size_t n;

    (void)state;
    write_set(true);
    assert_ok(phi_stimuli_open(folder, &set, &err), err);
    check_pictures(set);
    assert_near(phi_stimuli_attributes(set, 2, &n)[0], 2, 0);
    assert_int_equal(n, 2);
    assert_int_equal(phi_stimuli_clip(set, 3), 1);
    phi_stimuli_to_float(set, 1, values);
    assert_near(values[4], pictures[1][4] / 255.0, 1e-7);
    phi_stimuli_to_planes(set, 1, values);
    assert_near(values[HEIGHT * WIDTH + 1], pictures[1][4] / 255.0, 1e-7);
    phi_stimuli_close(&set);
    remove_file("stimuli.safetensors");
    assert_ok(phi_stimuli_open(folder, &set, &err), err);
    check_pictures(set);
    phi_stimuli_close(&set);
}

static void bad_folders_are_refused(void **state)
{
    const struct phi_png_pixels odd = {3, 3, 3, pictures[0]};
    struct phi_stimuli *set = NULL;
    struct ph_error err;
    char path[PHI_PATH_MAX];

    (void)state;
    remove_files();
    assert_int_equal(phi_stimuli_open(folder, &set, &err), PH_E_FORMAT);
    write_set(false); /* pictures only */
    assert_true(phi_path_join(path, sizeof path, folder, "p_02.png"));
    assert_ok(phi_png_write(path, &odd, &err), err);
    assert_int_equal(phi_stimuli_open(folder, &set, &err), PH_E_SHAPE);
    assert_non_null(strstr(err.text, "p_02.png"));
    assert_ok(phi_file_write(path, "not a picture", 13, &err), err);
    assert_int_equal(phi_stimuli_open(folder, &set, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "p_02.png"));
    assert_int_equal(phi_stimuli_open("/nonexistent", &set, &err), PH_E_IO);
    assert_null(set);
}

static void sheets_are_laid_out(void **state)
{
    const struct phi_sheet_layout layout = {.n_rows = 2,
                                            .n_cols = 3,
                                            .tile_width = 24,
                                            .tile_height = 18,
                                            .left = 40,
                                            .top = 20,
                                            .caption = 16,
                                            .gap = 2};
    const struct phi_sheet_layout huge = {100, 100, 1000, 1000, 0, 0, 0, 0};
    struct phi_sheet *sheet;
    struct phi_image image;
    struct ph_error err;
    char path[PHI_PATH_MAX];

    (void)state;
    assert_int_equal(phi_sheet_create(&huge, &sheet, &err), PH_E_LIMIT);
    assert_ok(phi_sheet_create(&layout, &sheet, &err), err);
    phi_sheet_put(sheet, (struct phi_sheet_cell){1, 2}, WIDTH, HEIGHT, pictures[1]);
    phi_sheet_put(sheet, (struct phi_sheet_cell){9, 9}, WIDTH, HEIGHT, pictures[1]);
    phi_sheet_caption(sheet, (struct phi_sheet_cell){0, 0}, "a caption longer than its tile");
    phi_sheet_label_row(sheet, 0, "row");
    phi_sheet_label_col(sheet, 0, "col");
    assert_true(phi_path_join(path, sizeof path, folder, "sheet.png"));
    assert_ok(phi_sheet_write(sheet, path, &err), err);
    phi_sheet_destroy(&sheet);
    assert_ok(phi_image_open(path, &image, &err), err);
    assert_int_equal(image.width, 40 + 3 * 24 + 2 * 2);
    assert_int_equal(image.height, 20 + 2 * (18 + 16) + 2);
    /* every source pixel became 2 x 2 of the same colour at the tile's place */
    for (size_t y = 0; y < 18; y++) {
        for (size_t x = 0; x < 24; x++) {
            size_t at = (20 + 36 + y) * image.width + 40 + 2 * 26 + x;

            assert_memory_equal(image.pixels + at * 3, pictures[1] + (y / 2 * WIDTH + x / 2) * 3,
                                3);
        }
    }
    phi_image_fini(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_come_back),
        cmocka_unit_test(bad_folders_are_refused),
        cmocka_unit_test(sheets_are_laid_out),
    };
    return cmocka_run_group_tests_name("tools/stimuli", tests, make_folder, remove_folder);
}
