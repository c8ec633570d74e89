/* SPDX-License-Identifier: MIT
 *
 * Cubic B-spline interpolation of a volume (Unser 1999): prefilter once, then sample anywhere
 * inside the grid; the spline goes through the voxels' values. Mirrored at the borders. float32
 * values, positions in float64. Values that are not finite count as 0. One object, one thread;
 * sampling only reads.
 */
#ifndef PHI_SIGNAL_BSPLINE_H
#define PHI_SIGNAL_BSPLINE_H

#include "signal/affine.h"
#include "signal/spatial_kernels.h"

struct phi_bspline;

/* Memory for volumes of n[3] voxels, below 2^30 in all. Owned by the caller. */
PH_NODISCARD enum ph_status phi_bspline_create(const size_t n[3], struct phi_bspline **ret_spline,
                                               struct ph_error *reterr);

/* Frees it; accepts NULL and *spline == NULL, clears *spline. */
void phi_bspline_destroy(struct phi_bspline **spline);

/* Takes volume[nz][ny][nx] in. Returns how many values were not finite and were taken as 0. */
size_t phi_bspline_prefilter(struct phi_bspline *spline, const float *volume);

/* Where the coefficients lie: what phi_spatial_kernels' sample wants. To write coefficients by
 * other means (smoothing) fill `origin` by the view's strides, then call phi_bspline_mirror. */
struct phi_spline_view phi_bspline_view(const struct phi_bspline *spline);

/* The writable coefficient of voxel 0, 0, 0. */
float *phi_bspline_origin(struct phi_bspline *spline);

/* Fills the room around the coefficients by mirroring. */
void phi_bspline_mirror(struct phi_bspline *spline);

/* out[nz][ny][nx] on a grid of n[3] voxels: the spline at map (voxel of that grid -> voxel of the
 * spline), slices first_slice <= z < last_slice only. Up to half a voxel beyond the grid the
 * border's value holds; further outside: 0. Returns how many voxels lie there. Threads may work on
 * different slices. */
size_t phi_bspline_reslice(const struct phi_bspline *spline, const struct phi_affine *map,
                           const size_t n[3], size_t first_slice, size_t last_slice, float *out);

#endif
