/* SPDX-License-Identifier: MIT
 *
 * Ridge regression of problems that fit into memory, float64: the three equivalent solutions, and
 * the path over penalties after one SVD with its exact leave-one-out errors, GCV and fractional
 * form. For very many voxels or targets see ridge_fit.h. Not for the live path. Hoerl and Kennard
 * 1970; GCV: Golub, Heath and Wahba 1979; fractions: Rokem and Kay 2020.
 */
#ifndef PHI_DECODE_RIDGE_H
#define PHI_DECODE_RIDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "decode/linalg.h"
#include "phosphene/status.h"

struct phi_ridge_problem {
    const double *x; /* [n][m] samples, borrowed */
    const double *y; /* [n][t] targets, borrowed */
    size_t n, m, t;
};

enum phi_ridge_form {
    PHI_RIDGE_AUTO,   /* primal if m <= n, dual otherwise */
    PHI_RIDGE_PRIMAL, /* (X'X + lambda I)^-1 X'Y by Cholesky */
    PHI_RIDGE_DUAL,   /* X'(XX' + lambda I)^-1 Y by Cholesky */
    PHI_RIDGE_SVD     /* V diag(s/(s^2 + lambda)) U'Y */
};

/* ret_weights[m][t] and ret_intercept[t] for one penalty above 0, samples and targets centred by
 * their means. PH_E_INVAL for values that are not numbers, PH_E_SHAPE for an empty problem. */
PH_NODISCARD enum ph_status phi_ridge_solve(const struct phi_ridge_problem *problem,
                                            enum phi_ridge_form form, double lambda,
                                            double *ret_weights, double *ret_intercept,
                                            struct ph_error *reterr);

/* Rows that may be left out one by one, and rows that may not: a volume's neighbours tell its
 * value, so leave-one-out and GCV choose far too small a penalty on a series. */
enum phi_rows {
    PHI_ROWS_SEPARATE, /* trials far enough apart to be independent */
    PHI_ROWS_SERIES    /* volumes, or trials that overlap */
};

/* One SVD for all penalties. Owned by the caller. */
struct phi_ridge_path {
    size_t n, m, t;
    bool centred;
    struct phi_svd svd;
    double *uty;    /* [r][t] */
    double *yc;     /* [n][t] targets, centred if asked */
    double *x_mean; /* [m] */
    double *y_mean; /* [t] */
};

/* `centre`: with an intercept (the usual case). Errors as phi_ridge_solve. */
PH_NODISCARD enum ph_status phi_ridge_path_create(const struct phi_ridge_problem *problem,
                                                  bool centre, struct phi_ridge_path *ret_path,
                                                  struct ph_error *reterr);
void phi_ridge_path_fini(struct phi_ridge_path *path);

/* Weights and intercept with one penalty a target, lambda[t], 0 allowed where the rank is full. */
void phi_ridge_path_weights(const struct phi_ridge_path *path, const double *lambda /* [t] */,
                            double *ret_weights /* [m][t] */, double *ret_intercept /* [t] */);

/* Diagonal of the (centred) hat matrix, and degrees of freedom: its sum, plus one for the
 * intercept. */
double phi_ridge_path_hat(const struct phi_ridge_path *path, double lambda, double *ret_hat
                          /* [n] */);

/* Exact leave-one-out predictions ret_pred[n][t], with the intercept fitted again each time.
 * PH_E_STATE, with the reason, for PHI_ROWS_SERIES. */
PH_NODISCARD enum ph_status phi_ridge_path_loo(const struct phi_ridge_path *path, double lambda,
                                               enum phi_rows rows, double *ret_pred,
                                               struct ph_error *reterr);

/* (rss/n) / (1 - df/n)^2 of each target. PH_E_STATE, with the reason, for PHI_ROWS_SERIES. */
PH_NODISCARD enum ph_status phi_ridge_path_gcv(const struct phi_ridge_path *path, double lambda,
                                               enum phi_rows rows, double *ret_gcv /* [t] */,
                                               struct ph_error *reterr);

/* The penalty at which the weights of target `target` have `fraction` (0..1] of the length of the
 * unpenalised ones, by bisection to machine precision; 0 for fraction 1. */
double phi_ridge_path_fraction(const struct phi_ridge_path *path, size_t target, double fraction);

#endif
