/* SPDX-License-Identifier: MIT
 *
 * Pictures as 8-bit RGB in memory: PNG and JPEG read by their content, not their name, and PNG
 * written. Sizes are checked before memory is asked for. Thread-safe on separate images.
 */
#ifndef PHI_IO_IMAGE_H
#define PHI_IO_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_IMAGE_MAX_SIDE   16384
#define PHI_IMAGE_MAX_PIXELS ((size_t)64 << 20)
#define PHI_IMAGE_MAX_BYTES  ((size_t)256 << 20)

/* `pixels` are owned by the image and freed with phi_image_fini. */
struct phi_image {
    size_t width;
    size_t height;
    uint8_t *pixels; /* [height][width][3] */
};

/* A black picture. */
PH_NODISCARD enum ph_status phi_image_init(size_t width, size_t height, struct phi_image *ret_image,
                                           struct ph_error *reterr);

/* Reads a PNG or JPEG file. Transparent pixels are laid over black; grey and palette become RGB;
 * 16-bit and gamma-coded PNG become 8-bit sRGB. PH_E_FORMAT for anything else, damaged or cut
 * short, PH_E_LIMIT when larger than the limits above. */
PH_NODISCARD enum ph_status phi_image_open(const char *path, struct phi_image *ret_image,
                                           struct ph_error *reterr);

/* As open, from memory; `name` stands for the path in error texts. */
PH_NODISCARD enum ph_status phi_image_parse(const void *bytes, size_t n_bytes, const char *name,
                                            struct phi_image *ret_image, struct ph_error *reterr);

/* Frees the pixels; accepts NULL and zeroed images. */
void phi_image_fini(struct phi_image *image);

#endif
