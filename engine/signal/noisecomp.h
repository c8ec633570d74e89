/* SPDX-License-Identifier: MIT
 *
 * Noise components, live: the leading principal components of the voxels of a noise region (white
 * matter and fluid: anatomical; the most variable voxels: temporal), brought up to date with every
 * volume, and the newest volume's scores on them, which serve as nuisance regressors. The scatter
 * matrix's rank-one update is exact as long as the data have no more directions than are kept; what
 * lies outside the kept ones is forgotten at each step. One owner at a time; only create allocates.
 *
 * Sources: Behzadi 2007 (CompCor); Ross, Lim, Lin and Yang 2008 (incremental PCA with a moving
 * mean).
 */
#ifndef PHI_SIGNAL_NOISECOMP_H
#define PHI_SIGNAL_NOISECOMP_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_NOISECOMP_MAX 16

struct phi_noisecomp;

/* For up to n_capacity voxels and n_components (1 to PHI_NOISECOMP_MAX) components. Owned by the
 * caller. PH_E_INVAL for numbers out of range. */
PH_NODISCARD enum ph_status phi_noisecomp_create(size_t n_capacity, size_t n_components,
                                                 struct phi_noisecomp **ret_comp,
                                                 struct ph_error *reterr);

/* Frees; accepts NULL and *comp == NULL, clears *comp. */
void phi_noisecomp_destroy(struct phi_noisecomp **comp);

/* Forgets all volumes; the region is now voxels[n_voxels] of the volumes to come (copied).
 * PH_E_SHAPE if there are none or more than the capacity. */
PH_NODISCARD enum ph_status phi_noisecomp_set_region(struct phi_noisecomp *comp,
                                                     const uint32_t *voxels, size_t n_voxels);

/* Scores ret_scores[n_components] of volume y, by components as they are: the projection on each
 * component over the root of the number of voxels, so in units of the signal. 0 where there is no
 * component yet. */
void phi_noisecomp_scores(const struct phi_noisecomp *comp, const float *y, double *ret_scores);

/* Takes volume y, finite in the region, into the components. They are ordered by variance and keep
 * their sign from volume to volume. */
void phi_noisecomp_learn(struct phi_noisecomp *comp, const float *y);

/* Volumes learnt from, and components found so far. */
size_t phi_noisecomp_n(const struct phi_noisecomp *comp);
size_t phi_noisecomp_n_components(const struct phi_noisecomp *comp);

/* Variance along component `i`, and its weights [n_voxels of the region], of unit length. */
double phi_noisecomp_variance(const struct phi_noisecomp *comp, size_t i);
const double *phi_noisecomp_weights(const struct phi_noisecomp *comp, size_t i);

/* The temporal region: the `n_wanted` voxels of the largest variance m2[n_voxels] (any scale), in
 * ascending order, into ret_voxels[n_wanted]; ties go to the lower index. Returns how many were
 * found: fewer if there are fewer with a variance above 0. */
size_t phi_noisecomp_most_variable(const double *m2, size_t n_voxels, size_t n_wanted,
                                   uint32_t *ret_voxels);

#endif
