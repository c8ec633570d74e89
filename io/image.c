/* SPDX-License-Identifier: MIT */
#include "io/image.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/jpeg.h"
#include "io/png.h"

enum ph_status phi_image_init(size_t width, size_t height, struct phi_image *ret_image,
                              struct ph_error *reterr)
{
    uint8_t *pixels;

    if (width == 0 || height == 0)
        return phi_error(reterr, PH_E_FORMAT, "the picture is %zu x %zu pixels", width, height);
    if (width > PHI_IMAGE_MAX_SIDE || height > PHI_IMAGE_MAX_SIDE ||
        width * height > PHI_IMAGE_MAX_PIXELS)
        return phi_error(reterr, PH_E_LIMIT, "the picture is %zu x %zu pixels, larger than is read",
                         width, height);
    pixels = phi_calloc2(width, height, 3);
    if (!pixels)
        return phi_error_nomem(reterr, "a picture", width * height * 3);
    *ret_image = (struct phi_image){width, height, pixels};
    return PH_OK;
}

void phi_image_fini(struct phi_image *image)
{
    if (!image)
        return;
    phi_free(image->pixels);
    *image = (struct phi_image){0, 0, NULL};
}

enum ph_status phi_image_parse(const void *bytes, size_t n_bytes, const char *name,
                               struct phi_image *ret_image, struct ph_error *reterr)
{
    enum ph_status status;

    if (phi_png_recognise(bytes, n_bytes))
        status = phi_png_parse(bytes, n_bytes, ret_image, reterr);
    else if (phi_jpeg_recognise(bytes, n_bytes))
        status = phi_jpeg_parse(bytes, n_bytes, ret_image, reterr);
    else
        return phi_error(reterr, PH_E_FORMAT, "'%s' is neither PNG nor JPEG", name);
    if (status < 0)
        (void)phi_error_prefix(reterr, "'%.300s'", name);
    return status;
}

enum ph_status phi_image_open(const char *path, struct phi_image *ret_image,
                              struct ph_error *reterr)
{
    unsigned char *bytes;
    size_t n_bytes;
    enum ph_status status = phi_file_read(path, PHI_IMAGE_MAX_BYTES, &bytes, &n_bytes, reterr);

    if (status < 0)
        return status;
    status = phi_image_parse(bytes, n_bytes, path, ret_image, reterr);
    phi_free(bytes);
    return status;
}
