/* SPDX-License-Identifier: MIT
 *
 * Gaussian smoothing of a volume, in float32. Near the border, and near the edge of a mask, the
 * kernel is divided by the part of it that lies inside (normalised convolution), so a constant
 * stays constant and nothing leaks in from outside. Values that are not finite count as 0.
 *
 * Two ways give the same result to float32 rounding: separable sums, and FFTW for kernels so wide
 * that sums lose; AUTO takes the cheaper one by a fixed rule (docs/measurements.md), never by
 * timing, so the choice and thus the bits are the same everywhere. One object belongs to one
 * thread at a time, except that different parts may be processed at once.
 */
#ifndef PHI_SIGNAL_SMOOTH_H
#define PHI_SIGNAL_SMOOTH_H

#include <stdint.h>

#include "signal/affine.h"

struct phi_smooth;

enum phi_smooth_method {
    PHI_SMOOTH_AUTO = 0,
    PHI_SMOOTH_SEPARABLE = 1,
    PHI_SMOOTH_FFT = 2 /* one part only */
};

struct phi_smooth_config {
    double fwhm_mm[3];   /* along the x, y and z voxel axes; 0 leaves an axis alone */
    uint32_t method;     /* enum phi_smooth_method */
    uint32_t n_parts;    /* slabs that may be processed at once; 0 means 1 */
    const uint8_t *mask; /* [nz][ny][nx], 0 is outside, where the result is 0; NULL: everywhere.
                            Read during the plan only. */
};

/* Largest full width at half maximum, in voxels. */
#define PHI_SMOOTH_MAX_FWHM 128.0

/* Makes the kernel and all work memory for volumes of `grid`. Not while another thread plans
 * (FFTW). PH_E_INVAL: a width that is negative, not finite or too large. Owned by the caller. */
PH_NODISCARD enum ph_status phi_smooth_plan(const struct phi_smooth_config *config,
                                            const struct phi_grid *grid,
                                            struct phi_smooth **ret_smooth,
                                            struct ph_error *reterr);

/* Frees everything; accepts NULL and *smooth == NULL, clears *smooth. */
void phi_smooth_destroy(struct phi_smooth **smooth);

/* Smooths in[nz][ny][nx] into out[nz][ny][nx], which may be the same memory. Returns how many
 * values (inside the mask) were not finite and were taken as 0. */
size_t phi_smooth_process(struct phi_smooth *smooth, const float *in, float *out);

/* Part `part` of n_parts of the same work, for a team of threads: same bits as process. `out` must
 * be other memory than `in`. The count of bad values is of this part's own slices. */
size_t phi_smooth_process_part(struct phi_smooth *smooth, size_t part, const float *in, float *out);

/* Whether AUTO chose the FFT, for reports and tests. */
enum phi_smooth_method phi_smooth_method(const struct phi_smooth *smooth);

/* The half kernel w[0..radius] along an axis with voxels of `voxel_mm`: a Gaussian sampled at the
 * voxel centres, cut at 4 sd, of sum 1 with both sides. Returns the radius; w holds at least
 * PHI_SMOOTH_MAX_RADIUS + 1 values. */
#define PHI_SMOOTH_MAX_RADIUS 220
size_t phi_smooth_kernel(double fwhm_mm, double voxel_mm, float *w);

#endif
