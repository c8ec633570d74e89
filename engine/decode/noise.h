/* SPDX-License-Identifier: MIT
 *
 * Voxel noise: moderated variances, the shrinkage of a correlation matrix, and the covariance in
 * the form diag(v) + F'F that is inverted through its rank. Set-up code in float64. Thread-safe on
 * separate objects.
 */
#ifndef PHI_DECODE_NOISE_H
#define PHI_DECODE_NOISE_H

#include <stddef.h>

#include "phosphene/status.h"

/* First and second derivative of log gamma for x > 0, absolute error below 1e-12 for x >= 1e-3. */
double phi_digamma(double x);
double phi_trigamma(double x);

/* The x > 0 with phi_trigamma(x) = y, for y > 0. */
double phi_trigamma_inverse(double y);

/* Quantile of the chi-square distribution with `dof` > 0 degrees of freedom at probability `p` in
 * (0, 1), by the cube-root normal approximation of Wilson and Hilferty (1931): within 1 % for 5
 * degrees of freedom and better above. */
double phi_chi2_quantile(double dof, double p);

/* What moderation found; prior_dof is infinite when the variances differ no more than chance. */
struct phi_moderation {
    double prior_dof;
    double prior_variance;
};

/* Moderates variances s2[n] > 0 of `dof` degrees of freedom each towards a common prior fitted to
 * them (Smyth 2004, the limma form): s2 = (dof s2 + dof0 s0^2) / (dof + dof0). In place. With fewer
 * than two variances nothing changes and prior_dof is 0. */
struct phi_moderation phi_moderate_variances(double *s2 /* [n] */, size_t n, double dof);

/* Sums that decide the shrinkage of a correlation matrix towards the identity, all of residuals z
 * scaled to about unit variance, n rows: gram = z z' over all voxels. */
struct phi_shrink_sums {
    const double *gram; /* [n][n] */
    size_t n;
    double sum_variance2; /* sum over voxels of (mean z^2)^2 */
    double sum_fourth;    /* sum over voxels of mean z^4 */
};

/* Share of the identity, sum of var(r_ij) over sum of r_ij^2 off the diagonal (Ledoit and Wolf
 * 2004; Schaefer and Strimmer 2005), within [1e-3, 1]. */
double phi_shrink_intensity(const struct phi_shrink_sums *sums);

/* Noise covariance S = diag(v) + F'F. */
struct phi_noise {
    size_t n_voxels, rank;
    const double *v; /* [n_voxels], > 0 */
    const double *f; /* [rank][n_voxels], NULL if rank is 0 */
};

/* ret[n][n_voxels] = a S^-1 by the Woodbury identity. Allocates rank x (rank + n) numbers. */
PH_NODISCARD enum ph_status phi_noise_solve(const struct phi_noise *noise,
                                            const double *a /* [n][n_voxels] */, size_t n,
                                            double *ret /* [n][n_voxels] */,
                                            struct ph_error *reterr);

/* Log density of N(r; 0, S), in nats. */
PH_NODISCARD enum ph_status phi_noise_loglik(const struct phi_noise *noise,
                                             const double *r /* [n_voxels] */, double *ret_loglik,
                                             struct ph_error *reterr);

#endif
