/* SPDX-License-Identifier: MIT
 *
 * The autocorrelation that filter/glm whitens with, from its first usable volumes: they are kept,
 * their residuals give one coefficient (the median over voxels), and they go through the model once
 * more. One owner; only open allocates.
 */
#ifndef PLUGINS_FILTER_GLM_WHITEN_H
#define PLUGINS_FILTER_GLM_WHITEN_H

#include "plugins/filter/glm/model.h"

struct glm_whiten;

/* Room for `n_volumes` frames of up to n_capacity values, for a model of n_parts rows of n_columns.
 * Owned by the caller. */
PH_NODISCARD enum ph_status glm_whiten_open(size_t n_volumes, size_t n_capacity,
                                            const struct glm_model *model,
                                            struct glm_whiten **ret_whiten,
                                            struct ph_error *reterr);

/* Frees; accepts NULL and *whiten == NULL, clears *whiten. */
void glm_whiten_close(struct glm_whiten **whiten);

/* Forgets all, frames have n values from now on. */
void glm_whiten_reset(struct glm_whiten *whiten, size_t n);

/* Keeps a usable volume as it came, with the model's rows. Does nothing once all are there. */
void glm_whiten_keep(struct glm_whiten *whiten, const struct glm_model *model, uint64_t index,
                     const float *y);

/* True when the last volume has just completed the set. */
bool glm_whiten_complete(const struct glm_whiten *whiten);

struct glm_rho {
    double quarter, median, three_quarters; /* over voxels */
    size_t n_voxels;
};

/* Estimates, gives the model the median and takes the volumes in once more. PH_E_INVAL if nothing
 * can be estimated (too few degrees of freedom, no variance): the model stays as it is. */
PH_NODISCARD enum ph_status glm_whiten_apply(struct glm_whiten *whiten, struct glm_model *model,
                                             const struct ph_host *host, struct glm_rho *ret_rho);

#endif
