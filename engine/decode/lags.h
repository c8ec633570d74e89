/* SPDX-License-Identifier: MIT
 *
 * Delayed rows: a regression on several volumes (or features) around each moment. The Gram matrix
 * over all delays is a sum of shifted copies of the one without delay, so the products over voxels
 * are computed once. A row never looks across the border of its run. Pure.
 */
#ifndef PHI_DECODE_LAGS_H
#define PHI_DECODE_LAGS_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

/* Row t sees rows t + lag[0], t + lag[1] ...: positive lags decode a moment from later volumes,
 * negative ones encode a volume from earlier features. */
struct phi_lags {
    const int *lag;
    size_t n_lags;
    const size_t *run_rows; /* [n_runs] rows of each run, one after the other */
    size_t n_runs;
};

/* Rows for which every delayed row lies in the same run, ascending, to ret_rows (room for all rows
 * of all runs). Returns how many. */
size_t phi_lag_rows(const struct phi_lags *lags, uint32_t *ret_rows);

/* ret_k[n_rows][n_rows] = sum over lags of k1[rows[i] + lag][rows[j] + lag], with k1[n][n] the Gram
 * matrix without delay. Centre it (phi_gram_centre) or let the plan's folds do so. */
void phi_lag_gram(const struct phi_lags *lags, const double *k1, size_t n, const uint32_t *rows,
                  size_t n_rows, double *ret_k);

/* ret[n_rows][n_lags * m]: the rows of x[n][m] side by side, in the order of the lags. */
void phi_lag_columns_f64(const struct phi_lags *lags, const double *x, size_t m,
                         const uint32_t *rows, size_t n_rows, double *ret);

/* Moves dual coefficients coef[n_rows][t] to the rows of lag `which`, ret[n][t] (other rows 0), so
 * that the weights of that lag are X' ret. */
void phi_lag_spread(const struct phi_lags *lags, size_t which, const float *coef, size_t t,
                    const uint32_t *rows, size_t n_rows, float *ret, size_t n);

#endif
