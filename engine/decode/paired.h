/* SPDX-License-Identifier: MIT
 *
 * Scores of decoded items against the items shown, item by item: similarity of features, the
 * summary of a table of all pairings (mean, interval, wrong pairings, permutation test), paired
 * differences of two methods on the same items, and how a score goes with attributes of the items.
 * Seeded; not for the live path; one thread.
 */
#ifndef PHI_DECODE_PAIRED_H
#define PHI_DECODE_PAIRED_H

#include <stddef.h>
#include <stdint.h>

#include "decode/resample.h"

/* 1 / (1 + |a - b|), and 1 / (1 + mean (a - b)^2), of a[n] and b[n]; 1 where they are the same. */
double phi_similarity_distance(const float *a, const float *b, size_t n);
double phi_similarity_mse(const float *a, const float *b, size_t n);

/* How many items, and the draws of intervals and tests. */
struct phi_paired_items {
    size_t n, n_draws;
    uint64_t seed;
};

struct phi_paired_score {
    double mean, sem, low, high; /* over items; 95 % bootstrap interval */
    double other;                /* mean over wrong pairings */
    double p;                    /* of the mean under shuffled pairings */
};

/* Of table[n][n], item i decoded against item j shown. PH_E_INVAL as phi_null_permute. */
PH_NODISCARD enum ph_status phi_paired_summary(const double *table,
                                               const struct phi_paired_items *items,
                                               struct phi_paired_score *ret_score,
                                               struct ph_error *reterr);

/* Mean of a[n] - b[n] with its 95 % bootstrap interval over items: what two methods have in common
 * on an item does not count. */
PH_NODISCARD enum ph_status phi_paired_difference(const double *a, const double *b,
                                                  const struct phi_paired_items *items,
                                                  struct phi_interval *ret_interval,
                                                  struct ph_error *reterr);

/* A score and k attributes of n items. */
struct phi_relation {
    const double *score;     /* [n] */
    const float *attributes; /* [n][k] */
    size_t k;
};

/* ret_r[k]: correlation of the score with each attribute (0 where one is constant); *ret_null: of
 * the largest magnitude among all k, under shuffled items. */
PH_NODISCARD enum ph_status phi_relation_test(const struct phi_relation *relation,
                                              const struct phi_paired_items *items, double *ret_r,
                                              struct phi_null *ret_null, struct ph_error *reterr);

#endif
