/* SPDX-License-Identifier: MIT
 *
 * PNG files from 8-bit pixels in memory and back, through libpng. The same pixels give the same
 * bytes. Thread-safe.
 */
#ifndef PHI_IO_PNG_H
#define PHI_IO_PNG_H

#include "io/image.h"

/* Writes pixels[height][width][n_channels], n_channels 1 (grey) or 3 (RGB), to `path`, atomically.
 */
struct phi_png_pixels {
    size_t width;
    size_t height;
    size_t n_channels;
    const uint8_t *pixels;
};
PH_NODISCARD enum ph_status phi_png_write(const char *path, const struct phi_png_pixels *picture,
                                          struct ph_error *reterr);

/* As write, to a new block freed with phi_free. */
PH_NODISCARD enum ph_status phi_png_format(const struct phi_png_pixels *picture,
                                           unsigned char **ret_bytes, size_t *ret_n_bytes,
                                           struct ph_error *reterr);

/* True if the bytes begin as PNG files do. */
int phi_png_recognise(const void *bytes, size_t n_bytes);

/* The picture in PNG bytes; see phi_image_parse. Errors lack the name. */
PH_NODISCARD enum ph_status phi_png_parse(const void *bytes, size_t n_bytes,
                                          struct phi_image *ret_image, struct ph_error *reterr);

#endif
