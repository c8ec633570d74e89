/* SPDX-License-Identifier: MIT
 *
 * Brings every voxel to a common scale, volume by volume: percent signal change, z-score, or the
 * mean removed, against a baseline that is either the first volumes, then frozen, or all volumes so
 * far. Frozen is what a decoder wants (the scale does not move under it); running is what a display
 * wants. One owner at a time; only create allocates.
 */
#ifndef PHI_SIGNAL_NORMALISE_H
#define PHI_SIGNAL_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

enum phi_normalise_mode {
    PHI_NORMALISE_PERCENT = 0, /* 100 (y - mean) / mean; 0 where the mean is not above `floor` */
    PHI_NORMALISE_Z = 1,       /* (y - mean) / sd; 0 where there is no variance */
    PHI_NORMALISE_CENTRE = 2,  /* y - mean */
    PHI_NORMALISE_EMA = 3      /* y less its exponential mean */
};

struct phi_normalise_config {
    size_t n_voxels;
    enum phi_normalise_mode mode;
    size_t n_baseline;   /* volumes of the baseline, then frozen; 0: all volumes so far */
    bool exclude_newest; /* running baselines: without the volume that is judged. Including it makes
                            outliers look smaller */
    double floor;        /* smallest mean for which percent has a meaning */
    double ema_keep;     /* share of the past in the exponential mean, 0 to below 1 */
};

struct phi_normalise;

/* Owned by the caller. PH_E_INVAL for a configuration without sense. */
PH_NODISCARD enum ph_status phi_normalise_create(const struct phi_normalise_config *config,
                                                 struct phi_normalise **ret_normalise,
                                                 struct ph_error *reterr);

/* Frees; accepts NULL and *normalise == NULL, clears *normalise. */
void phi_normalise_destroy(struct phi_normalise **normalise);

/* Back to the state after create. */
void phi_normalise_reset(struct phi_normalise *normalise);

/* Another number of voxels, at most that of create; the baseline begins anew. PH_E_SHAPE if there
 * is no memory for so many. */
PH_NODISCARD enum ph_status phi_normalise_resize(struct phi_normalise *normalise, size_t n_voxels);

/* A baseline measured before, of `n` volumes (2 or more): mean and squared deviations m2
 * [n_voxels], as phi_normalise_mean and _m2 give them. It is frozen until the next reset or resize.
 * PH_E_STATE for exponential means, which have no baseline. */
PH_NODISCARD enum ph_status phi_normalise_load(struct phi_normalise *normalise, size_t n,
                                               const double *mean, const double *m2);

/* The baseline so far [n_voxels]; valid until it changes. */
const double *phi_normalise_mean(const struct phi_normalise *normalise);
const double *phi_normalise_m2(const struct phi_normalise *normalise);

/* Normalises y[n_voxels], all finite, in place. `learn` false (a censored volume) leaves the
 * baseline alone. Zeros while there is no baseline at all. */
void phi_normalise_process(struct phi_normalise *normalise, float *y, bool learn);

/* Volumes in the baseline so far. */
size_t phi_normalise_n(const struct phi_normalise *normalise);

/* True once the baseline will not change any more; never for running ones. */
bool phi_normalise_frozen(const struct phi_normalise *normalise);

#endif
