/* SPDX-License-Identifier: MIT
 *
 * Blocks of a localizer and how alike the brain's patterns in them are, each block held against all
 * others with voxels chosen and patterns centred without it. One thread.
 */
#ifndef TOOLS_EVAL_BLOCK_DATA_H
#define TOOLS_EVAL_BLOCK_DATA_H

#include <stddef.h>

#include "fit/voxels.h"
#include "io/events.h"

#define BLOCKS_MAX     256
#define BLOCKS_MAX_LAG 64

struct block {
    double onset_s, end_s;
    size_t label;
};

struct blocks {
    struct block items[BLOCKS_MAX];
    size_t n;
    char labels[BLOCKS_MAX][64];
    size_t n_labels;
};

/* Neighbouring events of one trial_type, less than `gap_s` apart, become a block. PH_E_INVAL
 * without two blocks of each of at least two labels, PH_E_LIMIT for too many. */
PH_NODISCARD enum ph_status blocks_from_events(const struct phi_events *events, double gap_s,
                                               struct blocks *ret_blocks, struct ph_error *reterr);

struct block_options {
    size_t n_top;   /* voxels most active in the other blocks, whatever their label */
    double delay_s; /* from stimulus to response */
    size_t n_lags;  /* volumes after onset whose similarity is wanted */
};

/* Correlations of block i with block j: whole[n][n] of the mean response, and course[n_lags][n][n]
 * of the single volume l after block i's onset with the mean response of block j (NaN beyond the
 * run). The voxels are standardised in place. PH_E_INVAL for a block beyond the run. */
PH_NODISCARD enum ph_status blocks_compare(const struct blocks *blocks, struct fit_voxels *voxels,
                                           const struct block_options *options, double *ret_whole,
                                           double *ret_course, struct ph_error *reterr);

#endif
