/* SPDX-License-Identifier: MIT
 *
 * Gram matrices of rows over very many columns: one pass over the columns in panels, each panel
 * centred on its way, products in float32 (or float64) and sums over panels in float64. Not for the
 * live path.
 */
#ifndef PHI_DECODE_GRAM_H
#define PHI_DECODE_GRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "decode/columns.h"
#include "phosphene/status.h"

/* Told how far a long job has come: the stage in words, and 0 .. 1. Called from the thread that
 * started the job. */
struct phi_progress {
    void (*report)(void *ctx, const char *stage, double fraction);
    void *ctx;
};

/* NULL-safe report. */
void phi_progress_report(const struct phi_progress *progress, const char *stage, double fraction);

struct phi_gram_options {
    enum phi_dtype dtype;      /* of the products */
    size_t n_threads;          /* 0: one a processor */
    bool standardise;          /* divide columns by their sd */
    bool allow_constant;       /* a constant column adds nothing, instead of being refused */
    bool allow_none;           /* no column that varies is no failure: others may hold some */
    const unsigned char *keep; /* [n_cols] columns to use, or NULL for all */
    const char *stage;         /* for progress; NULL: "products of the rows" */
    const struct phi_progress *progress;
};

/* ret_k[n][n] = sum over columns of (x_i - mean)(x_j - mean) / scale^2, whole and symmetric. The
 * means and scales (sd, or 1; 0 for a constant or left-out column, so that it can never act) go to
 * ret_mean[n_cols] and ret_scale[n_cols]. PH_E_INVAL for values that are not numbers, for a
 * constant column unless allowed, and if no column varies. Same bits for any number of threads. */
PH_NODISCARD enum ph_status phi_gram(const struct phi_columns *x,
                                     const struct phi_gram_options *options, double *ret_k,
                                     double *ret_mean, double *ret_scale, struct ph_error *reterr);

/* Double centring of k[n][n] in place: the Gram matrix of rows whose mean is removed. */
void phi_gram_centre(double *k, size_t n);

/* Mean of the diagonal, the unit in which penalties are given. */
double phi_gram_mean_diagonal(const double *k, size_t n);

#endif
