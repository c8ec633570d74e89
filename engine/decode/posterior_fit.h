/* SPDX-License-Identifier: MIT
 *
 * Fitting the Gaussian decoder y = c + B'z + e, e ~ N(0, S), z ~ N(0, Q) and reducing it to
 * channels (decode/reduce.h): B by voxel-wise ridge with intercept, S from the residuals of
 * left-out folds (they contain the error of B), diagonal and moderated or full and shrunk, W =
 * T'B S^-1. Everything is computed in the span of the rows, so B and S are never formed and the
 * cost is a few n^2 q; memory is the data, W and a few n x n matrices.
 *
 * Rows may be trials' responses or volumes; for AR(1) noise the caller whitens the rows of x and y
 * (row - rho * row before) and gives rho, so that intercept and S are those of the data.
 * The same bits for any number of threads.
 */
#ifndef PHI_DECODE_POSTERIOR_FIT_H
#define PHI_DECODE_POSTERIOR_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/smoother.h"
#include "phosphene/status.h"

struct phi_posterior_data {
    struct phi_design design; /* x [n][p], folds */
    const float *y;           /* [n][q] */
    size_t q;
};

enum phi_penalty {
    PHI_PENALTY_PER_VOXEL = 0, /* each voxel's by the folds */
    PHI_PENALTY_COMMON = 1,    /* one by the folds, over voxels scaled to unit variance */
    PHI_PENALTY_FIXED = 2      /* `lambda`, 0 for plain least squares */
};

/* Zero is the default everywhere. */
struct phi_posterior_options {
    enum phi_penalty penalty;
    double lambda;
    bool full_noise;       /* full shrunk S; else diagonal */
    double variance_floor; /* least noise variance over a voxel's variance; 0: 1e-6 */
    double rho;            /* the rows were whitened with it */
    const double *prior;   /* [p][p] Q; NULL: the identity, for whitened latents */
    size_t n_threads;      /* 0: one a processor */
    /* Called from the fitting threads' caller between steps; returns false to stop the fit. */
    bool (*progress)(void *ctx, size_t done, size_t total);
    void *progress_ctx;
};

struct phi_posterior {
    size_t p, q;
    double *t;     /* [p][p] z = T zeta */
    double *d;     /* [p] */
    double *error; /* [p] of the weights: what their uncertainty adds to every response to z, in
                      units of a volume's noise variance (phi_channels_blur) */
    float *w;      /* [p][q] x = W (y - c) */
    float *c;      /* [q] */
    float *extra;  /* [n_extra][q] coefficients of the nuisance columns; NULL without */
    size_t n_extra;
    float *sigma; /* [q] noise sd of a voxel; 0 where it is constant and left out */
    double rho;
    double tau;       /* temperature already in d and W; 1 after a fit */
    double df;        /* mean effective degrees of freedom of a voxel's fit */
    double lambda;    /* median penalty */
    double prior_dof; /* of the moderation; may be infinite */
    double shrink;    /* share of the identity in a full S, 1 if diagonal */
    size_t n_constant, n_floored;
};

/* Fits. Errors: phi_smoother_create's; PH_E_INVAL naming a voxel with a value that is not a number,
 * or when every voxel is constant; PH_SKIP if progress stopped it. Owned by the caller. */
PH_NODISCARD enum ph_status phi_posterior_fit(const struct phi_posterior_data *data,
                                              const struct phi_posterior_options *options,
                                              struct phi_posterior **ret_posterior,
                                              struct ph_error *reterr);

/* An empty object, for readers of model files to fill. */
PH_NODISCARD enum ph_status phi_posterior_create(size_t p, size_t q,
                                                 struct phi_posterior **ret_posterior,
                                                 struct ph_error *reterr);

/* Frees the object; accepts NULL and *posterior == NULL, clears *posterior. */
void phi_posterior_destroy(struct phi_posterior **posterior);

/* Lowers what a volume says by the factor 1/tau (tau > 0): d and W are divided by tau / the
 * temperature so far. tau to infinity gives the prior back. */
void phi_posterior_temper(struct phi_posterior *posterior, double tau);

/* Median over voxels of the lag-1 correlation of the residuals of left-out folds, rows in time
 * order: the rho to whiten with. `joined[i]` says that row i follows row i-1 directly; `penalty` is
 * in units of the design's scale (phi_smoother.scale). */
PH_NODISCARD enum ph_status phi_posterior_rho(const struct phi_posterior_data *data,
                                              const bool *joined /* [n] */, double penalty,
                                              double *ret_rho, struct ph_error *reterr);

#endif
