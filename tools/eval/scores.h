/* SPDX-License-Identifier: MIT
 *
 * All scores of decoded features, each with chance, a test and an interval, and their JSON. One
 * thread.
 */
#ifndef TOOLS_EVAL_SCORES_H
#define TOOLS_EVAL_SCORES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define EVAL_MAX_SCORES 16

/* Estimates and truth, one row a trial or volume; borrowed. */
struct eval_data {
    const float *estimate; /* [n][p] */
    const float *sd;       /* [n][p] or NULL */
    const float *truth;    /* [n][p] */
    size_t n, p;
};

struct eval_options {
    size_t min_shift; /* above 0: rows are a time series; its nulls shift by this many or more */
    size_t n_block;   /* rows of a bootstrap block; 1 for trials */
    size_t n_draws;
    uint64_t seed;
    size_t n_way; /* of the n-way score beside two-way; at most n is used */
};

struct eval_score {
    char name[32];
    double value, chance;
    double low, high;   /* 95 % interval; NaN where none is made */
    double p, null_q95; /* test against chance; NaN where none is made */
};

struct eval_scores {
    struct eval_score scores[EVAL_MAX_SCORES];
    size_t n;
    size_t n_undefined; /* features or patterns without correlation (a constant side) */
};

/* Computes all scores. PH_E_INVAL for values that are not numbers, or too few rows for the draws
 * asked for. */
PH_NODISCARD enum ph_status eval_scores_compute(const struct eval_data *data,
                                                const struct eval_options *options,
                                                struct eval_scores *ret_scores,
                                                struct ph_error *reterr);

/* The score of that name, or NULL. */
const struct eval_score *eval_scores_find(const struct eval_scores *scores, const char *name);

/* {"feature_r": {"value":, "chance":, "p":, "null_q95":, "ci95": [low, high]}, ...}; NaN is left
 * out. Owned by the caller. */
json_t *eval_scores_json(const struct eval_scores *scores);

#endif
