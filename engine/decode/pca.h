/* SPDX-License-Identifier: MIT
 *
 * Principal components: the latents of a decoder are whitened component scores of stimulus pixels
 * or network features, and the inverse draws them again (the eigenface baseline, and the fixed
 * first layer of the adversarial generator). Fitted in float64 through the smaller Gram matrix.
 * A fitted object is read-only and may be shared between threads.
 */
#ifndef PHI_DECODE_PCA_H
#define PHI_DECODE_PCA_H

#include <stddef.h>

#include "phosphene/status.h"

struct phi_pca {
    size_t n_features;
    size_t n_components;
    double *mean;       /* [n_features] */
    double *components; /* [n_components][n_features], orthonormal rows, largest variance first; in
                           each row the entry of largest magnitude is positive */
    double *sd;         /* [n_components] standard deviation of the scores, n - 1 in the divisor */
};

/* Components of x[n][n_features], at most `max_components` (0: as many as the rank allows, which is
 * at most n - 1). Components whose sd is below 1e-6 of the largest are left out: they are rounding
 * noise, and dividing by their sd would blow it up. PH_E_SHAPE with fewer than two rows, PH_E_INVAL
 * if a value is not finite or all rows are equal. Owned by the caller. */
PH_NODISCARD enum ph_status phi_pca_fit(const float *x /* [n][n_features] */, size_t n,
                                        size_t n_features, size_t max_components,
                                        struct phi_pca **ret_pca, struct ph_error *reterr);

/* An empty object of the given sizes, for readers of model files to fill. */
PH_NODISCARD enum ph_status phi_pca_create(size_t n_features, size_t n_components,
                                           struct phi_pca **ret_pca, struct ph_error *reterr);

/* Frees the object; accepts NULL and *pca == NULL, clears *pca. */
void phi_pca_destroy(struct phi_pca **pca);

/* ret[n][n_components] = (x - mean) components' / sd. No allocation. */
void phi_pca_whiten(const struct phi_pca *pca, const float *x /* [n][n_features] */, size_t n,
                    double *ret /* [n][n_components] */);

/* ret[n_features] = mean + (score * sd) components, from the first `n_used` (at most n_components)
 * whitened scores. No allocation. */
void phi_pca_unwhiten(const struct phi_pca *pca, const double *score /* [n_used] */, size_t n_used,
                      double *ret /* [n_features] */);

#endif
