/* SPDX-License-Identifier: MIT
 *
 * A ridge problem turned so that its penalty is a diagonal: predictions for all penalties are
 * P diag(1/(e + lambda)) Q' Y. Dual (samples fewer than columns, from a Gram matrix) and primal
 * (from the columns) come out in the same form, so that folds, penalties and the final fit need one
 * code. Not for the live path. Hoerl and Kennard 1970; dual form Saunders et al. 1998.
 */
#ifndef PHI_DECODE_SPECTRUM_H
#define PHI_DECODE_SPECTRUM_H

#include <stddef.h>

#include "decode/folds.h"
#include "decode/team.h"
#include "phosphene/status.h"

/* All owned; float64. Rows of training and testing are those of `fold`. */
struct phi_spectrum {
    struct phi_fold fold;
    size_t n_train, n_test, n_out, r;
    double *e;   /* [r] eigenvalues, descending */
    double *q;   /* [r][n_train]: Q' */
    double *p;   /* [n_test][r]; NULL without test rows */
    double *out; /* [n_out][r]: coefficients are out diag(1/(e + lambda)) Q' Y */
};

/* From the Gram matrix k[n][n] of all rows (any common centring): training rows are centred by
 * their own mean, test rows by the training mean. Coefficients are dual: n_out = n_train;
 * directions in which the rows do not differ (eigenvalue below 1e-13 of the largest) get none,
 * since they act on no column. With a `team` (else NULL) its processes find the eigenvectors
 * together. */
PH_NODISCARD enum ph_status phi_spectrum_dual(const double *k /* [n][n] */,
                                              const struct phi_fold *fold,
                                              const struct phi_team *team,
                                              struct phi_spectrum *ret_spectrum,
                                              struct ph_error *reterr);

/* From the columns x[n][m] themselves: coefficients are weights, n_out = m. For m < n. */
PH_NODISCARD enum ph_status phi_spectrum_primal(const double *x /* [n][m] */, size_t m,
                                                const struct phi_fold *fold,
                                                struct phi_spectrum *ret_spectrum,
                                                struct ph_error *reterr);

/* ret_map[n_out][n_train]: coefficients at one penalty are ret_map times the centred targets. */
PH_NODISCARD enum ph_status phi_spectrum_map(const struct phi_spectrum *spectrum, double lambda,
                                             double *ret_map, struct ph_error *reterr);

/* Releases what a spectrum holds. */
void phi_spectrum_fini(struct phi_spectrum *spectrum);

/* 1/(e_j + lambda_l) for all penalties as combinations of few functions of e, so that predictions
 * for 20 penalties cost about 9 products: f_l(e_j) = sum_b mix[l][b] basis[b][j]. */
struct phi_penalty_basis {
    size_t n_basis, n_lambdas, r;
    double *basis; /* [n_basis][r] */
    double *mix;   /* [n_lambdas][n_basis] */
};

/* Functions up to `tolerance` of the largest filter value e/(e + lambda); 0 keeps one function a
 * penalty, which is exact. Owned by the caller. */
PH_NODISCARD enum ph_status phi_penalty_basis_create(const double *e /* [r] */, size_t r,
                                                     const double *lambdas, size_t n_lambdas,
                                                     double tolerance,
                                                     struct phi_penalty_basis *ret_basis,
                                                     struct ph_error *reterr);
void phi_penalty_basis_fini(struct phi_penalty_basis *basis);

#endif
