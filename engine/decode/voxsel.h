/* SPDX-License-Identifier: MIT
 *
 * Choosing voxels by how well the features predict them: an encoding ridge per voxel, scored out of
 * fold. Only the rows given are looked at, so that a selection made inside a fold never sees the
 * rows it will be tested on. Not for the live path.
 */
#ifndef PHI_DECODE_VOXSEL_H
#define PHI_DECODE_VOXSEL_H

#include <stddef.h>

#include "decode/columns.h"
#include "decode/folds.h"
#include "decode/gram.h"
#include "phosphene/status.h"

struct phi_voxsel_options {
    size_t n_top;     /* keep the best this many; 0: use min_r2 */
    double min_r2;    /* keep voxels above this out-of-fold R2 (.01 is r of about .1) */
    size_t n_folds;   /* inner contiguous folds; 0: 5 */
    size_t n_threads; /* 0: one a processor */
    const struct phi_progress *progress;
};

/* Marks in ret_keep[m] the voxels chosen from the training rows of `fold` alone, and gives every
 * voxel's out-of-fold R2 in ret_r2[m]. `features` is [n][p], p columns of all rows. PH_E_INVAL if
 * no voxel passes; errors of the fit. */
PH_NODISCARD enum ph_status phi_voxsel(const struct phi_columns *voxels, const double *features,
                                       size_t p, const struct phi_fold *fold,
                                       const struct phi_voxsel_options *options,
                                       unsigned char *ret_keep, double *ret_r2,
                                       struct ph_error *reterr);

/* The rows of `fold` for training, as a source of their own. */
struct phi_columns_train {
    const struct phi_columns *whole;
    struct phi_fold fold;
};
struct phi_columns phi_columns_of_train(struct phi_columns_train *train);

#endif
