/* SPDX-License-Identifier: MIT
 *
 * Ridge regression with an intercept as matrices that act on the data of every voxel alike: the map
 * to the weights and the map to the residuals of left-out folds. One decomposition of the design
 * serves all penalties. Set-up code, float64; read-only after create.
 */
#ifndef PHI_DECODE_SMOOTHER_H
#define PHI_DECODE_SMOOTHER_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

/* The design: x[n][p], the fold of each row, 0 .. n_folds - 1, and columns beside the constant that
 * are fitted without a penalty (drifts, runs, the response to any stimulus). Rows that belong
 * together in time or by stimulus must share a fold. */
struct phi_design {
    const float *x;
    const uint32_t *fold;
    size_t n, p, n_folds;
    const double *nuisance; /* [n][n_nuisance] */
    size_t n_nuisance;
};

struct phi_smoother {
    struct phi_design design;
    size_t rank;
    size_t n_free; /* 1 + n_nuisance: the constant first */
    double *q;     /* [n_free][n] orthonormal rows that span constant and nuisance */
    double *qr;    /* [n_free][n_free] lower: column j of them = sum_i q_i qr[j][i] */
    double *s2;    /* [rank] squared singular values of x without those, falling */
    double *u;     /* [rank][n] left vectors, as rows */
    double *v;     /* [rank][p] right vectors, as rows */
    double scale;  /* mean diagonal of that x x', the unit of penalties */
};

/* Decomposes the design. PH_E_SHAPE with fewer rows than folds or fewer than 2 folds or an empty
 * fold, PH_E_INVAL if a value is not finite or a column is explained by the
 * constant and the nuisance; texts name the column. Owned
 * by the caller. */
PH_NODISCARD enum ph_status phi_smoother_create(const struct phi_design *design,
                                                struct phi_smoother **ret_smoother,
                                                struct ph_error *reterr);

/* Frees the object; accepts NULL and *smoother == NULL, clears *smoother. */
void phi_smoother_destroy(struct phi_smoother **smoother);

/* Effective degrees of freedom at penalty `lambda`, without the intercept. */
double phi_smoother_df(const struct phi_smoother *smoother, double lambda);

/* Variance that the uncertainty of the weights adds to a response to latents z ~ N(0, Q): trace of
 * Q (x'x + lambda I)^-1, in units of a row's noise variance; `q` NULL: the identity. Without a
 * penalty, directions that the rows do not span are left out. */
double phi_smoother_error(const struct phi_smoother *smoother, double lambda,
                          const double *q /* [p][p] */);

/* ret[p][n]: the weights are B = ret Y for data Y with any column means. */
PH_NODISCARD enum ph_status phi_smoother_weights(const struct phi_smoother *smoother, double lambda,
                                                 double *ret /* [p][n] */, struct ph_error *reterr);

/* ret[n_free][n]: the coefficients of constant and nuisance are ret Y, given the weights map
 * `weights`[p][n] of phi_smoother_weights. */
void phi_smoother_free_part(const struct phi_smoother *smoother, const double *weights,
                            double *ret /* [n_free][n] */);

/* ret[n][n]: the residuals of each row under the fit without its fold are E = ret Y, exactly:
 * (I - H_ff)^-1 (I - H) with the hat matrix H that includes the intercept. PH_E_INVAL if the fit
 * leaves nothing over (as many latents as rows and no penalty). */
PH_NODISCARD enum ph_status phi_smoother_residuals(const struct phi_smoother *smoother,
                                                   double lambda, double *ret /* [n][n] */,
                                                   struct ph_error *reterr);

#endif
