/* SPDX-License-Identifier: MIT
 *
 * The dense linear algebra of the decoders, float64 and row-major over LAPACK: factor, solve,
 * eigenvectors, singular values. For fitting; none of it is for the live path, since LAPACK takes
 * its own workspace. Thread-safe on separate matrices.
 */
#ifndef PHI_DECODE_LINALG_H
#define PHI_DECODE_LINALG_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

/* True if every size fits the 32-bit integers of BLAS; a matrix beyond that is refused by name. */
bool phi_blas_fits(size_t a, size_t b, size_t c);

/* Lets OpenBLAS use `n_threads` threads for the whole process and returns what it used before. */
int phi_blas_set_threads(int n_threads);

/* Cholesky factor L (lower) of the symmetric a[n][n], in place; the part above the diagonal is set
 * to zero. PH_E_INVAL if the matrix is not positive definite. */
PH_NODISCARD enum ph_status phi_chol_factor(double *a /* [n][n] */, size_t n,
                                            struct ph_error *reterr);

/* Solves L L' X = B in place of b[n][k], L from phi_chol_factor. */
void phi_chol_solve(const double *l /* [n][n] */, size_t n, double *b /* [n][k] */, size_t k);

/* Solves L Z = B in place of b[n][k] (whitening by a Cholesky factor). */
void phi_chol_forward(const double *l /* [n][n] */, size_t n, double *b /* [n][k] */, size_t k);

/* Inverse of the symmetric positive definite a[n][n], in place and whole. PH_E_INVAL as
 * phi_chol_factor. */
PH_NODISCARD enum ph_status phi_chol_inverse(double *a /* [n][n] */, size_t n,
                                             struct ph_error *reterr);

/* log det of L L'. */
double phi_chol_logdet(const double *l /* [n][n] */, size_t n);

/* Eigen-decomposition of the symmetric a[n][n]: row k of `a` becomes the k-th eigenvector, with its
 * entry of largest magnitude positive; values ascend. PH_E_INVAL if LAPACK does not converge (NaN
 * in the matrix). */
PH_NODISCARD enum ph_status phi_eigh(double *a /* [n][n] */, size_t n, double *ret_values /* [n] */,
                                     struct ph_error *reterr);

/* Singular values x = U diag(s) Vt with r = min(n, m), values descending. */
struct phi_svd {
    size_t n, m, r;
    double *u;  /* [n][r] */
    double *s;  /* [r] */
    double *vt; /* [r][m] */
};

/* The thin SVD of x[n][m], which is kept. The result is owned by the caller. */
PH_NODISCARD enum ph_status phi_svd_create(const double *x /* [n][m] */, size_t n, size_t m,
                                           struct phi_svd *ret_svd, struct ph_error *reterr);
void phi_svd_fini(struct phi_svd *svd);

#endif
