/* SPDX-License-Identifier: MIT
 *
 * libpng's simplified interface does all conversions and needs no setjmp of ours. */
#include "io/png.h"

#include <png.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/file.h"

int phi_png_recognise(const void *bytes, size_t n_bytes)
{
    return n_bytes >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static enum ph_status decode(png_image *png, struct phi_image *ret_image, struct ph_error *reterr)
{
    const png_color black = {0, 0, 0};
    struct phi_image image = {0, 0, NULL};
    enum ph_status status = phi_image_init(png->width, png->height, &image, reterr);

    if (status < 0)
        return status;
    png->format = PNG_FORMAT_RGB;
    if (!png_image_finish_read(png, &black, image.pixels, 0, NULL)) {
        phi_image_fini(&image);
        return phi_error(reterr, PH_E_FORMAT, "damaged PNG: %s", png->message);
    }
    *ret_image = image;
    return PH_OK;
}

enum ph_status phi_png_parse(const void *bytes, size_t n_bytes, struct phi_image *ret_image,
                             struct ph_error *reterr)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    enum ph_status status;

    if (!png_image_begin_read_from_memory(&png, bytes, n_bytes))
        return phi_error(reterr, PH_E_FORMAT, "damaged PNG: %s", png.message);
    status = decode(&png, ret_image, reterr);
    png_image_free(&png);
    return status;
}

static enum ph_status check_picture(const struct phi_png_pixels *picture, struct ph_error *reterr)
{
    if (picture->n_channels != 1 && picture->n_channels != 3)
        return phi_error(reterr, PH_E_INVAL, "a picture of %zu channels cannot be a PNG here",
                         picture->n_channels);
    if (picture->width == 0 || picture->height == 0 || picture->width > PHI_IMAGE_MAX_SIDE ||
        picture->height > PHI_IMAGE_MAX_SIDE)
        return phi_error(reterr, PH_E_LIMIT, "a picture of %zu x %zu pixels cannot be written",
                         picture->width, picture->height);
    return PH_OK;
}

enum ph_status phi_png_format(const struct phi_png_pixels *picture, unsigned char **ret_bytes,
                              size_t *ret_n_bytes, struct ph_error *reterr)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    enum ph_status status = check_picture(picture, reterr);
    unsigned char *bytes;
    png_alloc_size_t n_bytes;

    if (status < 0)
        return status;
    png.width = (png_uint_32)picture->width;
    png.height = (png_uint_32)picture->height;
    png.format = picture->n_channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    n_bytes = PNG_IMAGE_PNG_SIZE_MAX(png);
    bytes = phi_calloc(n_bytes, 1);
    if (!bytes)
        return phi_error_nomem(reterr, "a PNG file", n_bytes);
    if (!png_image_write_to_memory(&png, bytes, &n_bytes, 0, picture->pixels, 0, NULL)) {
        phi_free(bytes);
        return phi_error(reterr, PH_E_INTERNAL, "PNG cannot be made: %s", png.message);
    }
    *ret_bytes = bytes;
    *ret_n_bytes = n_bytes;
    return PH_OK;
}

enum ph_status phi_png_write(const char *path, const struct phi_png_pixels *picture,
                             struct ph_error *reterr)
{
    unsigned char *bytes;
    size_t n_bytes;
    enum ph_status status = phi_png_format(picture, &bytes, &n_bytes, reterr);

    if (status < 0)
        return phi_error_prefix(reterr, "'%.300s'", path);
    status = phi_file_write(path, bytes, n_bytes, reterr);
    phi_free(bytes);
    return status;
}
