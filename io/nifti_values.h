/* SPDX-License-Identifier: MIT
 *
 * Voxel values: from any stored type and byte order to float32, and from float32 to a type for
 * writing. Pure functions without allocation, fit for the live path; thread-safe.
 */
#ifndef PHI_IO_NIFTI_VALUES_H
#define PHI_IO_NIFTI_VALUES_H

#include <stddef.h>

#include "io/nifti.h"

/* out[i] = slope * stored[i] + inter for i < n, computed in float64 and rounded once to float32.
 * `data` holds n voxels of info->type in the image's byte order, at any alignment. NaN and infinity
 * stay what they are. */
void phi_nifti_to_float32(const struct phi_nifti_info *info, const unsigned char *data, size_t n,
                          float *out);

/* The other way, in the byte order of `info`: (value - inter) / slope, for integer types rounded to
 * nearest (ties to even) and held to the type's range, NaN stored as 0. `slope` must not be 0. */
void phi_nifti_from_float32(const struct phi_nifti_info *info, const float *values, size_t n,
                            unsigned char *out);

#endif
