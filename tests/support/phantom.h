/* SPDX-License-Identifier: MIT
 *
 * A head whose intensity is an analytic function of position (soft ellipsoids and Gaussian blobs),
 * so that any pose can be sampled without interpolation. World mm, head at rest around the origin.
 */
#ifndef TESTS_SUPPORT_PHANTOM_H
#define TESTS_SUPPORT_PHANTOM_H

#include <math.h>
#include <stddef.h>

#include "base/rng.h"
#include "signal/affine.h"

#define PHANTOM_BLOBS 60

struct phantom {
    double blobs[PHANTOM_BLOBS][5]; /* centre x, y, z (mm), sd (mm), amplitude */
};

/* A phantom with blobs of its own. */
static inline struct phantom phantom_make(uint64_t seed)
{
    const double reach[3] = {48, 60, 32};
    struct phantom p;
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 77);
    for (int b = 0; b < PHANTOM_BLOBS; b++) {
        for (int i = 0; i < 3; i++)
            p.blobs[b][i] = (2 * phi_rng_uniform(&rng) - 1) * reach[i];
        p.blobs[b][3] = 5 + 6 * phi_rng_uniform(&rng);
        p.blobs[b][4] = -120 + 280 * phi_rng_uniform(&rng);
    }
    return p;
}

static inline double phantom_ellipsoid(const double at[3], const double centre[3],
                                       const double radius[3])
{
    double sum = 0;

    for (int i = 0; i < 3; i++)
        sum += (at[i] - centre[i]) * (at[i] - centre[i]) / (radius[i] * radius[i]);
    return sqrt(sum);
}

/* Intensity at a world position, head at rest. */
static inline double phantom_at(const struct phantom *p, const double at[3])
{
    double r1 = phantom_ellipsoid(at, (const double[3]){0, 0, -4}, (const double[3]){58, 72, 44});
    double r2 = phantom_ellipsoid(at, (const double[3]){3, 4, 2}, (const double[3]){14, 24, 12});
    double v = 600 / (1 + exp((r1 - 1) * 18)) + 350 / (1 + exp((r2 - 1) * 8));

    for (int b = 0; r1 < 1.3 && b < PHANTOM_BLOBS; b++) {
        const double *q = p->blobs[b];
        double d2 = (at[0] - q[0]) * (at[0] - q[0]) + (at[1] - q[1]) * (at[1] - q[1]) +
                    (at[2] - q[2]) * (at[2] - q[2]);

        if (d2 < 64 * q[3] * q[3])
            v += q[4] * exp(-d2 / (2 * q[3] * q[3]));
    }
    return v > 0 ? v : 0;
}

/* The volume seen on `grid` when params (image -> reference) bring the head back to rest, plus
 * noise of sd `noise` from (seed); as magnitude. volume[nz][ny][nx]. */
static inline void phantom_sample(const struct phantom *p, const struct phi_grid *grid,
                                  const double params[6], double noise, uint64_t seed,
                                  float *volume)
{
    struct phi_affine pose = phi_affine_from_params(params);
    struct phi_affine to_rest = phi_affine_multiply(&pose, &grid->affine);
    struct phi_rng rng;

    phi_rng_init(&rng, seed, 5);
    for (size_t z = 0; z < grid->n[2]; z++)
        for (size_t y = 0; y < grid->n[1]; y++)
            for (size_t x = 0; x < grid->n[0]; x++) {
                double at[3] = {(double)x, (double)y, (double)z};
                double v;

                phi_affine_apply(&to_rest, at, at);
                v = phantom_at(p, at);
                *volume++ = (float)fabs(noise > 0 ? v + noise * phi_rng_normal(&rng) : v);
            }
}

/* A grid of n[3] voxels of mm[3] with the world's origin in its centre. */
static inline struct phi_grid phantom_grid(const size_t n[3], const double mm[3])
{
    struct phi_grid grid = {{n[0], n[1], n[2]}, phi_affine_identity()};

    for (int i = 0; i < 3; i++) {
        grid.affine.m[i][i] = mm[i];
        grid.affine.m[i][3] = -mm[i] * ((double)n[i] - 1) / 2;
    }
    return grid;
}

#endif
