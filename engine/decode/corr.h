/* SPDX-License-Identifier: MIT
 *
 * Scores of estimated features against the true ones: correlation and R2 of each feature over
 * time, correlation of each pattern over features. Estimates and truth are float32 [n][p], sums
 * float64 and centred. Where a correlation is undefined (a constant side) it is 0 and counted.
 * Pure; thread-safe.
 */
#ifndef PHI_DECODE_CORR_H
#define PHI_DECODE_CORR_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

/* An estimate and its truth, borrowed. */
struct phi_score_pair {
    const float *estimate; /* [n][p] */
    const float *truth;    /* [n][p] */
    size_t n, p;
};

/* Correlation over time of each feature. Returns how many were undefined. */
size_t phi_corr_features(const struct phi_score_pair *pair, double *ret_r /* [p] */);

/* Correlation over features of each row. Returns how many were undefined. */
size_t phi_corr_patterns(const struct phi_score_pair *pair, double *ret_r /* [n] */);

/* 1 - sum (truth - estimate)^2 / sum (truth - mean truth)^2 of each feature; 0 where the truth is
 * constant. Returns how many were. */
size_t phi_r2_features(const struct phi_score_pair *pair, double *ret_r2 /* [p] */);

/* Mean correlation over features when true row i is read at order[i] and estimate row at
 * rows[i] (either NULL: i), over n_rows rows: the score that nulls and bootstraps call. */
double phi_corr_mean_reordered(const struct phi_score_pair *pair, const uint32_t *rows,
                               const uint32_t *order, size_t n_rows);

/* Pearson correlation of two float32 series with strides in elements; 0 if undefined. */
double phi_corr_f32(const float *a, size_t stride_a, const float *b, size_t stride_b, size_t n);

#endif
