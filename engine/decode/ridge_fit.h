/* SPDX-License-Identifier: MIT
 *
 * Ridge regression of very many targets: one penalty a target (or one for all) chosen over
 * contiguous folds, targets read and coefficients written a block at a time, so that neither has to
 * fit into memory. A plan holds everything that does not depend on the targets. Products in float32
 * or float64, decompositions in float64. With a team each process fits targets of its own and the
 * penalty for all is chosen over all of them. Not for the live path. Same bits for any thread
 * count.
 */
#ifndef PHI_DECODE_RIDGE_FIT_H
#define PHI_DECODE_RIDGE_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "decode/columns.h"
#include "decode/folds.h"
#include "decode/gram.h"
#include "decode/team.h"
#include "phosphene/status.h"

enum phi_ridge_choice {
    PHI_RIDGE_PER_TARGET, /* the penalty with the least out-of-fold error of each target */
    PHI_RIDGE_SHARED      /* one penalty for all, by the mean share of variance left; costs two
                             products of the targets instead of two a penalty */
};

struct phi_ridge_options {
    const double *lambdas; /* [n_lambdas] above 0, ascending, in units of the Gram matrix */
    size_t n_lambdas;      /* with 1, nothing is chosen and no folds are needed */
    const struct phi_folds *folds;
    enum phi_ridge_choice choice;
    bool within_one_sd;  /* the largest penalty whose error is within one sd (over folds) of the
                            least */
    bool errors_only;    /* choose penalties, but make no coefficients (coef is NULL) */
    bool estimates;      /* also hand out the out-of-fold estimates; doubles the folds' cost */
    bool allow_constant; /* a constant target gets zero coefficients, instead of being refused */
    enum phi_dtype dtype;
    size_t n_threads; /* 0: one a processor */
    size_t n_block;   /* targets read at once; 0: 4096 */
    const struct phi_progress *progress;
    const struct phi_team *team; /* other processes with targets of their own; NULL: alone. Must
                                    outlive the plan; for the dual form */
};

struct phi_ridge_plan;

/* Plan in the dual form from the Gram matrix of the rows, k[n][n]; where voxels are selected within
 * each fold, k_of_fold[n_folds] gives each fold its own matrix (NULL: the same one). The options,
 * with what they point to, are copied. PH_E_INVAL for penalties that are not positive and ascending
 * or folds that do not match the rows. */
PH_NODISCARD enum ph_status phi_ridge_plan_dual(const double *k, const double *const *k_of_fold,
                                                size_t n, const struct phi_ridge_options *options,
                                                struct phi_ridge_plan **ret_plan,
                                                struct ph_error *reterr);

/* Plan in the primal form from the columns x[n][m], for m below n. Errors as above; PH_E_INVAL for
 * values that are not numbers and constant columns. */
PH_NODISCARD enum ph_status phi_ridge_plan_primal(const double *x, size_t n, size_t m,
                                                  const struct phi_ridge_options *options,
                                                  struct phi_ridge_plan **ret_plan,
                                                  struct ph_error *reterr);

/* Frees; accepts NULL and *plan == NULL, clears *plan. */
void phi_ridge_plan_destroy(struct phi_ridge_plan **plan);

/* Rows of the coefficients: n for a dual plan, m for a primal one. */
size_t phi_ridge_plan_n_out(const struct phi_ridge_plan *plan);

/* Bytes the plan and one fit hold at most, beside the caller's own data. */
size_t phi_ridge_plan_bytes(const struct phi_ridge_plan *plan);

/* What the fit found for targets first .. first+n-1; borrowed, gone after the call. */
struct phi_ridge_block {
    size_t first, n, n_out;
    enum phi_dtype dtype;
    const void *coef;     /* [n_out][n]: dual coefficients or weights, for centred rows */
    const double *mean;   /* [n] of the targets */
    const double *sd;     /* [n] of the targets, population sd */
    const double *lambda; /* [n] chosen */
    const double *cv_r2;  /* [n] out-of-fold R2 at the chosen penalty; 0 without folds */
    const void *estimate; /* [rows][n] out of fold at the chosen penalty; NULL unless asked for */
    const double *cv_sse; /* [n_lambdas][n] out-of-fold squared errors; NULL if not known */
};

struct phi_ridge_sink {
    enum ph_status (*write)(void *ctx, const struct phi_ridge_block *block,
                            struct ph_error *reterr);
    void *ctx;
};

struct phi_ridge_report {
    size_t n_targets, n_constant;
    double mean_cv_r2;    /* over targets that vary */
    double shared_lambda; /* with PHI_RIDGE_SHARED or a single penalty */
};

/* Fits all targets, in order, handing each block to `sink`. Reads the targets once (twice with
 * PHI_RIDGE_SHARED). PH_E_SHAPE if their rows are not the plan's; PH_E_INVAL for values that are
 * not numbers and constant targets unless allowed; whatever the source or sink returns. */
PH_NODISCARD enum ph_status phi_ridge_fit(const struct phi_ridge_plan *plan,
                                          const struct phi_columns *targets,
                                          const struct phi_ridge_sink *sink,
                                          struct phi_ridge_report *ret_report,
                                          struct ph_error *reterr);

#endif
