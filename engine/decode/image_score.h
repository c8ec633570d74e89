/* SPDX-License-Identifier: MIT
 *
 * How alike two pictures are: mean squared error, PSNR, pixel correlation and structural
 * similarity, the last in two named variants that must never be mixed up in one table. Pixels are
 * float32, sums float64. Thread-safe; the SSIM calls take scratch memory and are not for the live
 * path.
 */
#ifndef PHI_DECODE_IMAGE_SCORE_H
#define PHI_DECODE_IMAGE_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_image_view {
    const float *pixels; /* [height][width][n_channels], borrowed */
    size_t height, width, n_channels;
};

/* Mean of (a - b)^2 over all pixels and channels; the shapes must be equal. */
double phi_image_mse(struct phi_image_view a, struct phi_image_view b);

/* 10 log10(range^2 / mse) in dB; infinity for equal pictures. `range` is 1 or 255. */
double phi_image_psnr(double mse, double range);

/* Pearson correlation over all pixels and channels. A constant picture has none: the result is 0
 * and *ret_undefined (may be NULL) is true, so that a table can count such pictures. */
double phi_image_corr(struct phi_image_view a, struct phi_image_view b, bool *ret_undefined);

/* SSIM of Wang, Bovik, Sheikh and Simoncelli 2004: 11 x 11 Gaussian window of sd 1.5, weighted
 * population (co)variances, K1 = .01, K2 = .03, mean over the positions where the window fits;
 * channels scored apart and averaged. PH_E_SHAPE if the shapes differ or a side is below 11. */
PH_NODISCARD enum ph_status phi_image_ssim(struct phi_image_view a, struct phi_image_view b,
                                           double range, double *ret_ssim, struct ph_error *reterr);

/* The variant in the tables of the Natural Scenes Dataset literature: the picture's columns taken
 * as separate one-dimensional signals under an 11-tap Gaussian. Only to compare with those tables;
 * there, pictures are 425 x 425, grey (phi_image_grey) and in [0,1]. Errors as phi_image_ssim. */
PH_NODISCARD enum ph_status phi_image_ssim_nsd(struct phi_image_view a, struct phi_image_view b,
                                               double range, double *ret_ssim,
                                               struct ph_error *reterr);

/* ret_grey[height][width] = .2125 R + .7154 G + .0721 B; `rgb` has three channels or more. */
void phi_image_grey(struct phi_image_view rgb, float *ret_grey);

#endif
