/* SPDX-License-Identifier: MIT
 *
 * The payload frame of a VOLUME: checksum, decompression, and whether it is the image that HELLO
 * announced. Memory is taken when the run's HELLO is known, never by a payload. A decoder belongs
 * to one thread.
 */
#ifndef PHI_IO_WIRE_PAYLOAD_H
#define PHI_IO_WIRE_PAYLOAD_H

#include "io/nifti.h"
#include "io/wire.h"

struct phi_wire_decoder;

/* An opened payload. */
struct phi_wire_image {
    struct phi_nifti_info info;
    const unsigned char
        *data;        /* the voxels: in the payload, or in the decoder until its next use */
    const char *code; /* for the ERROR message when it was refused, else "" */
};

/* A decoder for images of at most `max_bytes` bytes, header included. Owned by the caller. */
PH_NODISCARD enum ph_status phi_wire_decoder_create(size_t max_bytes,
                                                    struct phi_wire_decoder **ret_decoder,
                                                    struct ph_error *reterr);

/* Takes the memory to unpack the images that `hello` announces; compressed ones are refused before.
 * PH_E_LIMIT if they are larger than the decoder's max_bytes. */
PH_NODISCARD enum ph_status phi_wire_decoder_reserve(struct phi_wire_decoder *decoder,
                                                     const struct phi_wire_message *hello,
                                                     struct ph_error *reterr);

/* Frees; accepts NULL and *decoder == NULL, clears *decoder. */
void phi_wire_decoder_destroy(struct phi_wire_decoder **decoder);

/* Checks and opens the payload of `volume`. Refused: a wrong crc32 (code "crc"), damaged or too
 * large compression and images that are not one whole 3-D volume ("image"); of *ret_image only the
 * code is set then. */
PH_NODISCARD enum ph_status phi_wire_decode(struct phi_wire_decoder *decoder,
                                            const struct phi_wire_message *volume,
                                            const void *payload, size_t n_payload,
                                            struct phi_wire_image *ret_image,
                                            struct ph_error *reterr);

/* zlib's CRC-32 of a frame. */
uint32_t phi_wire_crc32(const void *bytes, size_t n_bytes);

/* Whether `info` is an image as `hello` announced it: same dims and datatype. */
bool phi_wire_fits_hello(const struct phi_nifti_info *info, const struct phi_wire_message *hello);

#endif
