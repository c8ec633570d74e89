/* SPDX-License-Identifier: MIT
 *
 * Cross-validation folds of rows that follow each other in time. A fold is always one contiguous
 * block, since neighbouring volumes are alike and a scattered fold would test on what it trained
 * on. Pure.
 */
#ifndef PHI_DECODE_FOLDS_H
#define PHI_DECODE_FOLDS_H

#include <stddef.h>

#include "phosphene/status.h"

#define PHI_FOLDS_MAX 128

struct phi_folds {
    size_t n_rows, n_folds;
    size_t start[PHI_FOLDS_MAX + 1]; /* fold f tests rows start[f] .. start[f+1]-1 */
    size_t gap;                      /* rows left out of training either side of a test block */
};

/* The rows one fold trains and tests on: train is 0 .. before-1 and after .. n_rows-1. */
struct phi_fold {
    size_t test_from, test_to; /* half open */
    size_t before, after;
    size_t n_rows;
};

/* `n_folds` blocks of nearly equal size (the first n_rows mod n_folds have one row more).
 * PH_E_INVAL with fewer than two folds, fewer rows than folds, or a gap that leaves a fold without
 * training rows. */
PH_NODISCARD enum ph_status phi_folds_contiguous(size_t n_rows, size_t n_folds, size_t gap,
                                                 struct phi_folds *ret_folds,
                                                 struct ph_error *reterr);

/* One fold a run: leave one run out. Errors as above, and for a run without rows. */
PH_NODISCARD enum ph_status phi_folds_runs(const size_t *run_rows /* [n_runs] */, size_t n_runs,
                                           struct phi_folds *ret_folds, struct ph_error *reterr);

/* Folds that begin at the rows starts[n_folds], ascending, the first at 0: blocks of a design.
 * PH_E_INVAL otherwise, and as above. */
PH_NODISCARD enum ph_status phi_folds_starts(size_t n_rows, const size_t *starts, size_t n_folds,
                                             size_t gap, struct phi_folds *ret_folds,
                                             struct ph_error *reterr);

/* Fold f. */
struct phi_fold phi_fold_at(const struct phi_folds *folds, size_t f);

/* All rows for training, none for testing. */
struct phi_fold phi_fold_whole(size_t n_rows);

/* Rows of `fold` for training. */
size_t phi_fold_n_train(const struct phi_fold *fold);

/* The i-th training row's number. */
static inline size_t phi_fold_train_row(const struct phi_fold *fold, size_t i)
{
    return i < fold->before ? i : i - fold->before + fold->after;
}

#endif
