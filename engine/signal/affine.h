/* SPDX-License-Identifier: MIT
 *
 * 4 x 4 transforms in float64 and the six rigid parameters in SPM's convention and order: x, y, z
 * (mm), pitch, roll, yaw (rad). World space is RAS+ mm, points are column vectors, voxel indices
 * start at 0 as in NIfTI. Pure functions, safe from any thread. Results may alias inputs.
 */
#ifndef PHI_SIGNAL_AFFINE_H
#define PHI_SIGNAL_AFFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_affine {
    double m[4][4]; /* [row][column], last row 0 0 0 1 */
};

/* A sampling grid: n[0] columns (x, fastest in memory), n[1] rows, n[2] slices. */
struct phi_grid {
    size_t n[3];
    struct phi_affine affine; /* voxel index -> world mm */
};

/* The identity. */
struct phi_affine phi_affine_identity(void);

/* T Rx Ry Rz of params[6], with Rx = [1 0 0; 0 c s; 0 -s c], Ry = [c 0 s; 0 1 0; -s 0 c] and
 * Rz = [c s 0; -s c 0; 0 0 1] (SPM's spm_matrix for rigid transforms). */
struct phi_affine phi_affine_from_params(const double params[6]);

/* The parameters of a rigid transform, roll within +-90 degrees (the inverse of the above). */
void phi_affine_to_params(const struct phi_affine *rigid, double ret_params[6]);

/* a times b: apply b first. */
struct phi_affine phi_affine_multiply(const struct phi_affine *a, const struct phi_affine *b);

/* *ret = inverse of `a`. PH_E_INVAL, *ret untouched, if it is singular or not finite. */
PH_NODISCARD enum ph_status phi_affine_invert(const struct phi_affine *a, struct phi_affine *ret);

/* ret_point = a times point; both world or voxel coordinates as `a` asks. */
void phi_affine_apply(const struct phi_affine *a, const double point[3], double ret_point[3]);

/* The map from voxel indices of the reference to voxel indices of the image at which to sample it:
 * inv(image_to_reference * image affine) * reference affine. PH_E_INVAL if that is singular. */
PH_NODISCARD enum ph_status phi_affine_voxel_map(const struct phi_affine *image_to_reference,
                                                 const struct phi_affine *image,
                                                 const struct phi_affine *reference,
                                                 struct phi_affine *ret);

/* Lengths in mm of one step along each voxel axis. */
void phi_affine_voxel_size(const struct phi_affine *affine, double ret_mm[3]);

/* True if no element differs by more than `tolerance` (mm); false if any is NaN. */
bool phi_affine_near(const struct phi_affine *a, const struct phi_affine *b, double tolerance);

/* Number of voxels of a grid; 0 if an axis is empty or the product overflows. */
size_t phi_grid_count(const struct phi_grid *grid);

/* Checks that a grid has 1 to 4096 voxels an axis and an invertible, finite affine; `what` names it
 * in the error ("reference volume"). PH_E_SHAPE or PH_E_INVAL otherwise. */
PH_NODISCARD enum ph_status phi_grid_check(const struct phi_grid *grid, const char *what,
                                           struct ph_error *reterr);

#endif
