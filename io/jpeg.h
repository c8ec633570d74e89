/* SPDX-License-Identifier: MIT
 *
 * JPEG pictures read through libjpeg. Thread-safe.
 */
#ifndef PHI_IO_JPEG_H
#define PHI_IO_JPEG_H

#include "io/image.h"

/* True if the bytes begin as JPEG files do. */
int phi_jpeg_recognise(const void *bytes, size_t n_bytes);

/* The picture in JPEG bytes, grey or colour; see phi_image_parse. Errors lack the name. */
PH_NODISCARD enum ph_status phi_jpeg_parse(const void *bytes, size_t n_bytes,
                                           struct phi_image *ret_image, struct ph_error *reterr);

#endif
