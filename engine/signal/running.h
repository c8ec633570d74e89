/* SPDX-License-Identifier: MIT
 *
 * Statistics that grow by one sample: Welford's mean and variance and an exponential mean, of one
 * signal (plain structs) and of all voxels at once (struct phi_moments). float64 throughout, no
 * sums of squares, so that baselines of thousands cost no digits. One owner at a time; only create
 * allocates. Values that are not finite must be kept away by the caller.
 *
 * Source: Welford 1962; Chan, Golub and LeVeque 1983.
 */
#ifndef PHI_SIGNAL_RUNNING_H
#define PHI_SIGNAL_RUNNING_H

#include <math.h>
#include <stddef.h>

#include "phosphene/status.h"

/* Mean and squared deviations of the samples so far; all zero is empty. */
struct phi_welford {
    size_t n;
    double mean;
    double m2;
};

/* Takes a sample. */
static inline void phi_welford_add(struct phi_welford *w, double y)
{
    double d = y - w->mean;

    w->n++;
    w->mean += d / (double)w->n;
    w->m2 += d * (y - w->mean);
}

/* Variance with n - 1; 0 for fewer than two samples. */
static inline double phi_welford_variance(const struct phi_welford *w)
{
    return w->n > 1 ? w->m2 / (double)(w->n - 1) : 0;
}

/* How many standard deviations y lies from the mean; 0 while there is no variance. */
static inline double phi_welford_z(const struct phi_welford *w, double y)
{
    double variance = phi_welford_variance(w);

    return variance > 0 ? (y - w->mean) / sqrt(variance) : 0;
}

/* Exponential mean; started by its first sample. A weight of `keep` on the past has a time constant
 * of 1 / (1 - keep) samples. */
struct phi_ema {
    double keep;
    double level;
    int started;
};

/* Takes a sample and returns it less the level (its drift removed). */
static inline double phi_ema_step(struct phi_ema *ema, double y)
{
    ema->level = ema->started ? ema->keep * ema->level + (1 - ema->keep) * y : y;
    ema->started = 1;
    return y - ema->level;
}

/* Welford moments of every voxel. */
struct phi_moments;

/* Empty moments of n_voxels voxels. Owned by the caller. */
PH_NODISCARD enum ph_status phi_moments_create(size_t n_voxels, struct phi_moments **ret_moments,
                                               struct ph_error *reterr);

/* Frees; accepts NULL and *moments == NULL, clears *moments. */
void phi_moments_destroy(struct phi_moments **moments);

/* Forgets all volumes; those to come have n_voxels voxels, at most as many as at create. */
void phi_moments_reset(struct phi_moments *moments, size_t n_voxels);

/* Takes volume y[n_voxels], all finite. */
void phi_moments_add(struct phi_moments *moments, const float *y);

/* In the place of volumes: the moments of `n` volumes seen elsewhere, mean and m2 [n_voxels]. */
void phi_moments_load(struct phi_moments *moments, size_t n, const double *mean, const double *m2);

/* Volumes so far. */
size_t phi_moments_n(const struct phi_moments *moments);

/* Means and squared deviations [n_voxels]; the variance is m2 / (n - 1). Valid until destroy. */
const double *phi_moments_mean(const struct phi_moments *moments);
const double *phi_moments_m2(const struct phi_moments *moments);

#endif
