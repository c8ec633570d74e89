/* SPDX-License-Identifier: MIT
 *
 * The voxels that take part: made from a stored mask, or computed from a mean volume, and the two
 * copies between a volume and the vector of its inside voxels (ascending voxel order). All memory
 * is taken at creation; computing may run on the live path. One object, one thread; gather and
 * scatter only read it.
 */
#ifndef PHI_SIGNAL_MASK_H
#define PHI_SIGNAL_MASK_H

#include <stdint.h>

#include "signal/affine.h"

struct phi_mask {
    struct phi_grid grid;
    size_t n_voxels; /* inside; 0 until filled */
    uint32_t *index; /* [n_voxels], ascending voxel numbers */
    uint8_t *inside; /* [nz][ny][nx], 0 or 1 */
    uint8_t *work;   /* same size */
    uint32_t *stack; /* same count, for flood fills */
};

/* An empty mask for volumes of `grid` (below 2^31 voxels). Owned by the caller. */
PH_NODISCARD enum ph_status phi_mask_create(const struct phi_grid *grid, struct phi_mask **ret_mask,
                                            struct ph_error *reterr);

/* Frees it; accepts NULL and *mask == NULL, clears *mask. */
void phi_mask_destroy(struct phi_mask **mask);

/* Fills the mask with the voxels where values[nz][ny][nx] > threshold (NaN is outside).
 * PH_E_INVAL, mask empty, if there are none. */
PH_NODISCARD enum ph_status phi_mask_from_values(struct phi_mask *mask, const float *values,
                                                 float threshold);

/* Fills the mask with the brain in mean[nz][ny][nx]: values above the clip level, opened by one
 * voxel, largest part (six neighbours), inner holes filled. PH_E_INVAL, mask empty, if the volume
 * has no positive finite values or nothing is left. About 10 ms for 96 x 96 x 60. */
PH_NODISCARD enum ph_status phi_mask_from_mean(struct phi_mask *mask, const float *mean);

/* The clip level of values[n]: half the median of the values above it, found by iteration from half
 * the 98th percentile of the positive values (the idea of AFNI's 3dClipLevel), to 1.5 %. 0 if no
 * value is positive and finite. */
float phi_mask_clip_level(const float *values, size_t n);

/* PH_OK if `grid` is the mask's: same dims, affine within 0.01 mm. PH_E_SHAPE with both geometries
 * in the text otherwise; `what` names the volume. */
PH_NODISCARD enum ph_status phi_mask_check(const struct phi_mask *mask, const struct phi_grid *grid,
                                           const char *what, struct ph_error *reterr);

/* vector[n_voxels] = the inside voxels of volume[nz][ny][nx]. */
void phi_mask_gather(const struct phi_mask *mask, const float *volume, float *vector);

/* volume[nz][ny][nx] = vector[n_voxels] inside, `outside` elsewhere. */
void phi_mask_scatter(const struct phi_mask *mask, const float *vector, float outside,
                      float *volume);

#endif
