/* SPDX-License-Identifier: MIT
 *
 * Decompositions of one matrix on a grid of processes by ScaLAPACK 2.2: this process's blocks are
 * cut out of the whole matrix, and its blocks of the result are put back, zeros elsewhere, so that
 * a sum over the processes is the result. All processes of the grid call in the same order.
 */
#ifndef TOOLS_MPI_GRID_H
#define TOOLS_MPI_GRID_H

#include <stddef.h>

#include "phosphene/status.h"

struct grid {
    int context;
    int n_rows, n_cols, row, col; /* of processes; row -1: not on the grid */
    int order, block;             /* of the matrix */
    int local_rows, local_cols;
    int descriptor[9];
};

/* A grid as square as `n_ranks`, cut to at most `n_most` processes, allows. */
void grid_open(struct grid *grid, size_t n_ranks, size_t n_most);

/* Blocks for a matrix of n rows. */
void grid_plan(struct grid *grid, size_t n);
void grid_close(struct grid *grid);

/* Leaves BLACS; MPI goes on. */
void grid_end(void);

/* a[n][n], symmetric, becomes this process's share of the result; values[n] those of all. */
typedef enum ph_status grid_fn(struct grid *grid, double *a, double *values,
                               struct ph_error *reterr);

/* Share of the eigenvectors, in rows; values ascend (on process 0 at least). */
enum ph_status grid_eigh(struct grid *grid, double *a, double *values, struct ph_error *reterr);

/* Share of the upper half of the inverse. PH_E_INVAL if the matrix is not positive definite. */
enum ph_status grid_inverse(struct grid *grid, double *a, double *values, struct ph_error *reterr);

#endif
