/* SPDX-License-Identifier: MIT
 *
 * The streaming posterior against the usual decoders on simulated runs of TR 1 s: correlation with
 * the true latents, and coverage, at every delay. Simulation, posterior and rivals are a file each.
 * Set-up code; one thread.
 */
#ifndef TOOLS_EVAL_STREAMING_H
#define TOOLS_EVAL_STREAMING_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"
#include "signal/hrf.h"

#define STREAMING_MAX_ROWS    10
#define STREAMING_MAX_DELAYS  12
#define STREAMING_MAX_LATENTS 512
#define STREAMING_TAPS        24
#define STREAMING_SKIP        40 /* first test volumes, not scored */
#define STREAMING_SHARED      10 /* patterns of noise that voxels share */

struct streaming_size {
    size_t p, q;
    size_t n_train, n_test; /* volumes of content, or trials */
    double a;               /* content from volume to volume; unused with trials */
    size_t soa;             /* volumes from trial to trial; 0: continuous content */
    uint64_t seed;
    size_t n_threads;
};

/* y_t = B' sum_k h_k z_(t-k) + noise, standardised by the training volumes. Noise: AR(1) of each
 * voxel with rho .2 to .5, a fifth of its variance shared; voxels' explained variance is gamma
 * distributed with mean .1; later latents are weaker. */
struct streaming_sim {
    struct streaming_size size;
    size_t n, n_train; /* volumes; of training */
    float *y;          /* [n][q] */
    float *z;          /* [n][p], or [n_train + n_test trials][p] */
    size_t *onset;     /* [trials] volume; NULL with content */
    double rho;        /* mean of the voxels' */
    double *b;         /* [p][q] true weights of the standardised data */
    double *offset;    /* [q] the true mean of the standardised data */
    double *noise_v;   /* [q] true noise covariance diag(v) + f'f */
    double *noise_f;   /* [STREAMING_SHARED][q] */
};

PH_NODISCARD enum ph_status streaming_simulate(const struct streaming_size *size,
                                               struct streaming_sim *ret_sim,
                                               struct ph_error *reterr);
void streaming_sim_free(struct streaming_sim *sim);

/* The response over its peak, `delay` volumes after a stick (duration 0) or box. */
double streaming_response(double delay, double duration);
#define STREAMING_DURATION 3 /* of a trial's stimulus, s */

/* One line of the table: mean correlation over latents, and where the decoder has intervals the
 * coverage of those of 90 % (NaN without). */
struct streaming_row {
    char name[64];
    double r[STREAMING_MAX_DELAYS], coverage[STREAMING_MAX_DELAYS];
};

struct streaming_table {
    size_t delay[STREAMING_MAX_DELAYS], n_delays;
    struct streaming_row row[STREAMING_MAX_ROWS];
    size_t n;
};

/* A new line, all NaN; NULL if there is no room. */
struct streaming_row *streaming_add(struct streaming_table *table, const char *name);

/* Mean over latents of the correlation of estimate[n][p] with truth[n][p]. */
double streaming_correlation(const float *estimate, const float *truth, size_t n, size_t p);

/* Each appends its lines. */
PH_NODISCARD enum ph_status streaming_posterior(const struct streaming_sim *sim,
                                                struct streaming_table *table,
                                                struct ph_error *reterr);
PH_NODISCARD enum ph_status streaming_rivals(const struct streaming_sim *sim,
                                             struct streaming_table *table,
                                             struct ph_error *reterr);

#endif
