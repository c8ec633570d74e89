/* SPDX-License-Identifier: MIT
 *
 * The parts of a Gram matrix that one fold needs, centred by its training rows, and ridge at one
 * penalty straight from them by Cholesky: no eigenvectors, so a sixth of the work. float64. Not for
 * the live path.
 */
#ifndef PHI_DECODE_FOLD_GRAM_H
#define PHI_DECODE_FOLD_GRAM_H

#include <stddef.h>

#include "decode/folds.h"
#include "phosphene/status.h"

/* From k[n_rows][n_rows] with any common centring: the training rows' own matrix, centred, to
 * ret_train[n_train][n_train], and the test rows' products with them, both less the training mean,
 * to ret_cross[n_test][n_train]. PH_E_NOMEM alone. */
PH_NODISCARD enum ph_status phi_fold_gram(const double *k, const struct phi_fold *fold,
                                          double *ret_train, double *ret_cross,
                                          struct ph_error *reterr);

/* Inverse of the symmetric positive definite a[n][n] in place, both halves: LAPACK's, or that of a
 * group of processes that hold the same matrix. PH_E_INVAL if it is not positive definite. */
typedef enum ph_status phi_inverse_fn(void *ctx, double *a, size_t n, struct ph_error *reterr);

/* ret_map[n][n] such that the dual coefficients of targets y are ret_map y, for rows and targets
 * centred: (Kc + lambda I)^-1 less what acts on the mean. `inverse` NULL: LAPACK. PH_E_INVAL if
 * rounding leaves the matrix indefinite, as with a penalty far below the Gram matrix's own error.
 */
PH_NODISCARD enum ph_status phi_ridge_map_whole(const double *k, size_t n, double lambda,
                                                phi_inverse_fn *inverse, void *ctx, double *ret_map,
                                                struct ph_error *reterr);

/* ret_map[n_test][n_train]: predictions of the test rows, less the training mean, are ret_map times
 * the centred training targets. Errors as above. */
PH_NODISCARD enum ph_status phi_ridge_map_fold(const double *k, const struct phi_fold *fold,
                                               double lambda, double *ret_map,
                                               struct ph_error *reterr);

#endif
