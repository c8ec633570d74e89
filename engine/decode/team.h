/* SPDX-License-Identifier: MIT
 *
 * A fit spread over several processes: what they do together, behind functions that the program
 * brings, so that the mathematics knows no message passing. Every process holds some of the voxels
 * and some of the targets, and the whole of what has one row a sample. All processes call these
 * functions in the same order, from the thread that started the fit.
 */
#ifndef PHI_DECODE_TEAM_H
#define PHI_DECODE_TEAM_H

#include <stddef.h>

#include "phosphene/status.h"

struct phi_team {
    size_t rank, n_ranks;
    /* Adds values[n] over all processes, in place; the same bits in all of them. */
    enum ph_status (*sum)(void *ctx, double *values, size_t n, struct ph_error *reterr);
    /* Every process tells how it fares, and all get the first failure among them, with its words in
     * reterr; else what was given. After a failure all later calls return it at once. */
    enum ph_status (*agree)(void *ctx, enum ph_status mine, struct ph_error *reterr);
    /* phi_eigh (but for the signs) and phi_chol_inverse of a matrix that all hold alike; the same
     * bits in all. */
    enum ph_status (*eigh)(void *ctx, double *a /* [n][n] */, size_t n, double *ret_values,
                           struct ph_error *reterr);
    enum ph_status (*inverse)(void *ctx, double *a /* [n][n] */, size_t n, struct ph_error *reterr);
    void *ctx;
};

#endif
