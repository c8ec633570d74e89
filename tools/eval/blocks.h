/* SPDX-License-Identifier: MIT
 *
 * Decoding the category of a block with a decoder that has never seen the block: everything of a
 * leave-one-block-out that does not depend on the labels (rows, voxels, noise correlation) is made
 * once, so that the labels can be shuffled and the whole fit repeated for a null. Set-up code; one
 * thread.
 */
#ifndef TOOLS_EVAL_BLOCKS_H
#define TOOLS_EVAL_BLOCKS_H

#include "fit/rows.h"

#define BLOCKS_MAX            128
#define BLOCKS_MAX_CATEGORIES 16

/* Neighbouring events of one trial type. */
struct block {
    double onset_s, end_s;
    uint32_t run, category;
};

struct blocks {
    struct block block[BLOCKS_MAX];
    size_t n;
    char category[BLOCKS_MAX_CATEGORIES][64]; /* in the order they first appear */
    size_t n_categories;
};

/* Joins events of one type less than `apart_s` apart. PH_E_INVAL with fewer than two categories or
 * fewer than two blocks of one, PH_E_LIMIT with too many. */
PH_NODISCARD enum ph_status blocks_find(const struct fit_rows *rows, double apart_s,
                                        struct blocks *ret_blocks, struct ph_error *reterr);

struct block_options {
    double tail_s;   /* how long after its end a block is decoded, and kept out of training */
    double gap_s;    /* further volumes left out of training on both sides */
    double cutoff_s; /* longest period that is fitted as drift */
    size_t n_voxels; /* those that respond most to blocks of any kind in training; 0: all */
    bool full_noise;
    size_t n_threads;
};

/* What leaving out one block leaves, whatever the labels. */
struct block_fold {
    const struct fit_rows *rows;
    const struct blocks *blocks;
    const struct block_options *options;
    size_t left_out;
    size_t n, q, n_base; /* training rows, voxels, drift and run columns */
    uint32_t *voxel;     /* [q] columns of rows->y */
    float *y;            /* [n][q] whitened */
    double *column;      /* [n][blocks->n] whitened response to each block */
    double *base;        /* [n][n_base] whitened */
    uint32_t *chunk;     /* [n] folds of 8 s for the noise */
    size_t n_chunks;
    double rho;
    size_t *step; /* [n_steps] rows to decode */
    size_t n_steps;
};

/* PH_E_INVAL if no volume lies in the block. Owned by the caller; the arguments must outlive it. */
PH_NODISCARD enum ph_status block_fold_make(const struct fit_rows *rows,
                                            const struct blocks *blocks,
                                            const struct block_options *options, size_t left_out,
                                            struct block_fold *ret_fold, struct ph_error *reterr);
void block_fold_free(struct block_fold *fold);

/* The slow columns at row `r` of fold->rows: each run's cosines, and the level of later runs. */
void block_fold_base(const struct block_fold *fold, size_t r, double *ret /* [n_base] */);

/* Fits a Gaussian decoder of the categories on the other blocks, labelled label[blocks->n], and
 * decodes the volumes of the block one by one: ret_score[n_steps][n_categories] is the log
 * likelihood of each category up to a constant, neighbours' responses integrated out. Categories
 * enter with equal numbers of training blocks: the fit is repeated with other choices where one has
 * more than another, and scores are averaged, since a pattern from fewer blocks is noisier and
 * would lose for that alone. */
PH_NODISCARD enum ph_status block_fold_decode(const struct block_fold *fold, const uint32_t *label,
                                              double *ret_score, struct ph_error *reterr);

#endif
