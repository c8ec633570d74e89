/* SPDX-License-Identifier: MIT
 *
 * A volume as pictures of slices: grey for the signal, hot and cold for an overlay. Radiological
 * habit is not assumed: left of the picture is low x of the volume, as stored. One thread.
 */
#ifndef PHI_DISPLAY_MOSAIC_H
#define PHI_DISPLAY_MOSAIC_H

#include "display/canvas.h"

struct phi_mosaic {
    const float *volume;  /* [nz][ny][nx] */
    const float *overlay; /* the same shape, NaN or |value| < threshold is transparent; or NULL */
    uint32_t dims[3];     /* nx, ny, nz */
    double voxel_mm[3];
    float low, high;    /* grey range of the volume; equal: taken from the volume */
    float threshold;    /* of the overlay, > 0 */
    float overlay_most; /* value of the strongest overlay colour; 0: taken from the overlay */
};

/* Draws all slices along z as a grid into `rect`, first slice top left, front of the head on top.
 */
void phi_mosaic_draw(struct phi_canvas *canvas, struct phi_rect rect,
                     const struct phi_mosaic *mosaic);

/* Draws the planes through voxel (x, y, z) side by side: axial, coronal, sagittal, with a cross. */
void phi_planes_draw(struct phi_canvas *canvas, struct phi_rect rect,
                     const struct phi_mosaic *mosaic, const uint32_t voxel[3]);

/* Robust grey range: the 2nd and 99.5th percentile of a subsample of the finite values. */
void phi_mosaic_range(const float *volume, size_t n, float *ret_low, float *ret_high);

/* Overlay colour of value/most in [-1, 1]: cold blues below 0, hot reds to yellow above. */
uint32_t phi_mosaic_heat(float relative);

#endif
