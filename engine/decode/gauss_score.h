/* SPDX-License-Identifier: MIT
 *
 * Scores of estimates that come with their own standard deviation: negative log-likelihood and
 * coverage. Arrays are float32 [n]; any shape may be passed flat. Sums in float64. Pure.
 */
#ifndef PHI_DECODE_GAUSS_SCORE_H
#define PHI_DECODE_GAUSS_SCORE_H

#include <stddef.h>

struct phi_gauss_pair {
    const float *mean;  /* [n] */
    const float *sd;    /* [n], above 0 */
    const float *truth; /* [n] */
    size_t n;
};

/* Mean of log(sd sqrt(2 pi)) + (truth - mean)^2 / (2 sd^2), in nats a value; NaN if n is 0. */
double phi_gauss_nll(const struct phi_gauss_pair *pair);

/* Share of truths within mean +- z sd; z = 1.6449 for 90 %. NaN if n is 0. */
double phi_gauss_coverage(const struct phi_gauss_pair *pair, double z);

/* mean((truth - mean)^2) / mean(sd^2): 1 when honest, above when overconfident. */
double phi_gauss_variance_ratio(const struct phi_gauss_pair *pair);

/* z of a central interval of the normal distribution at `level` (.90 gives 1.6449): erf(z/sqrt 2) =
 * level solved by bisection. `level` in [0, 1). */
double phi_gauss_z(double level);

#endif
