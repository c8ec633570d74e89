/* SPDX-License-Identifier: MIT */
#include "signal/mask.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define BIN_SHIFT      17
#define N_BINS         ((size_t)0x7f800000 >> BIN_SHIFT)
#define START_SHARE    0.98 /* where the iteration starts: brighter voxels may be artefacts */
#define MAX_ROUNDS     64
#define SAME_AFFINE_MM 0.01

enum ph_status phi_mask_create(const struct phi_grid *grid, struct phi_mask **ret_mask,
                               struct ph_error *reterr)
{
    size_t n = phi_grid_count(grid);
    enum ph_status status = phi_grid_check(grid, "volume to mask", reterr);
    struct phi_mask *mask;

    if (status != PH_OK)
        return status;
    if (n == 0 || n > INT32_MAX)
        return phi_error(reterr, PH_E_LIMIT, "mask: a volume of %zu voxels is too large", n);
    mask = phi_calloc(1, sizeof *mask);
    if (mask) {
        mask->grid = *grid;
        mask->index = phi_calloc(n, sizeof *mask->index);
        mask->inside = phi_calloc(n, 1);
        mask->work = phi_calloc(n, 1);
        mask->stack = phi_calloc(n, sizeof *mask->stack);
    }
    if (!mask || !mask->index || !mask->inside || !mask->work || !mask->stack) {
        phi_mask_destroy(&mask);
        return phi_error_nomem(reterr, "mask", n * 10);
    }
    *ret_mask = mask;
    return PH_OK;
}

void phi_mask_destroy(struct phi_mask **mask)
{
    if (!mask || !*mask)
        return;
    phi_free((*mask)->index);
    phi_free((*mask)->inside);
    phi_free((*mask)->work);
    phi_free((*mask)->stack);
    phi_free(*mask);
    *mask = NULL;
}

/* The index list from the bytes. */
static enum ph_status list_voxels(struct phi_mask *mask)
{
    size_t n = phi_grid_count(&mask->grid);

    mask->n_voxels = 0;
    for (size_t i = 0; i < n; i++)
        if (mask->inside[i])
            mask->index[mask->n_voxels++] = (uint32_t)i;
    return mask->n_voxels ? PH_OK : PH_E_INVAL;
}

enum ph_status phi_mask_from_values(struct phi_mask *mask, const float *values, float threshold)
{
    size_t n = phi_grid_count(&mask->grid);

    for (size_t i = 0; i < n; i++)
        mask->inside[i] = values[i] > threshold;
    return list_voxels(mask);
}

static bool counts(float value)
{
    return value > 0 && isfinite(value);
}

/* Positive floats order as their bits do, so the upper bits are bins of 1.5 % width whatever the
 * range: a hot voxel cannot squeeze the rest. */
static size_t bin_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits >> BIN_SHIFT;
}

static float bin_start(size_t bin)
{
    uint32_t bits = (uint32_t)bin << BIN_SHIFT;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The bin at or above `first` below which lies `share` of all counts from there on. */
static size_t quantile_bin(const uint32_t *histogram, size_t first, double share)
{
    uint64_t total = 0;
    uint64_t below = 0;

    for (size_t i = first; i < N_BINS; i++)
        total += histogram[i];
    for (size_t i = first; i < N_BINS; i++) {
        below += histogram[i];
        if ((double)below >= share * (double)total)
            return i;
    }
    return first;
}

float phi_mask_clip_level(const float *values, size_t n)
{
    uint32_t histogram[N_BINS] = {0};
    size_t n_positive = 0;
    size_t cut;

    for (size_t i = 0; i < n; i++)
        if (counts(values[i])) {
            histogram[bin_of(values[i])]++;
            n_positive++;
        }
    if (!n_positive)
        return 0;
    cut = bin_of(0.5F * bin_start(quantile_bin(histogram, 0, START_SHARE)));
    for (int round = 0; round < MAX_ROUNDS; round++) {
        size_t next = bin_of(0.5F * bin_start(quantile_bin(histogram, cut, 0.5)));

        if (next == cut)
            break;
        cut = next;
    }
    return bin_start(cut);
}

/* Neighbours of voxel i (up to six); `ret_edge` says whether one of them is beyond the grid. */
static int neighbours(const struct phi_grid *grid, size_t i, size_t ret[6], bool *ret_edge)
{
    size_t step = 1;
    size_t rest = i;
    int count = 0;

    for (int axis = 0; axis < 3; axis++) {
        size_t at = rest % grid->n[axis];

        if (at > 0)
            ret[count++] = i - step;
        if (at + 1 < grid->n[axis])
            ret[count++] = i + step;
        rest /= grid->n[axis];
        step *= grid->n[axis];
    }
    *ret_edge = count < 6;
    return count;
}

/* work = 1 where inside and all neighbours in the grid are inside too. Returns how many. */
static size_t erode(struct phi_mask *mask)
{
    size_t n = phi_grid_count(&mask->grid);
    size_t left = 0;

    for (size_t i = 0; i < n; i++) {
        size_t near[6];
        bool edge;
        bool all = mask->inside[i];
        int count = all ? neighbours(&mask->grid, i, near, &edge) : 0;

        for (int k = 0; k < count; k++)
            all = all && mask->inside[near[k]];
        mask->work[i] = all;
        left += all;
    }
    return left;
}

/* Turns the part of work that is connected to `seed` and equals `from` into `to`; its size. */
static size_t flood(struct phi_mask *mask, size_t seed, uint8_t from, uint8_t to)
{
    size_t top = 0;
    size_t count = 0;

    mask->work[seed] = to;
    mask->stack[top++] = (uint32_t)seed;
    while (top) {
        size_t near[6];
        bool edge;
        int n_near = neighbours(&mask->grid, mask->stack[--top], near, &edge);

        count++;
        for (int k = 0; k < n_near; k++)
            if (mask->work[near[k]] == from) {
                mask->work[near[k]] = to;
                mask->stack[top++] = (uint32_t)near[k];
            }
    }
    return count;
}

/* work = 1 in the largest connected part of work, 0 elsewhere. */
static void keep_largest(struct phi_mask *mask)
{
    size_t n = phi_grid_count(&mask->grid);
    size_t best = 0;
    size_t best_seed = n;

    for (size_t i = 0; i < n; i++)
        if (mask->work[i] == 1) {
            size_t size = flood(mask, i, 1, 2);

            if (size > best) {
                best = size;
                best_seed = i;
            }
        }
    if (best_seed < n)
        (void)flood(mask, best_seed, 2, 3);
    for (size_t i = 0; i < n; i++)
        mask->work[i] = mask->work[i] == 3;
}

/* Gives back to work the voxels of inside that touch it; the result goes to inside. */
static void dilate_back(struct phi_mask *mask)
{
    size_t n = phi_grid_count(&mask->grid);

    for (size_t i = 0; i < n; i++) {
        size_t near[6];
        bool edge;
        bool touches = mask->work[i];
        int count = mask->inside[i] ? neighbours(&mask->grid, i, near, &edge) : 0;

        for (int k = 0; k < count; k++)
            touches = touches || mask->work[near[k]];
        mask->inside[i] = mask->inside[i] && touches;
    }
}

/* What the outside cannot reach from the border of the grid is inside. */
static void fill_holes(struct phi_mask *mask)
{
    size_t n = phi_grid_count(&mask->grid);

    for (size_t i = 0; i < n; i++)
        mask->work[i] = mask->inside[i];
    for (size_t i = 0; i < n; i++) {
        size_t near[6];
        bool edge;

        (void)neighbours(&mask->grid, i, near, &edge);
        if (edge && mask->work[i] == 0)
            (void)flood(mask, i, 0, 2);
    }
    for (size_t i = 0; i < n; i++)
        mask->inside[i] = mask->work[i] != 2;
}

enum ph_status phi_mask_from_mean(struct phi_mask *mask, const float *mean)
{
    size_t n = phi_grid_count(&mask->grid);
    float level = phi_mask_clip_level(mean, n);

    mask->n_voxels = 0;
    if (!(level > 0))
        return PH_E_INVAL;
    for (size_t i = 0; i < n; i++)
        mask->inside[i] = mean[i] >= level && isfinite(mean[i]);
    if (erode(mask) == 0)
        memcpy(mask->work, mask->inside, n); /* too thin to open: take it as it is */
    keep_largest(mask);
    dilate_back(mask);
    fill_holes(mask);
    return list_voxels(mask);
}

enum ph_status phi_mask_check(const struct phi_mask *mask, const struct phi_grid *grid,
                              const char *what, struct ph_error *reterr)
{
    const struct phi_grid *own = &mask->grid;

    if (own->n[0] != grid->n[0] || own->n[1] != grid->n[1] || own->n[2] != grid->n[2])
        return phi_error(reterr, PH_E_SHAPE,
                         "%s has %zu x %zu x %zu voxels, the mask %zu x %zu x %zu: make the mask "
                         "on the grid of this scan",
                         what, grid->n[0], grid->n[1], grid->n[2], own->n[0], own->n[1], own->n[2]);
    if (!phi_affine_near(&own->affine, &grid->affine, SAME_AFFINE_MM))
        return phi_error(reterr, PH_E_SHAPE,
                         "%s and the mask have the same size but other positions in the scanner "
                         "(offsets %.2f %.2f %.2f and %.2f %.2f %.2f mm): resample the mask",
                         what, grid->affine.m[0][3], grid->affine.m[1][3], grid->affine.m[2][3],
                         own->affine.m[0][3], own->affine.m[1][3], own->affine.m[2][3]);
    return PH_OK;
}

void phi_mask_gather(const struct phi_mask *mask, const float *volume, float *vector)
{
    for (size_t i = 0; i < mask->n_voxels; i++)
        vector[i] = volume[mask->index[i]];
}

void phi_mask_scatter(const struct phi_mask *mask, const float *vector, float outside,
                      float *volume)
{
    size_t n = phi_grid_count(&mask->grid);

    for (size_t i = 0; i < n; i++)
        volume[i] = outside;
    for (size_t i = 0; i < mask->n_voxels; i++)
        volume[mask->index[i]] = vector[i];
}
