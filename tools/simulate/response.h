/* SPDX-License-Identifier: MIT
 *
 * How the brain answers: a region at the back of the brain whose voxels respond to p latents with
 * spatially smooth weights B, and to any stimulus with a common response. Weights are in the run's
 * intensity units per unit of convolved latent. Read-only once made.
 */
#ifndef TOOLS_SIMULATE_RESPONSE_H
#define TOOLS_SIMULATE_RESPONSE_H

#include "tools/simulate/source.h"

struct phi_sim_response_config {
    size_t p;            /* latents */
    size_t n_voxels;     /* of the region; fewer if the back half of the brain has fewer */
    double fwhm_mm;      /* smoothness of B */
    double mean_percent; /* peak of the common response to one second of stimulus, % of the mean */
    const double *gains; /* [p] relative strength of each latent, NULL for all equal */
    uint64_t seed;
};

struct phi_sim_response {
    size_t p;
    size_t n_voxels;
    uint32_t *voxels;   /* [n_voxels] numbers in the volume, ascending */
    uint32_t *in_brain; /* [n_voxels] the same as positions in the brain's vector */
    float *weights;     /* [p + 1][n_voxels]; the last row is the common response */
    float *noise_sd;    /* [n_voxels] */
};

/* Draws a region and weights; before phi_sim_response_scale each weight is in units of its voxel's
 * noise. PH_E_SHAPE if the brain has no usable voxels. Owned by the caller. */
PH_NODISCARD enum ph_status phi_sim_response_create(const struct phi_sim_source *source,
                                                    const struct phi_sim_response_config *config,
                                                    struct phi_sim_response **ret_response,
                                                    struct ph_error *reterr);

/* Frees; accepts NULL and *response == NULL. */
void phi_sim_response_destroy(struct phi_sim_response **response);

/* The signal-to-noise ratio that the weights give with a design[n_volumes][p + 1]: root mean square
 * over the region's voxels of sd(response to the latents, over time) / sd(noise). The common
 * response does not count. */
double phi_sim_response_snr(const struct phi_sim_response *response, const double *design,
                            size_t n_volumes);

/* Scales the latents' weights (not the common response) by `factor`. */
void phi_sim_response_scale(struct phi_sim_response *response, double factor);

/* Adds the response of one volume, design_row[p + 1], to volume[n_all]. */
void phi_sim_response_add(const struct phi_sim_response *response, const double *design_row,
                          float *volume);

#endif
