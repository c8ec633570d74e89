/* SPDX-License-Identifier: MIT
 *
 * Memory picture of the separable way: one slice at a time goes through x and y in buffers that fit
 * the second-level cache and lands in a ring of 2 rz + 1 slices, from which one slice of the result
 * is summed along z. So the volume is read once and written once, whatever the width. Rows keep a
 * gap of rx zeros between them and slices a margin of ry zero rows, so no tap needs a test.
 */
#include "signal/smooth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "signal/smooth_internal.h"

#define FWHM_TO_SD 0.42466090014400952136 /* 1 / sqrt(8 ln 2) */
#define MAX_PARTS  256

/* Work memory of one part. */
struct part {
    float *loaded;      /* rows with gaps */
    float *along_x;     /* with zero rows before and after */
    float *ring;        /* [2 rz + 1] slices after x and y */
    float *summed;      /* one slice after z */
    const float **taps; /* [2 rz + 1] slices around the current one */
};

struct phi_smooth {
    size_t n[3];
    size_t radius[3];
    float w[3][PHI_SMOOTH_MAX_RADIUS + 1];
    float *inverse[3]; /* per axis: 1 / part of the kernel inside the grid */
    float *row_scale;  /* [n_parts][ny] of the slice in work */
    uint8_t *keep;     /* the mask, or NULL */
    float *weight;     /* with a mask: 1 / part of the kernel inside it, 0 outside */
    float *zeros;      /* one slice: what lies beyond the first and last slice */
    size_t row;        /* elements of a row with its gap */
    size_t slice;      /* elements of a slice in the ring */
    size_t n_parts;
    struct part *parts;
    struct phi_smooth_fft *fft; /* instead of parts */
    const struct phi_spatial_kernels *kernels;
};

size_t phi_smooth_kernel(double fwhm_mm, double voxel_mm, float *w)
{
    double sd = fwhm_mm * FWHM_TO_SD / voxel_mm;
    size_t radius = (size_t)fmin(4.0 * sd + 0.5, PHI_SMOOTH_MAX_RADIUS);
    double sum = 1.0;

    for (size_t k = 1; k <= radius; k++)
        sum += 2.0 * exp(-0.5 * (double)(k * k) / (sd * sd));
    w[0] = (float)(1.0 / sum);
    for (size_t k = 1; k <= radius; k++)
        w[k] = (float)(exp(-0.5 * (double)(k * k) / (sd * sd)) / sum);
    return radius;
}

static enum ph_status make_kernels(struct phi_smooth *s, const struct phi_smooth_config *config,
                                   const struct phi_grid *grid, struct ph_error *reterr)
{
    double voxel_mm[3];

    phi_affine_voxel_size(&grid->affine, voxel_mm);
    for (int axis = 0; axis < 3; axis++) {
        double fwhm = config->fwhm_mm[axis];

        if (!(fwhm >= 0 && fwhm <= PHI_SMOOTH_MAX_FWHM * voxel_mm[axis]))
            return phi_error(reterr, PH_E_INVAL,
                             "smoothing width %g mm along axis %d: must be from 0 to %g mm (%g "
                             "voxels of %g mm)",
                             fwhm, axis, PHI_SMOOTH_MAX_FWHM * voxel_mm[axis], PHI_SMOOTH_MAX_FWHM,
                             voxel_mm[axis]);
        s->n[axis] = grid->n[axis];
        s->radius[axis] = phi_smooth_kernel(fwhm, voxel_mm[axis], s->w[axis]);
        /* Taps that lie outside from everywhere add nothing. */
        if (s->radius[axis] > s->n[axis] - 1)
            s->radius[axis] = s->n[axis] - 1;
    }
    return PH_OK;
}

/* 1 / the part of the kernel inside [0, n), for every position. */
static void make_inverse(const float *w, size_t radius, size_t n, float *inverse)
{
    for (size_t i = 0; i < n; i++) {
        double inside = (double)w[0];

        for (size_t k = 1; k <= radius; k++)
            inside += ((k <= i ? 1 : 0) + (i + k < n ? 1 : 0)) * (double)w[k];
        inverse[i] = (float)(1.0 / inside);
    }
}

static bool alloc_inverse(struct phi_smooth *s)
{
    for (int axis = 0; axis < 3; axis++) {
        s->inverse[axis] = phi_calloc(s->n[axis], sizeof(float));
        if (!s->inverse[axis])
            return false;
        make_inverse(s->w[axis], s->radius[axis], s->n[axis], s->inverse[axis]);
    }
    s->row_scale = phi_calloc2(s->n_parts, s->n[1], sizeof(float));
    return s->row_scale != NULL;
}

static bool alloc_part(const struct phi_smooth *s, struct part *part)
{
    size_t margin = s->radius[1] * s->row;
    size_t n_ring = 2 * s->radius[2] + 1;

    part->loaded = phi_calloc(s->slice + 2 * s->radius[0], sizeof(float));
    part->along_x = phi_calloc(s->slice + 2 * margin, sizeof(float));
    part->ring = phi_calloc2(n_ring, s->slice, sizeof(float));
    part->summed = phi_calloc(s->slice, sizeof(float));
    part->taps = phi_calloc(n_ring, sizeof(float *));
    return part->loaded && part->along_x && part->ring && part->summed && part->taps;
}

static enum ph_status alloc_parts(struct phi_smooth *s, struct ph_error *reterr)
{
    s->row = s->n[0] + s->radius[0];
    s->slice = s->row * s->n[1];
    s->zeros = phi_calloc(s->slice, sizeof(float));
    s->parts = phi_calloc(s->n_parts, sizeof *s->parts);
    if (!s->zeros || !s->parts)
        return phi_error_nomem(reterr, "smoothing buffers", s->slice * sizeof(float));
    for (size_t i = 0; i < s->n_parts; i++)
        if (!alloc_part(s, &s->parts[i]))
            return phi_error_nomem(reterr, "smoothing buffers", s->slice * sizeof(float));
    return PH_OK;
}

/* Slice z through x and y into its place in the ring. */
static size_t filter_slice(const struct phi_smooth *s, struct part *part, const float *in,
                           const struct phi_smooth_layout *layout, size_t z)
{
    const struct phi_rows rows = {s->n[1], s->n[0], layout->row, s->row};
    float *along_x = part->along_x + s->radius[1] * s->row;
    float *slot = part->ring + z % (2 * s->radius[2] + 1) * s->slice;
    const uint8_t *keep = s->keep ? s->keep + z * layout->slice : NULL;
    size_t n_bad =
        s->kernels->load_rows(in + z * layout->slice, keep, &rows, part->loaded + s->radius[0]);

    s->kernels->stencil(part->loaded + s->radius[0], 1, s->w[0], s->radius[0], s->slice, along_x);
    s->kernels->stencil(along_x, s->row, s->w[1], s->radius[1], s->slice, slot);
    return n_bad;
}

/* Slice z of the result from the ring. */
static void emit_slice(const struct phi_smooth *s, struct part *part, size_t z, float *row_scale,
                       float *out, const struct phi_smooth_layout *layout)
{
    const struct phi_rows rows = {s->n[1], s->n[0], s->row, layout->row};
    size_t radius = s->radius[2];

    for (size_t k = 0; k <= 2 * radius; k++) {
        bool exists = z + k >= radius && z + k - radius < s->n[2];

        part->taps[k] =
            exists ? part->ring + (z + k - radius) % (2 * radius + 1) * s->slice : s->zeros;
    }
    s->kernels->stencil_slices(part->taps, s->w[2], radius, s->slice, part->summed);
    out += z * layout->slice;
    if (s->weight) {
        s->kernels->store_weighted(part->summed, s->weight + z * layout->slice, &rows, out);
        return;
    }
    for (size_t y = 0; y < s->n[1]; y++)
        row_scale[y] = s->inverse[1][y] * s->inverse[2][z];
    s->kernels->store_scaled(part->summed, s->inverse[0], row_scale, &rows, out);
}

/* Slices [first, last) of the result; bad values are counted in those slices only. */
static size_t separable(struct phi_smooth *s, size_t i_part, const float *in,
                        const struct phi_smooth_layout *in_layout, float *out,
                        const struct phi_smooth_layout *out_layout)
{
    size_t first = s->n[2] * i_part / s->n_parts;
    size_t last = s->n[2] * (i_part + 1) / s->n_parts;
    size_t radius = s->radius[2];
    size_t loaded = first > radius ? first - radius : 0;
    size_t n_bad = 0;

    for (size_t z = first; z < last; z++) {
        for (; loaded < s->n[2] && loaded <= z + radius; loaded++) {
            size_t bad = filter_slice(s, &s->parts[i_part], in, in_layout, loaded);

            n_bad += loaded >= first && loaded < last ? bad : 0;
        }
        emit_slice(s, &s->parts[i_part], z, s->row_scale + i_part * s->n[1], out, out_layout);
    }
    return n_bad;
}

/* The FFT leaves the border to be divided out. */
static void scale_volume(const struct phi_smooth *s, float *out)
{
    const struct phi_rows rows = {s->n[1], s->n[0], s->n[0], s->n[0]};
    size_t slice = s->n[0] * s->n[1];

    for (size_t z = 0; z < s->n[2]; z++) {
        for (size_t y = 0; y < s->n[1]; y++)
            s->row_scale[y] = s->inverse[1][y] * s->inverse[2][z];
        if (s->weight)
            s->kernels->store_weighted(out + z * slice, s->weight + z * slice, &rows,
                                       out + z * slice);
        else
            s->kernels->store_scaled(out + z * slice, s->inverse[0], s->row_scale, &rows,
                                     out + z * slice);
    }
}

size_t phi_smooth_process_part(struct phi_smooth *smooth, size_t part, const float *in, float *out)
{
    const struct phi_smooth_layout layout = {smooth->n[0], smooth->n[0] * smooth->n[1]};
    size_t n_bad;

    if (!smooth->fft)
        return separable(smooth, part, in, &layout, out, &layout);
    n_bad = phi_smooth_fft_process(smooth->fft, in, smooth->keep, out);
    scale_volume(smooth, out);
    return n_bad;
}

size_t phi_smooth_process(struct phi_smooth *smooth, const float *in, float *out)
{
    size_t n_bad = 0;

    for (size_t part = 0; part < smooth->n_parts; part++)
        n_bad += phi_smooth_process_part(smooth, part, in, out);
    return n_bad;
}

size_t phi_smooth_process_strided(struct phi_smooth *smooth, const float *in,
                                  const struct phi_smooth_layout *in_layout, float *out,
                                  const struct phi_smooth_layout *out_layout)
{
    return separable(smooth, 0, in, in_layout, out, out_layout);
}

/* The mask's own smoothed volume tells how much of each kernel lies inside. */
static enum ph_status make_weight(struct phi_smooth *s, const uint8_t *mask,
                                  struct ph_error *reterr)
{
    size_t n = s->n[0] * s->n[1] * s->n[2];
    float *inside = phi_calloc(n, sizeof(float));
    float *part = phi_calloc(n, sizeof(float));

    if (inside && part) {
        for (size_t i = 0; i < n; i++)
            inside[i] = mask[i] ? 1.0F : 0.0F;
        (void)phi_smooth_process(s, inside, part);
        s->keep = phi_calloc(n, 1);
        s->weight = phi_calloc(n, sizeof(float));
    }
    if (s->keep && s->weight) {
        size_t slice = s->n[0] * s->n[1];

        for (size_t i = 0; i < n; i++) {
            double border = (double)s->inverse[0][i % s->n[0]] *
                            (double)s->inverse[1][i / s->n[0] % s->n[1]] *
                            (double)s->inverse[2][i / slice];

            s->keep[i] = mask[i] ? 1 : 0;
            /* `part` was divided by the grid's own border: 1/part needs that factor back. */
            s->weight[i] = mask[i] && part[i] > 0 ? (float)(border / (double)part[i]) : 0.0F;
        }
    }
    phi_free(inside);
    phi_free(part);
    return s->weight ? PH_OK : phi_error_nomem(reterr, "smoothing mask", n * sizeof(float));
}

static enum ph_status fill(struct phi_smooth *s, const struct phi_smooth_config *config,
                           struct ph_error *reterr)
{
    const float *const w[3] = {s->w[0], s->w[1], s->w[2]};
    enum ph_status status;

    if (!alloc_inverse(s))
        return phi_error_nomem(reterr, "smoothing scales", s->n[1] * sizeof(float));
    if (config->method == PHI_SMOOTH_FFT ||
        (config->method == PHI_SMOOTH_AUTO && phi_smooth_fft_wins(s->n, s->radius)))
        status = phi_smooth_fft_plan(s->n, w, s->radius, &s->fft, reterr);
    else
        status = alloc_parts(s, reterr);
    if (status == PH_OK && config->mask)
        status = make_weight(s, config->mask, reterr);
    return status;
}

enum ph_status phi_smooth_plan(const struct phi_smooth_config *config, const struct phi_grid *grid,
                               struct phi_smooth **ret_smooth, struct ph_error *reterr)
{
    struct phi_smooth *s;
    enum ph_status status = phi_grid_check(grid, "volume to smooth", reterr);

    if (status != PH_OK)
        return status;
    if (phi_grid_count(grid) == 0 || config->n_parts > MAX_PARTS)
        return phi_error(reterr, PH_E_LIMIT, "smoothing: too many voxels or more than %d parts",
                         MAX_PARTS);
    s = phi_calloc(1, sizeof *s);
    if (!s)
        return phi_error_nomem(reterr, "smoothing plan", sizeof *s);
    s->kernels = phi_spatial_kernels();
    s->n_parts = config->n_parts ? config->n_parts : 1;
    status = make_kernels(s, config, grid, reterr);
    if (status == PH_OK)
        status = fill(s, config, reterr);
    if (status == PH_OK && s->fft)
        s->n_parts = 1;
    if (status != PH_OK)
        phi_smooth_destroy(&s);
    else
        *ret_smooth = s;
    return status;
}

void phi_smooth_destroy(struct phi_smooth **smooth)
{
    struct phi_smooth *s = smooth ? *smooth : NULL;

    if (!s)
        return;
    for (size_t i = 0; s->parts && i < s->n_parts; i++) {
        phi_free(s->parts[i].loaded);
        phi_free(s->parts[i].along_x);
        phi_free(s->parts[i].ring);
        phi_free(s->parts[i].summed);
        phi_free(s->parts[i].taps);
    }
    for (int axis = 0; axis < 3; axis++)
        phi_free(s->inverse[axis]);
    phi_free(s->parts);
    phi_free(s->row_scale);
    phi_free(s->keep);
    phi_free(s->weight);
    phi_free(s->zeros);
    phi_smooth_fft_destroy(&s->fft);
    phi_free(s);
    *smooth = NULL;
}

enum phi_smooth_method phi_smooth_method(const struct phi_smooth *smooth)
{
    return smooth->fft ? PHI_SMOOTH_FFT : PHI_SMOOTH_SEPARABLE;
}
