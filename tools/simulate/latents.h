/* SPDX-License-Identifier: MIT
 *
 * What the simulated brain answers to: whitened principal components of the stimuli's pixels, or
 * latents of any model from a file. Thread-safe on separate objects.
 */
#ifndef TOOLS_SIMULATE_LATENTS_H
#define TOOLS_SIMULATE_LATENTS_H

#include "decode/pca.h"
#include "tools/stimuli/set.h"

/* values are owned and freed with phi_sim_latents_fini. */
struct phi_sim_latents {
    double *values; /* [n][p] */
    size_t n, p;
};

/* Components of the pixels (0 .. 1) of at most 2000 pictures of `set`, evenly chosen; at most `p`.
 * Owned by the caller, phi_pca_destroy. */
PH_NODISCARD enum ph_status phi_sim_latents_fit(const struct phi_stimuli *set, size_t p,
                                                struct phi_pca **ret_pca, struct ph_error *reterr);

/* Whitened scores of all pictures of `set`. PH_E_SHAPE if its pictures have another size. */
PH_NODISCARD enum ph_status phi_sim_latents_whiten(const struct phi_pca *pca,
                                                   const struct phi_stimuli *set,
                                                   struct phi_sim_latents *ret_latents,
                                                   struct ph_error *reterr);

/* The tensor "latents" [n][p] of a safetensors file; n must be the number of pictures. */
PH_NODISCARD enum ph_status phi_sim_latents_read(const char *path, size_t n,
                                                 struct phi_sim_latents *ret_latents,
                                                 struct ph_error *reterr);

/* Puts the columns of `more` to the right of those of `latents` (which may be zeroed). Both must
 * have the same rows. PH_E_NOMEM leaves `latents` as it was. */
PH_NODISCARD enum ph_status phi_sim_latents_append(struct phi_sim_latents *latents,
                                                   const struct phi_sim_latents *more,
                                                   struct ph_error *reterr);

/* Frees; accepts zeroed ones. */
void phi_sim_latents_fini(struct phi_sim_latents *latents);

#endif
