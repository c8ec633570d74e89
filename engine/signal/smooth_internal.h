/* SPDX-License-Identifier: MIT
 *
 * What smooth.c shares with its FFT variant and with realignment. Same thread rule as smooth.h.
 */
#ifndef PHI_SIGNAL_SMOOTH_INTERNAL_H
#define PHI_SIGNAL_SMOOTH_INTERNAL_H

#include "signal/smooth.h"
#include "signal/spatial_kernels.h"

/* Where a volume lies in memory: element (z, y, x) is data[z * slice + y * row + x]. */
struct phi_smooth_layout {
    size_t row;
    size_t slice;
};

/* As phi_smooth_process for volumes with room between rows and slices; separable plans without a
 * mask only. */
size_t phi_smooth_process_strided(struct phi_smooth *smooth, const float *in,
                                  const struct phi_smooth_layout *in_layout, float *out,
                                  const struct phi_smooth_layout *out_layout);

struct phi_smooth_fft;

/* Plans the convolution of n[3] voxels with half kernels w[axis][0..radius[axis]]. */
PH_NODISCARD enum ph_status phi_smooth_fft_plan(const size_t n[3], const float *const w[3],
                                                const size_t radius[3],
                                                struct phi_smooth_fft **ret_fft,
                                                struct ph_error *reterr);

/* As usual. */
void phi_smooth_fft_destroy(struct phi_smooth_fft **fft);

/* Zero-bordered convolution of the finite, kept values of in[nz][ny][nx] into out (may be the
 * same). `keep` may be NULL. Returns the count of bad values. */
size_t phi_smooth_fft_process(struct phi_smooth_fft *fft, const float *in, const uint8_t *keep,
                              float *out);

/* True where the FFT is the cheaper of the two (a count of operations, not a timing). */
bool phi_smooth_fft_wins(const size_t n[3], const size_t radius[3]);

#endif
