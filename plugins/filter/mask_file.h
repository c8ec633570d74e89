/* SPDX-License-Identifier: MIT
 *
 * A region from a NIfTI image on the grid of the volumes, for stages that take a mask as a file.
 * Header-only; set-up code.
 */
#ifndef PLUGINS_FILTER_MASK_FILE_H
#define PLUGINS_FILTER_MASK_FILE_H

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/nifti_file.h"
#include "signal/geometry.h"
#include "signal/mask.h"

#define MASK_FILE_MAX_BYTES ((size_t)1 << 30)

/* Loads the voxels of `path` above `threshold`; the image must lie on `geometry`. The mask is the
 * caller's, freed with phi_mask_destroy. */
static inline enum ph_status mask_file_load(const char *path, const struct ph_geometry *geometry,
                                            double threshold, struct phi_mask **ret_mask,
                                            struct ph_error *reterr)
{
    struct phi_grid own = phi_grid_from_geometry(geometry);
    struct phi_grid grid = {.affine = phi_affine_identity()};
    struct phi_nifti_info info;
    struct phi_mask *mask = NULL;
    float *values = NULL;
    enum ph_status status =
        phi_nifti_read_float32(path, MASK_FILE_MAX_BYTES, &info, &values, reterr);

    if (status == PH_OK)
        status = phi_mask_create(&own, &mask, reterr);
    if (status == PH_OK) {
        grid.n[0] = info.n_x;
        grid.n[1] = info.n_y;
        grid.n[2] = info.n_z;
        memcpy(grid.affine.m, info.affine, sizeof info.affine);
        status = phi_mask_check(mask, &grid, path, reterr);
    }
    if (status == PH_OK && info.n_volumes != 1)
        status = phi_error(reterr, PH_E_SHAPE, "'%s' has %u volumes; a mask has one", path,
                           info.n_volumes);
    if (status == PH_OK && phi_mask_from_values(mask, values, (float)threshold) != PH_OK)
        status = phi_error(reterr, PH_E_INVAL, "'%s' has no voxel above %g", path, threshold);
    phi_free(values);
    if (status != PH_OK) {
        phi_mask_destroy(&mask);
        return status;
    }
    *ret_mask = mask;
    return PH_OK;
}

#endif
