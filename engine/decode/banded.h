/* SPDX-License-Identifier: MIT
 *
 * Banded ridge: each band of columns (a feature space, a region, a delay) has its own penalty,
 * searched at random per target over shares of the bands and a grid of overall penalties. Works on
 * one Gram matrix a band. Not for the live path. Nunez-Elizalde, Huth and Gallant 2019; search as
 * in Dupre la Tour, Eickenberg, Nunez-Elizalde and Gallant 2022.
 */
#ifndef PHI_DECODE_BANDED_H
#define PHI_DECODE_BANDED_H

#include <stddef.h>
#include <stdint.h>

#include "decode/columns.h"
#include "decode/folds.h"
#include "decode/gram.h"
#include "phosphene/status.h"

struct phi_banded_options {
    const double *lambdas; /* [n_lambdas] overall penalties, ascending */
    size_t n_lambdas;
    const struct phi_folds *folds;
    size_t n_draws; /* shares tried: the first is equal shares, then Dirichlet with concentration
                       .1 and 1 in turn; 100 is usual */
    uint64_t seed;
    enum phi_dtype dtype; /* of the products while searching */
    size_t n_threads;
    const struct phi_progress *progress;
};

struct phi_bands {
    const double *const *k; /* [n_bands] Gram matrices [n][n] */
    size_t n_bands, n;
};

/* What was found; the caller's arrays. The penalty of band b for target t is lambda[t] over
 * share[t][b]; weights of band b are share[t][b] X_b' dual[.][t]. */
struct phi_banded_result {
    double *share;  /* [t][n_bands], sums to 1 */
    double *lambda; /* [t] */
    double *cv_r2;  /* [t] out of fold */
    double *dual;   /* [n][t] */
};

/* Dual coefficients for given shares and one penalty: (sum_b share_b K_b + lambda I)^-1 of the
 * centred targets y[n][t]. */
PH_NODISCARD enum ph_status phi_banded_solve(const struct phi_bands *bands, const double *share,
                                             const double *lambda /* [t] */,
                                             const double *y /* [n][t] */, size_t t,
                                             double *ret_dual /* [n][t] */,
                                             struct ph_error *reterr);

/* Searches and solves for all targets, which are read once a draw. PH_E_INVAL for no bands or
 * draws; errors of phi_ridge_plan_dual and phi_ridge_fit. */
PH_NODISCARD enum ph_status phi_banded_fit(const struct phi_bands *bands,
                                           const struct phi_columns *targets,
                                           const struct phi_banded_options *options,
                                           const struct phi_banded_result *result,
                                           struct ph_error *reterr);

#endif
