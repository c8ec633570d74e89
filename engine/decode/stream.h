/* SPDX-License-Identifier: MIT
 *
 * Streaming posterior of continuous content: one scalar Kalman filter per channel whose state holds
 * the channel's last L values, so that slot j is the fixed-lag estimate of j volumes ago, revised
 * with every volume. The content is AR(1) with coefficient a, unit variance; a volume carries
 * x_i = d_i sum_k h_k zeta_i(t-k) + noise of variance d_i, AR(1) with coefficient rho, and where
 * asked for a random-walk level of covariance kappa d_i a volume. Missing volumes are bridged
 * exactly up to max_gap. All memory is taken by create; one thread.
 *
 * Several time constants: one object per a (a bank), each fed every x; a feature is read from the
 * bank whose a is its own.
 */
#ifndef PHI_DECODE_STREAM_H
#define PHI_DECODE_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_stream_config {
    size_t n_channels;
    const double *d;            /* [n_channels] >= 0, copied */
    const double *weight_error; /* [n_channels] as in phi_trials_config; NULL: none. Copied. */
    const double *h;            /* [n_taps] response a volume apart, copied */
    size_t n_taps;              /* K */
    double a;                   /* of the content from volume to volume, 0 <= a < 1 */
    double rho;                 /* of the noise, 0 <= rho < 1 */
    size_t n_lags;              /* L; at least n_taps, and n_taps + max_gap if rho > 0 */
    size_t max_gap;             /* 0: 3; after more missing volumes the noise starts afresh */
    bool has_drift;             /* a level in the state; exact for rho = 0 */
    double kappa;               /* its variance a volume, in units of the channel's noise */
    double kappa0;              /* its variance at the start; 0: 1e4 */
    bool steady;          /* precomputed steady gains: p L a volume instead of p L^2, the same from
                             about volume 60 on; not with drift. After a gap they are approximate. */
    double nis_threshold; /* a volume whose innovations are less likely is not used; 0: no test */
};

struct phi_stream;

/* Owned by the caller. Lags below what the taps need are raised. PH_E_INVAL names the setting. */
PH_NODISCARD enum ph_status phi_stream_create(const struct phi_stream_config *config,
                                              struct phi_stream **ret_stream,
                                              struct ph_error *reterr);

/* Frees the object; accepts NULL and *stream == NULL, clears *stream. */
void phi_stream_destroy(struct phi_stream **stream);

/* Back to before the first volume. */
void phi_stream_reset(struct phi_stream *stream);

/* The next volume; x NULL: missing or censored. `weight` in (0, 1] lowers its reliability (its
 * noise variance is divided by it). ret_nis as in phi_trials_step. Returns true if the volume was
 * used. No allocation. */
bool phi_stream_step(struct phi_stream *stream, const double *x /* [n_channels] */, double weight,
                     double *ret_nis);

/* L: how many lags there are. */
size_t phi_stream_n_lags(const struct phi_stream *stream);

/* Posterior mean and variance of zeta `lag` volumes ago, into [n_channels]. */
void phi_stream_read(const struct phi_stream *stream, size_t lag, double *ret_mean,
                     double *ret_var);

/* Share of the information that lag L - 1 will have: (1 - var) over its steady value, averaged over
 * channels with signal; 0..1. */
double phi_stream_share(const struct phi_stream *stream, size_t lag);

/* Log Bayes factor of the estimate at `lag` against the prior (Savage and Dickey), nats. */
double phi_stream_evidence(const struct phi_stream *stream, size_t lag);

/* Sum over used volumes of the log predictive density of x/d; for choosing a, kappa and the
 * response with d and W held fixed. */
double phi_stream_loglik(const struct phi_stream *stream);

/* Steady gains of the white-noise filter for `config` (x blurred by
 * weight_error, phi_channels_blur): iterates the covariance until the gain
 * changes by less than 1e-12, at most 5000 times. ret_gain[n_channels][n_lags] multiplies the
 * innovation of x/d; ret_var the variances after the update. */
PH_NODISCARD enum ph_status phi_stream_steady(const struct phi_stream_config *config,
                                              double *ret_gain, double *ret_var,
                                              struct ph_error *reterr);

#endif
