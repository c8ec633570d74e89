/* SPDX-License-Identifier: MIT
 *
 * Noise regressors of filter/glm: components of a region given as a mask, or of the most variable
 * voxels of the first volumes. Until enough volumes have been seen they are 0. One owner; only open
 * allocates.
 */
#ifndef PLUGINS_FILTER_GLM_NOISE_H
#define PLUGINS_FILTER_GLM_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/plugin.h"

struct phi_glm_noise;

struct phi_glm_noise_config {
    size_t n_components;
    size_t n_capacity;      /* voxels of a frame, at most */
    const uint32_t *voxels; /* [n_voxels] of the grid, ascending, copied; NULL: the most variable */
    size_t n_voxels;
    double share;     /* of the voxels that is the most variable region */
    size_t n_volumes; /* usable volumes to choose the region, and then to find the components */
};

/* Owned by the caller. */
PH_NODISCARD enum ph_status phi_glm_noise_open(const struct phi_glm_noise_config *config,
                                               struct phi_glm_noise **ret_noise,
                                               struct ph_error *reterr);

/* Frees; accepts NULL and *noise == NULL, clears *noise. */
void phi_glm_noise_close(struct phi_glm_noise **noise);

/* Begins anew, with frames of n_values values; places[n_values] are their ascending places in the
 * grid, NULL for whole volumes. PH_E_INVAL if none of a given region's voxels is among them; the
 * regressors then stay 0. */
PH_NODISCARD enum ph_status phi_glm_noise_reset(struct phi_glm_noise *noise, size_t n_values,
                                                const uint32_t *places);

/* The regressors ret_row[n_components] of frame values y. */
void phi_glm_noise_row(const struct phi_glm_noise *noise, const float *y, double *ret_row);

/* Takes a usable frame. */
void phi_glm_noise_learn(struct phi_glm_noise *noise, const float *y);

#endif
