/* SPDX-License-Identifier: MIT
 *
 * Single-trial responses of whole runs, voxel by voxel: each voxel's response shape is the one of a
 * list (the 20 curves of signal/hrf.h) under which its trials explain most, then one coefficient a
 * trial by least squares jointly (LSA), against the sum of the others (LSS, Mumford 2012), or by
 * fractional ridge (Rokem and Kay 2020) with a fraction that predicts repeats best, as GLMsingle
 * does. Nuisance columns are fitted beside without penalty. For estimates that
 * grow with a running scan see trialest.h. Set-up code, float64 inside; the same bits for any
 * number of threads.
 */
#ifndef PHI_DECODE_BETAS_H
#define PHI_DECODE_BETAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_BETAS_FRACTIONS 20 /* 1, .95 ... .05 */

struct phi_betas_data {
    size_t n, m, q; /* volumes, trials, voxels */
    size_t n_shapes, n_nuisance;
    const double *x;        /* [n_shapes][n][m] a column a trial */
    const double *nuisance; /* [n][n_nuisance], the constant among them */
    const float *y;         /* [n][q] */
};

enum phi_betas_method { PHI_BETAS_LSA = 0, PHI_BETAS_LSS = 1, PHI_BETAS_RIDGE = 2 };

struct phi_betas_options {
    enum phi_betas_method method;
    /* Ridge: length of the coefficients over that of least squares, in (0, 1]. 0: each voxel's own,
     * under which the mean over all other showings of a stimulus is nearest to the least-squares
     * estimate of each showing. */
    double fraction;
    const int32_t *stimulus; /* [m] the same number: the same stimulus; below 0: unknown */
    bool keep_scale;         /* ridge as it is; else fitted to least squares by scale and offset */
    size_t n_threads;        /* 0: one a processor */
};

/* The caller's memory. */
struct phi_betas {
    float *beta;     /* [m][q] */
    uint8_t *shape;  /* [q] of the list */
    float *r2;       /* [q] of the variance behind the nuisance, by least squares */
    float *fraction; /* [q] of ridge; 1 else */
};

/* PH_E_INVAL names trials that no volume tells apart, a voxel that is not a number, or says that no
 * stimulus was shown twice where fractions are to be chosen; PH_E_SHAPE with fewer volumes than
 * columns. */
PH_NODISCARD enum ph_status phi_betas_fit(const struct phi_betas_data *data,
                                          const struct phi_betas_options *options,
                                          const struct phi_betas *betas, struct ph_error *reterr);

#endif
