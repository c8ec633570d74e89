/* SPDX-License-Identifier: MIT
 *
 * The work of a ridge fit on a few hundred targets: out-of-fold errors for all penalties, then the
 * coefficients. Built once for float32 and once for float64 from ridge_block_tmpl.h. No allocation;
 * thread-safe with one scratch a thread.
 */
#ifndef PHI_DECODE_RIDGE_BLOCK_H
#define PHI_DECODE_RIDGE_BLOCK_H

#include <stddef.h>

#include "decode/folds.h"

#define PHI_RIDGE_MAX_BASIS 64

/* One fold's spectrum with its arrays in the type of the products. */
struct phi_ridge_fold {
    struct phi_fold fold;
    size_t n_train, n_test, r, n_basis, n_lambdas;
    void *q;     /* [r][n_train] */
    void *p;     /* [n_basis * n_test][r]: test rows times each penalty function */
    double *mix; /* [n_lambdas][n_basis] */
    void *map;   /* [n_test][n_train] instead of q and p, where one penalty serves all targets */
    double *e;   /* [r] eigenvalues, where one penalty will serve all; p is then [n_test][r] bare */
};

/* The spectrum of all rows, or the coefficients' map itself. */
struct phi_ridge_whole {
    size_t n, n_out, r;
    void *q;      /* [r][n] */
    void *out;    /* [n_out][r] */
    double *e;    /* [r] */
    void *direct; /* [n_out][n] with a single penalty; then the above are NULL and r is 0 */
    double *k;    /* [n][n] where one penalty will serve all targets; then likewise */
};

/* With one penalty for all targets the coefficients are one product: direct[n_out][n] times the
 * targets, direct = out diag(1/(e + lambda)) q. `scaled` is scratch of [n_out][r]. */
void phi_ridge_direct_f32(const struct phi_ridge_whole *whole, double lambda, void *scaled,
                          void *direct);
void phi_ridge_direct_f64(const struct phi_ridge_whole *whole, double lambda, void *scaled,
                          void *direct);

/* `n` neighbouring targets inside a block of `stride` of them. */
struct phi_ridge_slice {
    const void *y; /* [rows][stride], centred */
    size_t stride, n;
};

struct phi_ridge_scratch {
    void *z;       /* [max r][n] */
    void *pred;    /* [max n_basis * n_test][n] */
    double *stats; /* [(max n_basis + 1) * (max n_basis + 2) / 2][n] */
    double *mean;  /* [n] */
};

/* Adds this fold's squared errors to sse[n_lambdas][stride_sse] and the squared deviations of the
 * test rows from the training mean to sst[n]. */
void phi_ridge_fold_errors_f32(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                               const struct phi_ridge_scratch *scratch, double *sse,
                               size_t stride_sse, double *sst);
void phi_ridge_fold_errors_f64(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                               const struct phi_ridge_scratch *scratch, double *sse,
                               size_t stride_sse, double *sst);

/* Where phi_ridge_fold_left works. */
struct phi_ridge_left_work {
    void *z;        /* [r][rows] */
    void *zz;       /* [r][r] */
    void *pp;       /* [r][r] */
    double *filter; /* [n_lambdas][r] */
    double *row;    /* [r + n_lambdas] */
};

/* Adds to left[n_lambdas] the squared errors of this fold summed over targets, each over its own
 * scale: c[rows][rows] is the sum over targets of y y' / scale, and that is all it takes. The fold
 * holds e and a bare p. */
void phi_ridge_fold_left_f32(const struct phi_ridge_fold *fold, const void *c,
                             const double *lambdas, size_t n_lambdas,
                             const struct phi_ridge_left_work *work, double *left);
void phi_ridge_fold_left_f64(const struct phi_ridge_fold *fold, const void *c,
                             const double *lambdas, size_t n_lambdas,
                             const struct phi_ridge_left_work *work, double *left);

/* map[n_test][n_train] at one penalty, from e and a bare p; `scaled` is scratch of [n_test][r]. */
void phi_ridge_fold_map_f32(const struct phi_ridge_fold *fold, double lambda, void *scaled,
                            void *map);
void phi_ridge_fold_map_f64(const struct phi_ridge_fold *fold, double lambda, void *scaled,
                            void *map);

/* Out-of-fold estimates of the test rows at penalty choice[n] of each target:
 * estimate[rows][stride] is written in those rows, plus mean[n] and the training mean. */
void phi_ridge_fold_estimates_f32(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                                  const struct phi_ridge_scratch *scratch, const size_t *choice,
                                  const double *mean, void *estimate);
void phi_ridge_fold_estimates_f64(const struct phi_ridge_fold *fold, struct phi_ridge_slice slice,
                                  const struct phi_ridge_scratch *scratch, const size_t *choice,
                                  const double *mean, void *estimate);

/* coef[n_out][stride_coef] = direct y. */
void phi_ridge_apply_f32(const struct phi_ridge_whole *whole, const void *direct,
                         struct phi_ridge_slice slice, void *coef, size_t stride_coef);
void phi_ridge_apply_f64(const struct phi_ridge_whole *whole, const void *direct,
                         struct phi_ridge_slice slice, void *coef, size_t stride_coef);

/* coef[n_out][stride_coef] for lambda[n]. */
void phi_ridge_coefficients_f32(const struct phi_ridge_whole *whole, struct phi_ridge_slice slice,
                                const double *lambda, const struct phi_ridge_scratch *scratch,
                                void *coef, size_t stride_coef);
void phi_ridge_coefficients_f64(const struct phi_ridge_whole *whole, struct phi_ridge_slice slice,
                                const double *lambda, const struct phi_ridge_scratch *scratch,
                                void *coef, size_t stride_coef);

#endif
