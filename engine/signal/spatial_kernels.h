/* SPDX-License-Identifier: MIT
 *
 * Inner loops of smoothing and spline interpolation. spatial_kernels.c is compiled once for each
 * instruction set; phi_spatial_kernels picks the widest that this processor has. A voxel's result
 * does not depend on its place in a vector, on slabs or on threads; it may differ in the last bits
 * between instruction sets (fused multiply-add). No allocation; pure functions, any thread.
 */
#ifndef PHI_SIGNAL_SPATIAL_KERNELS_H
#define PHI_SIGNAL_SPATIAL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* A block of rows inside something wider: element (row, i) is data[row * stride + i]. */
struct phi_rows {
    size_t n_rows;
    size_t width;
    size_t in_stride;
    size_t out_stride;
};

/* Cubic B-spline coefficients with room around them: one element before and two after each axis,
 * so that the taps of every point inside the grid exist. */
struct phi_spline_view {
    const float *origin; /* coefficient of voxel 0, 0, 0 */
    size_t n[3];
    size_t row;   /* elements from y to y + 1 */
    size_t slice; /* elements from z to z + 1 */
};

/* Points to sample at: voxel coordinates x[n], y[n], z[n] taken through `map` ([3][4], row-major)
 * to voxel coordinates of the spline. */
struct phi_spline_points {
    const float *x;
    const float *y;
    const float *z;
    size_t n;
    double map[12];
    double slack; /* voxels beyond the grid that still count as inside, with the border's value */
};

struct phi_spatial_kernels {
    const char *name;

    /* Copies rows, with 0 for what is not finite and, unless `keep` (bytes, laid out as `in`) is
     * NULL, where keep is 0. Returns how many kept values were not finite. */
    size_t (*load_rows)(const float *in, const uint8_t *keep, const struct phi_rows *rows,
                        float *out);

    /* out[i] = w[0] in[i] + sum over k = 1..radius of w[k] (in[i - k step] + in[i + k step]), i <
     * n. `in` must be readable radius * step beyond both ends; out must not overlap in. */
    void (*stencil)(const float *in, size_t step, const float *w, size_t radius, size_t n,
                    float *out);

    /* The same across slices[2 radius + 1], of which the middle one is the centre. */
    void (*stencil_slices)(const float *const *slices, const float *w, size_t radius, size_t n,
                           float *out);

    /* out = in * (column_scale[i] * row_scale[row]), by rows. */
    void (*store_scaled)(const float *in, const float *column_scale, const float *row_scale,
                         const struct phi_rows *rows, float *out);

    /* out = in * scale, by rows; scale is laid out as out. */
    void (*store_weighted)(const float *in, const float *scale, const struct phi_rows *rows,
                           float *out);

    /* Cubic B-spline prefilter down the columns of data[n][stride], `width` columns, in place;
     * whole-sample mirror at both ends (Unser 1999, eqs 2.4 to 2.6). */
    void (*prefilter)(float *data, size_t n, size_t stride, size_t width);

    /* Spline values at the points into out[n]; inside[n] is 1 within the grid. Outside, both 0.
     * Returns how many lie inside. */
    size_t (*sample)(const struct phi_spline_view *spline, const struct phi_spline_points *points,
                     float *out, float *inside);
};

/* The widest set of kernels that this processor can run. */
const struct phi_spatial_kernels *phi_spatial_kernels(void);

/* All sets that this processor can run, narrowest first; NULL beyond the last. For tests. */
const struct phi_spatial_kernels *phi_spatial_kernels_at(size_t i);

#endif
