/* SPDX-License-Identifier: MIT */
#include "host/spec.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define MAX_PAYLOAD_BYTES ((size_t)4 << 30)

enum ph_status phi_spec_bytes(const struct ph_spec *spec, size_t *ret_n_bytes,
                              struct ph_error *reterr)
{
    size_t n_bytes = spec->dtype == PH_DTYPE_F32 ? 4 : spec->dtype == PH_DTYPE_U8 ? 1 : 0;

    if (n_bytes == 0 || spec->rank == 0 || spec->rank > 4)
        return phi_error(reterr, PH_E_SHAPE, "an edge of type %u and rank %u cannot be planned",
                         (unsigned)spec->dtype, (unsigned)spec->rank);
    for (uint32_t i = 0; i < spec->rank; i++)
        if (!phi_mul_size(n_bytes, spec->dims[i], &n_bytes) || n_bytes > MAX_PAYLOAD_BYTES)
            return phi_error(reterr, PH_E_LIMIT, "a frame would be larger than 4 GiB");
    if (n_bytes == 0)
        return phi_error(reterr, PH_E_SHAPE, "a frame would have no elements");
    *ret_n_bytes = n_bytes;
    return PH_OK;
}

void phi_quality_clear(struct ph_quality *quality)
{
    *quality = (struct ph_quality){
        .motion = {NAN, NAN, NAN, NAN, NAN, NAN},
        .fd_mm = NAN,
        .fd_jenkinson_mm = NAN,
        .dvars = NAN,
        .std_dvars = NAN,
        .tsnr = NAN,
        .global_signal = NAN,
        .outlier_fraction = NAN,
        .gcor = NAN,
        .drift_percent = NAN,
        .csf = NAN,
        .white_matter = NAN,
        .n_spikes = NAN,
    };
}

void phi_frame_shape(struct ph_frame *frame, const struct ph_spec *spec)
{
    void *data = frame->data;
    size_t capacity_bytes = frame->capacity_bytes;

    *frame = (struct ph_frame){
        .struct_size = (uint32_t)sizeof *frame,
        .kind = spec->kind,
        .dtype = spec->dtype,
        .rank = spec->rank,
        .layout = spec->layout,
        .capacity_bytes = capacity_bytes,
        .data = data,
    };
    memcpy(frame->dims, spec->dims, sizeof frame->dims);
    phi_quality_clear(&frame->quality);
}

void phi_frame_inherit(struct ph_frame *out, const struct ph_frame *in)
{
    out->index = in->index;
    if (in->kind == PH_FRAME_VECTOR && out->kind == PH_FRAME_VECTOR)
        out->layout = in->layout;
    out->acquired_s = in->acquired_s;
    out->sent_ns = in->sent_ns;
    out->received_ns = in->received_ns;
    out->flags = in->flags;
    out->quality = in->quality;
    out->n_signals = in->n_signals;
    memcpy(out->signals, in->signals, sizeof out->signals);
}

struct ph_spec phi_spec_volume(const struct ph_geometry *geometry, uint32_t n_volumes)
{
    return (struct ph_spec){
        .struct_size = (uint32_t)sizeof(struct ph_spec),
        .kind = PH_FRAME_VOLUME,
        .dtype = PH_DTYPE_F32,
        .rank = 3,
        .dims = {geometry->dims[2], geometry->dims[1], geometry->dims[0], 0},
        .n_volumes = n_volumes,
        .geometry = *geometry,
        .chain = "",
    };
}
