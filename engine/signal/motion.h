/* SPDX-License-Identifier: MIT
 *
 * Framewise displacement between two rigid poses (image -> reference, SPM parameters: mm and rad).
 * Pure functions, safe from any thread. A non-finite pose gives NaN, never a small number.
 */
#ifndef PHI_SIGNAL_MOTION_H
#define PHI_SIGNAL_MOTION_H

#include "signal/affine.h"

/* Radius of the sphere on which Power's measure turns rotations into mm. */
#define PHI_FD_POWER_RADIUS_MM 50.0
/* Radius of the sphere over which Jenkinson's measure averages. */
#define PHI_FD_JENKINSON_RADIUS_MM 80.0

/* |dx| + |dy| + |dz| + 50 mm (|d pitch| + |d roll| + |d yaw|) in mm (Power et al. 2012). */
double phi_motion_fd_power(const double previous[6], const double current[6]);

/* Root mean square displacement in mm over a sphere of 80 mm around `centre_mm` (world) between
 * the poses: D = M_t inv(M_t-1) - I, sqrt(R^2/5 tr(D3'D3) + |t + D3 c|^2) (Jenkinson 1999). */
double phi_motion_fd_jenkinson(const struct phi_affine *previous, const struct phi_affine *current,
                               const double centre_mm[3]);

#endif
