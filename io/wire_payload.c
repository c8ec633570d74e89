/* SPDX-License-Identifier: MIT */
#include "io/wire_payload.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"
#include "base/mem.h"

#define HEADER_ROOM 4096 /* header and extensions */

struct phi_wire_decoder {
    ZSTD_DCtx *zstd;
    unsigned char *image; /* [capacity] */
    size_t capacity;
    size_t max_bytes;
};

enum ph_status phi_wire_decoder_create(size_t max_bytes, struct phi_wire_decoder **ret_decoder,
                                       struct ph_error *reterr)
{
    struct phi_wire_decoder *decoder = phi_calloc(1, sizeof *decoder);

    if (decoder) {
        decoder->max_bytes = max_bytes;
        decoder->zstd = ZSTD_createDCtx();
    }
    if (!decoder || !decoder->zstd) {
        phi_wire_decoder_destroy(&decoder);
        return phi_error_nomem(reterr, "decompression", max_bytes);
    }
    *ret_decoder = decoder;
    return PH_OK;
}

enum ph_status phi_wire_decoder_reserve(struct phi_wire_decoder *decoder,
                                        const struct phi_wire_message *hello,
                                        struct ph_error *reterr)
{
    size_t n = phi_nifti_type_bytes(phi_nifti_type_of_name(hello->datatype));

    if (!phi_mul_size(n, hello->dims[0], &n) || !phi_mul_size(n, hello->dims[1], &n) ||
        !phi_mul_size(n, hello->dims[2], &n) || !phi_add_size(n, HEADER_ROOM, &n) ||
        n > decoder->max_bytes)
        return phi_error(reterr, PH_E_LIMIT, "the images that HELLO announces are too large");
    if (n <= decoder->capacity)
        return PH_OK;
    phi_free(decoder->image);
    decoder->image = phi_calloc(n, 1);
    decoder->capacity = decoder->image ? n : 0;
    return decoder->image ? PH_OK : phi_error_nomem(reterr, "decompression", n);
}

void phi_wire_decoder_destroy(struct phi_wire_decoder **decoder)
{
    if (!decoder || !*decoder)
        return;
    (void)ZSTD_freeDCtx((*decoder)->zstd);
    phi_free((*decoder)->image);
    phi_free(*decoder);
    *decoder = NULL;
}

uint32_t phi_wire_crc32(const void *bytes, size_t n_bytes)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, n_bytes);
}

/* zstd writes at most `capacity` bytes, whatever the frame claims. */
static enum ph_status decompress(struct phi_wire_decoder *decoder, const void *payload,
                                 size_t n_payload, size_t *ret_n, struct ph_error *reterr)
{
    size_t n =
        ZSTD_decompressDCtx(decoder->zstd, decoder->image, decoder->capacity, payload, n_payload);

    if (ZSTD_isError(n))
        return phi_error(reterr, PH_E_FORMAT, "the payload cannot be decompressed: %s",
                         ZSTD_getErrorName(n));
    *ret_n = n;
    return PH_OK;
}

static enum ph_status open_image(struct phi_wire_decoder *decoder,
                                 const struct phi_wire_message *volume, const void *payload,
                                 size_t n_payload, struct phi_wire_image *ret_image,
                                 struct ph_error *reterr)
{
    enum ph_status status;

    if (volume->encoding == PHI_WIRE_NIFTI_ZSTD) {
        status = decompress(decoder, payload, n_payload, &n_payload, reterr);
        if (status)
            return status;
        payload = decoder->image;
    }
    status =
        phi_nifti_parse(payload, n_payload, "payload", &ret_image->info, &ret_image->data, reterr);
    if (!status && ret_image->info.n_volumes != 1)
        status = phi_error(reterr, PH_E_SHAPE, "the payload has %u volumes; one is sent at a time",
                           ret_image->info.n_volumes);
    return status;
}

enum ph_status phi_wire_decode(struct phi_wire_decoder *decoder,
                               const struct phi_wire_message *volume, const void *payload,
                               size_t n_payload, struct phi_wire_image *ret_image,
                               struct ph_error *reterr)
{
    struct phi_wire_image image = {.code = ""};
    uint32_t crc = phi_wire_crc32(payload, n_payload);
    enum ph_status status;

    if (crc != volume->crc32) {
        ret_image->code = "crc";
        return phi_error(reterr, PH_E_FORMAT, "the payload's CRC-32 is %u, field crc32 says %u",
                         crc, volume->crc32);
    }
    status = open_image(decoder, volume, payload, n_payload, &image, reterr);
    if (status) {
        ret_image->code = "image";
        return status;
    }
    *ret_image = image;
    return PH_OK;
}

bool phi_wire_fits_hello(const struct phi_nifti_info *info, const struct phi_wire_message *hello)
{
    return info->n_x == hello->dims[0] && info->n_y == hello->dims[1] &&
           info->n_z == hello->dims[2] &&
           strcmp(phi_nifti_type_name((int)info->type), hello->datatype) == 0;
}
