/* SPDX-License-Identifier: MIT
 *
 * What leave-one-block-out decoding found, and its plots. One thread.
 */
#ifndef TOOLS_EVAL_CATEGORIES_H
#define TOOLS_EVAL_CATEGORIES_H

#include "eval/blocks.h"

/* Scores of all left-out blocks, volumes counted from the first in the block. */
struct category_scores {
    const struct blocks *blocks;
    size_t n_steps;            /* common to all blocks */
    double *score;             /* [blocks->n][n_steps][n_categories] log likelihoods */
    double *delay_s;           /* [n_steps] after onset, mean over blocks */
    double tau[BLOCKS_MAX];    /* temperature of each block, chosen on the others */
    uint32_t said[BLOCKS_MAX]; /* most likely category at the last step */
    double accuracy;
};

/* Probability of category `k` for block `b` after step `s`, at temperature `tau`. */
double category_probability(const struct category_scores *scores, size_t b, size_t s, size_t k,
                            double tau);

/* Most likely category of block `b` after step `s`. */
uint32_t category_said(const struct category_scores *scores, size_t b, size_t s);

/* Share of blocks named right after step `s`, blocks labelled label[n]. */
double category_accuracy(const struct category_scores *scores, size_t s, const uint32_t *label);

/* DIR/evidence.png (probability of the true category and accuracy against time after onset),
 * DIR/confusion.png. */
PH_NODISCARD enum ph_status categories_plot(const struct category_scores *scores, const char *dir,
                                            struct ph_error *reterr);

#endif
