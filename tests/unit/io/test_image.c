/* SPDX-License-Identifier: MIT
 * PNG keeps every pixel, grey becomes RGB, JPEG comes near; files are known by content; damaged,
 * cut and oversized pictures are refused by name, and no mutation crashes a reader (run under
 * ASan). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jpeglib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/image.h"
#include "io/png.h"
#include "test.h"

#define WIDTH  37
#define HEIGHT 21

static uint8_t pixels[HEIGHT * WIDTH * 3];

/* A smooth picture, so that JPEG loses little. */
static int paint(void **state)
{
    (void)state;
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH; x++) {
            pixels[(y * WIDTH + x) * 3] = (uint8_t)(x * 6);
            pixels[(y * WIDTH + x) * 3 + 1] = (uint8_t)(y * 10);
            pixels[(y * WIDTH + x) * 3 + 2] = (uint8_t)(128 + x - y);
        }
    }
    return 0;
}

/* libjpeg's own encoder; the block is malloc's. */
static unsigned char *make_jpeg(size_t *ret_n_bytes)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n_bytes = 0;

    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n_bytes);
    jpeg.image_width = WIDTH;
    jpeg.image_height = HEIGHT;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < HEIGHT) {
        JSAMPROW row = pixels + (size_t)jpeg.next_scanline * WIDTH * 3;

        (void)jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    *ret_n_bytes = n_bytes;
    return bytes;
}

static void png_keeps_every_pixel(void **state)
{
    const char *path = "phosphene-test-image.jpg"; /* a name that lies about the content */
    const struct phi_png_pixels picture = {WIDTH, HEIGHT, 3, pixels};
    struct phi_image image;
    struct ph_error err;

    (void)state;
    assert_ok(phi_png_write(path, &picture, &err), err);
    assert_ok(phi_image_open(path, &image, &err), err);
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    assert_memory_equal(image.pixels, pixels, sizeof pixels);
    phi_image_fini(&image);
    assert_int_equal(unlink(path), 0);
}

static void grey_becomes_rgb(void **state)
{
    const struct phi_png_pixels picture = {WIDTH, HEIGHT, 1, pixels};
    struct phi_image image;
    struct ph_error err;
    unsigned char *bytes;
    size_t n_bytes;

    (void)state;
    assert_ok(phi_png_format(&picture, &bytes, &n_bytes, &err), err);
    assert_ok(phi_image_parse(bytes, n_bytes, "grey", &image, &err), err);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        for (size_t c = 0; c < 3; c++)
            assert_int_equal(image.pixels[i * 3 + c], pixels[i]);
    }
    phi_image_fini(&image);
    phi_free(bytes);
}

static void jpeg_comes_near(void **state)
{
    struct phi_image image;
    struct ph_error err;
    size_t n_bytes;
    unsigned char *bytes = make_jpeg(&n_bytes);
    double sum = 0;

    (void)state;
    assert_ok(phi_image_parse(bytes, n_bytes, "jpeg", &image, &err), err);
    assert_int_equal(image.width, WIDTH);
    for (size_t i = 0; i < sizeof pixels; i++)
        sum += fabs((double)image.pixels[i] - pixels[i]);
    assert_true(sum / sizeof pixels < 3.0);
    phi_image_fini(&image);
    for (size_t n = n_bytes / 2; n > 100; n -= 50) {
        assert_int_equal(phi_image_parse(bytes, n, "half", &image, &err), PH_E_FORMAT);
        assert_non_null(strstr(err.text, "half"));
    }
    free(bytes);
}

static void damage_is_refused(void **state)
{
    const struct phi_png_pixels picture = {WIDTH, HEIGHT, 3, pixels};
    const struct phi_png_pixels bad = {WIDTH, HEIGHT, 4, pixels};
    struct phi_image image = {0, 0, NULL};
    struct ph_error err;
    unsigned char *bytes;
    size_t n_bytes;

    (void)state;
    assert_int_equal(phi_png_format(&bad, &bytes, &n_bytes, &err), PH_E_INVAL);
    assert_ok(phi_png_format(&picture, &bytes, &n_bytes, &err), err);
    for (size_t n = 0; n + 12 < n_bytes; n++) /* the last chunk, IEND, may be missing */
        assert_int_equal(phi_image_parse(bytes, n, "cut", &image, &err), PH_E_FORMAT);
    bytes[n_bytes / 2] ^= 0x10;
    assert_int_equal(phi_image_parse(bytes, n_bytes, "flipped", &image, &err), PH_E_FORMAT);
    assert_non_null(strstr(err.text, "flipped"));
    assert_int_equal(phi_image_parse("GIF89a..........", 16, "g", &image, &err), PH_E_FORMAT);
    assert_int_equal(phi_image_open("/nonexistent.png", &image, &err), PH_E_IO);
    assert_null(image.pixels);
    phi_free(bytes);
    assert_int_equal(phi_image_init(20000, 1, &image, &err), PH_E_LIMIT);
    assert_int_equal(phi_image_init(0, 1, &image, &err), PH_E_FORMAT);
}

static void mutate(const unsigned char *good, size_t n_bytes, uint64_t seed)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 0);
    for (int i = 0; i < 1000; i++) {
        size_t n = phi_rng_below(&rng, 4) ? n_bytes : phi_rng_below(&rng, n_bytes + 1);
        unsigned char *bytes = malloc(n ? n : 1);
        struct phi_image image = {0, 0, NULL};
        struct ph_error err;

        assert_non_null(bytes);
        memcpy(bytes, good, n);
        for (uint64_t k = phi_rng_below(&rng, 6); n > 0 && k > 0; k--)
            bytes[phi_rng_below(&rng, n)] = (unsigned char)phi_rng_below(&rng, 256);
        if (phi_image_parse(bytes, n, "mutant", &image, &err) >= 0)
            assert_true(image.width > 0 && image.pixels);
        else
            assert_null(image.pixels);
        phi_image_fini(&image);
        free(bytes);
    }
}

static void mutations_do_no_harm(void **state)
{
    const struct phi_png_pixels picture = {WIDTH, HEIGHT, 3, pixels};
    struct ph_error err;
    unsigned char *png;
    unsigned char *jpeg;
    size_t n_bytes;

    (void)state;
    assert_ok(phi_png_format(&picture, &png, &n_bytes, &err), err);
    mutate(png, n_bytes, 1);
    phi_free(png);
    jpeg = make_jpeg(&n_bytes);
    mutate(jpeg, n_bytes, 2);
    free(jpeg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_keeps_every_pixel), cmocka_unit_test(grey_becomes_rgb),
        cmocka_unit_test(jpeg_comes_near),       cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(mutations_do_no_harm),
    };
    return cmocka_run_group_tests_name("io/image", tests, paint, NULL);
}
