/* SPDX-License-Identifier: MIT
 *
 * The reduction that makes Gaussian decoding cheap: with y = c + B'z + e, e ~ N(0, S) and
 * z ~ N(mu, Q), the generalised eigenproblem of G = B S^-1 B' and Q^-1 gives T and d such that
 * z = mu + T zeta with zeta ~ N(0, I) and x = T'B S^-1 (y - c - B'mu) has independent channels
 * x_i = d_i zeta_i + N(0, d_i), sufficient for z. Everything after the product W (y - c) then costs
 * a few operations per channel. Set-up code; thread-safe on separate objects.
 */
#ifndef PHI_DECODE_REDUCE_H
#define PHI_DECODE_REDUCE_H

#include <stddef.h>

#include "phosphene/status.h"

/* T with T'GT = diag(d), T'Q^-1 T = I, from the eigenvectors U of L'GL with Q = LL', T = LU. `q`
 * NULL means Q = I. d falls and is never below zero; in each column of T the entry of largest
 * magnitude is positive. PH_E_INVAL if Q is not positive definite or G is not finite. */
PH_NODISCARD enum ph_status phi_reduce(const double *g /* [p][p] */, const double *q /* [p][p] */,
                                       size_t p, double *ret_t /* [p][p] */,
                                       double *ret_d /* [p] */, struct ph_error *reterr);

/* Channel statistics of a posterior after information s about a constant zeta: var = 1/(1 + s d),
 * mean = var eta. */
void phi_channel_posterior(const double *d /* [p] */, const double *eta /* [p] */, double s,
                           size_t p, double *ret_mean /* [p] */, double *ret_var /* [p] */);

/* Weights are fitted, so what is seen is (B + E)'z with E random: to every response to z it adds
 * E'z, the same in each volume, of covariance error S in the voxels and d error in the channels.
 * Hence channels see zeta + eta, eta ~ N(0, error_i / d_i), instead of zeta. Standardised that is a
 * channel of the usual form with ret_d = d + error and x multiplied by ret_stretch =
 * sqrt(1 + error / d); a channel with d = 0 keeps d = 0. `error` NULL: none. */
void phi_channels_blur(const double *d /* [p] */, const double *error /* [p] */, size_t p,
                       double *ret_d /* [p] */, double *ret_stretch /* [p] */);

/* Mean and variance of zeta from those of a blurred channel: with g = 1 / stretch^2 the mean is
 * sqrt(g) mean, and the variance g var + 1 - g, never below the share 1 - g that no volume tells.
 */
void phi_channels_sharpen(const double *stretch /* [p] */, const double *mean /* [p] */,
                          const double *var /* [p] */, size_t p, double *ret_mean /* [p] */,
                          double *ret_var /* [p] */);

/* z = mu + T mean (mu NULL: 0), sd of each z from independent channel variances. */
void phi_channels_to_latent(const double *t /* [p][p] */, const double *mu /* [p] */, size_t p,
                            const double *mean /* [p] */, const double *var /* [p] */,
                            double *ret_z /* [p] */, double *ret_sd /* [p] */);

/* cov = T diag(var) T'. */
void phi_channels_to_cov(const double *t /* [p][p] */, const double *var /* [p] */, size_t p,
                         double *ret_cov /* [p][p] */);

/* One sample of the posterior: mu + T (mean + sqrt(var) * normal), with standard normal numbers
 * `normal`, overwritten. */
void phi_channels_sample(const double *t /* [p][p] */, const double *mu /* [p] */, size_t p,
                         const double *mean /* [p] */, const double *var /* [p] */,
                         double *normal /* [p] */, double *ret_z /* [p] */);

/* Log Bayes factor in nats of "z drawn from its prior" against "z = mu" after eta and s: what the
 * evidence N(y; c + B'mu, B'QB + S) gains over N(y; c + B'mu, S). */
double phi_channels_gain(const double *d /* [p] */, const double *eta /* [p] */, double s,
                         size_t p);

#endif
