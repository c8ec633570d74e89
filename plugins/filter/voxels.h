/* SPDX-License-Identifier: MIT
 *
 * What the filters on voxel values have in common: which frames they may touch, and which they may
 * learn from. Header-only; calls follow the thread of the stage.
 */
#ifndef PLUGINS_FILTER_VOXELS_H
#define PLUGINS_FILTER_VOXELS_H

#include "base/error.h"
#include "phosphene/plugin.h"
#include "signal/finite.h"

enum voxels_use {
    VOXELS_NOTHING = 0, /* the payload has no meaning: pass it on */
    VOXELS_APPLY = 1,   /* change it as usual, but learn nothing from it */
    VOXELS_LEARN = 2
};

/* What to do with a frame. Values that are not finite are found here and mark the frame. */
static inline enum voxels_use voxels_use_of(struct ph_frame *frame)
{
    size_t n = ph_frame_count(frame);

    if (n == 0 || frame->flags & ((uint32_t)PH_FLAG_GAP | (uint32_t)PH_FLAG_INVALID))
        return VOXELS_NOTHING;
    if (!phi_all_finite(frame->data, n)) {
        frame->flags |= (uint32_t)PH_FLAG_INVALID;
        return VOXELS_NOTHING;
    }
    return frame->flags & PH_FLAGS_UNUSABLE ? VOXELS_APPLY : VOXELS_LEARN;
}

/* The most voxels a frame of this spec has. */
static inline size_t voxels_capacity(const struct ph_spec *spec)
{
    size_t n = spec->rank ? 1 : 0;

    for (uint32_t i = 0; i < spec->rank; i++)
        n *= spec->dims[i];
    return n;
}

/* PH_OK for volumes and vectors of float32. */
static inline enum ph_status voxels_check(const struct ph_spec *spec, struct ph_error *reterr)
{
    if ((spec->kind != PH_FRAME_VOLUME && spec->kind != PH_FRAME_VECTOR) ||
        spec->dtype != PH_DTYPE_F32 || voxels_capacity(spec) == 0)
        return phi_error(reterr, PH_E_SHAPE,
                         "this filter takes volumes or mask vectors: place it before the decoder");
    return PH_OK;
}

/* The plan of filters whose output is like their input. */
static inline enum ph_status voxels_plan(const void *params, const struct ph_spec *in,
                                         struct ph_spec *ret_out, struct ph_error *reterr)
{
    (void)params;
    (void)ret_out;
    return voxels_check(in, reterr);
}

/* Completes a plugin that has one stage type: its table, and the export. */
#define VOXELS_PLUGIN(symbol, plugin_name, type)                                                   \
    static const struct ph_stage_type *const types[] = {&(type)};                                  \
    static const struct ph_plugin plugin = {                                                       \
        .struct_size = sizeof plugin,                                                              \
        .abi_major = PH_ABI_MAJOR,                                                                 \
        .abi_minor = 0,                                                                            \
        .n_types = 1,                                                                              \
        .name = (plugin_name),                                                                     \
        .version = "1.0",                                                                          \
        .licence = "MIT",                                                                          \
        .types = types,                                                                            \
    };                                                                                             \
    PH_PLUGIN_EXPORT(symbol, plugin)

#endif
