/* SPDX-License-Identifier: MIT
 *
 * Along x the recursive filter would run through memory one value at a time; there its impulse
 * response, of which 4e-7 lies beyond 11 values, is applied as a symmetric sum
 * instead. Along y and z the recursion works on whole rows.
 */
#include "signal/bspline.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"

#define BEFORE    1 /* room for taps before and after each axis */
#define AFTER     2
#define FIR_REACH 11
#define FIR_POLE  (-0.26794919243112270647) /* sqrt(3) - 2 */
#define ROW_BLOCK 256
/* A voxel reaches half a step beyond its centre. Without this the outer slices would flicker
 * between signal and 0 when the head moves by hundredths of a voxel. */
#define BORDER_SLACK 0.5

struct phi_bspline {
    size_t n[3];
    size_t row;
    size_t slice;
    float *memory; /* [nz + 3][ny + 3][nx + 3] */
    float *origin;
    float *line;   /* one slice with FIR_REACH mirrored values on both sides of its rows */
    float *summed; /* that slice filtered along x */
    float fir[FIR_REACH + 1];
    size_t fir_reach;         /* 0 for a single column, which stays as it is */
    size_t before[FIR_REACH]; /* which value of a row mirrors position -1 - k */
    size_t after[FIR_REACH];  /* and n[0] + k */
    const struct phi_spatial_kernels *kernels;
};

static size_t line_row(const struct phi_bspline *s)
{
    return s->n[0] + 2 * FIR_REACH;
}

static bool alloc_spline(struct phi_bspline *s)
{
    size_t n_line = line_row(s) * s->n[1];

    s->row = s->n[0] + BEFORE + AFTER;
    s->slice = s->row * (s->n[1] + BEFORE + AFTER);
    s->memory = phi_calloc2(s->slice, s->n[2] + BEFORE + AFTER, sizeof(float));
    s->line = phi_calloc(n_line, sizeof(float));
    s->summed = phi_calloc(n_line, sizeof(float));
    if (!s->memory || !s->line || !s->summed)
        return false;
    s->origin = s->memory + BEFORE * (1 + s->row + s->slice);
    return true;
}

/* Index of position i of a signal of n values that is mirrored at its first and last value. */
static size_t mirrored(ptrdiff_t i, size_t n)
{
    ptrdiff_t period = n > 1 ? 2 * (ptrdiff_t)n - 2 : 1;

    i %= period;
    i = i < 0 ? i + period : i;
    return (size_t)(i < (ptrdiff_t)n ? i : period - i);
}

static void make_fir(struct phi_bspline *s)
{
    double gain = -6.0 * FIR_POLE / (1.0 - FIR_POLE * FIR_POLE);

    s->fir_reach = s->n[0] > 1 ? FIR_REACH : 0;
    for (ptrdiff_t k = 0; k < FIR_REACH; k++) {
        s->before[k] = mirrored(-1 - k, s->n[0]);
        s->after[k] = mirrored((ptrdiff_t)s->n[0] + k, s->n[0]);
    }
    for (int k = 0; k <= FIR_REACH; k++)
        s->fir[k] = s->n[0] > 1 ? (float)(gain * pow(FIR_POLE, (double)k)) : 1.0F;
}

enum ph_status phi_bspline_create(const size_t n[3], struct phi_bspline **ret_spline,
                                  struct ph_error *reterr)
{
    const struct phi_grid grid = {{n[0], n[1], n[2]}, phi_affine_identity()};
    enum ph_status status = phi_grid_check(&grid, "volume to interpolate", reterr);
    struct phi_bspline *s;

    if (status != PH_OK)
        return status;
    if (phi_grid_count(&grid) == 0 || phi_grid_count(&grid) > (size_t)1 << 30)
        return phi_error(reterr, PH_E_LIMIT, "interpolation: %zu voxels are too many",
                         phi_grid_count(&grid));
    s = phi_calloc(1, sizeof *s);
    if (s) {
        for (int axis = 0; axis < 3; axis++)
            s->n[axis] = n[axis];
        s->kernels = phi_spatial_kernels();
        make_fir(s);
    }
    if (!s || !alloc_spline(s)) {
        phi_bspline_destroy(&s);
        return phi_error_nomem(reterr, "spline coefficients", n[0] * n[1] * n[2] * sizeof(float));
    }
    *ret_spline = s;
    return PH_OK;
}

void phi_bspline_destroy(struct phi_bspline **spline)
{
    if (!spline || !*spline)
        return;
    phi_free((*spline)->memory);
    phi_free((*spline)->line);
    phi_free((*spline)->summed);
    phi_free(*spline);
    *spline = NULL;
}

/* Slice z of the volume, filtered along x, into its place. */
static size_t filter_rows(struct phi_bspline *s, const float *slice, float *out)
{
    const size_t wide = line_row(s);
    const struct phi_rows in = {s->n[1], s->n[0], s->n[0], wide};
    const struct phi_rows back = {s->n[1], s->n[0], wide, s->row};
    size_t n_bad = s->kernels->load_rows(slice, NULL, &in, s->line + FIR_REACH);

    for (size_t y = 0; y < s->n[1]; y++) {
        float *row = s->line + y * wide + FIR_REACH;

        for (size_t k = 0; k < FIR_REACH; k++) {
            *(row - 1 - k) = row[s->before[k]];
            row[s->n[0] + k] = row[s->after[k]];
        }
    }
    s->kernels->stencil(s->line + FIR_REACH, 1, s->fir, s->fir_reach,
                        wide * s->n[1] - 2 * FIR_REACH, s->summed);
    (void)s->kernels->load_rows(s->summed, NULL, &back, out);
    return n_bad;
}

size_t phi_bspline_prefilter(struct phi_bspline *spline, const float *volume)
{
    struct phi_bspline *s = spline;
    size_t n_bad = 0;

    for (size_t z = 0; z < s->n[2]; z++) {
        float *slice = s->origin + z * s->slice;

        n_bad += filter_rows(s, volume + z * s->n[0] * s->n[1], slice);
        s->kernels->prefilter(slice, s->n[1], s->row, s->n[0]);
    }
    for (size_t y = 0; y < s->n[1]; y++)
        s->kernels->prefilter(s->origin + y * s->row, s->n[2], s->slice, s->n[0]);
    phi_bspline_mirror(s);
    return n_bad;
}

static void copy_block(const float *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* Room around one slice: ends of its rows, then whole rows. */
static void mirror_slice(struct phi_bspline *s, float *slice)
{
    const ptrdiff_t nx = (ptrdiff_t)s->n[0];
    const ptrdiff_t ny = (ptrdiff_t)s->n[1];

    for (ptrdiff_t y = 0; y < ny; y++) {
        float *row = slice + (size_t)y * s->row;

        row[-1] = row[mirrored(-1, s->n[0])];
        row[nx] = row[mirrored(nx, s->n[0])];
        row[nx + 1] = row[mirrored(nx + 1, s->n[0])];
    }
    for (ptrdiff_t y = -BEFORE; y < ny + AFTER; y++)
        if (y < 0 || y >= ny)
            copy_block(slice + mirrored(y, s->n[1]) * s->row - BEFORE,
                       slice + y * (ptrdiff_t)s->row - BEFORE, s->row);
}

void phi_bspline_mirror(struct phi_bspline *spline)
{
    struct phi_bspline *s = spline;
    const ptrdiff_t nz = (ptrdiff_t)s->n[2];

    for (ptrdiff_t z = 0; z < nz; z++)
        mirror_slice(s, s->origin + (size_t)z * s->slice);
    for (ptrdiff_t z = -BEFORE; z < nz + AFTER; z++)
        if (z < 0 || z >= nz)
            copy_block(s->memory + (mirrored(z, s->n[2]) + BEFORE) * s->slice,
                       s->memory + (size_t)(z + BEFORE) * s->slice, s->slice);
}

struct phi_spline_view phi_bspline_view(const struct phi_bspline *spline)
{
    return (struct phi_spline_view){
        .origin = spline->origin,
        .n = {spline->n[0], spline->n[1], spline->n[2]},
        .row = spline->row,
        .slice = spline->slice,
    };
}

float *phi_bspline_origin(struct phi_bspline *spline)
{
    return spline->origin;
}

/* One output row: positions first + x * step for x in [0, n). */
static size_t reslice_row(const struct phi_bspline *s, const struct phi_affine *map, double y,
                          double z, size_t n, float *out)
{
    const struct phi_spline_view view = phi_bspline_view(s);
    float x[ROW_BLOCK];
    const float zeros[ROW_BLOCK] = {0};
    float inside[ROW_BLOCK];
    struct phi_spline_points points = {.x = x, .y = zeros, .z = zeros, .slack = BORDER_SLACK};
    size_t n_inside = 0;

    for (int i = 0; i < 3; i++) {
        points.map[4 * i] = map->m[i][0];
        points.map[4 * i + 3] = map->m[i][1] * y + map->m[i][2] * z + map->m[i][3];
    }
    for (size_t first = 0; first < n; first += ROW_BLOCK) {
        points.n = n - first < ROW_BLOCK ? n - first : ROW_BLOCK;
        for (size_t i = 0; i < points.n; i++)
            x[i] = (float)(first + i);
        n_inside += s->kernels->sample(&view, &points, out + first, inside);
    }
    return n - n_inside;
}

size_t phi_bspline_reslice(const struct phi_bspline *spline, const struct phi_affine *map,
                           const size_t n[3], size_t first_slice, size_t last_slice, float *out)
{
    size_t n_outside = 0;

    for (size_t z = first_slice; z < last_slice; z++)
        for (size_t y = 0; y < n[1]; y++)
            n_outside +=
                reslice_row(spline, map, (double)y, (double)z, n[0], out + (z * n[1] + y) * n[0]);
    return n_outside;
}
