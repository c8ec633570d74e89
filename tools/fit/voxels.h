/* SPDX-License-Identifier: MIT
 *
 * The voxels a decoder is fitted on: BOLD runs through a mask, or a matrix from a file, as one
 * float32 matrix in memory with the length of each run and the places of the voxels. Set-up code;
 * one thread.
 */
#ifndef TOOLS_FIT_VOXELS_H
#define TOOLS_FIT_VOXELS_H

#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "host/registry.h"
#include "signal/affine.h"

#define FIT_MAX_RUNS CLI_MAX_LIST

struct fit_voxels {
    size_t n, q;                   /* q of this process */
    size_t first, q_all;           /* its first voxel, and how many all processes have */
    float *x;                      /* [n][q] */
    size_t run_rows[FIT_MAX_RUNS]; /* [n_runs], in sum n */
    size_t n_runs;
    uint32_t *index;      /* [q_all] voxel numbers in the grid; NULL for a matrix from a file */
    struct phi_grid grid; /* with index */
    double tr_s;          /* 0 where unknown */
    char *chain;          /* the filters that the volumes went through; NULL for none */
};

struct fit_voxels_from {
    const struct cli_list *bold; /* NIfTI runs, in order */
    const char *mask;     /* NIfTI, inside where above 0; NULL: the brain of the mean volume */
    const char *matrix;   /* safetensors with a tensor "voxels" [n][q], instead of bold */
    const char *run_file; /* run file whose filters the volumes go through first, or NULL */
    const struct phi_registry *registry; /* with run_file */
    size_t rank, n_ranks;                /* keep this part of the voxels; n_ranks 0: all */
    double drift_s; /* cosine drifts slower than this are removed from each run; 0: none */
};

/* Loads everything; owned by the caller. Errors name the file. PH_E_SHAPE if runs differ in
 * geometry. */
PH_NODISCARD enum ph_status fit_voxels_load(const struct fit_voxels_from *from,
                                            struct fit_voxels *ret_voxels, struct ph_error *reterr);

void fit_voxels_free(struct fit_voxels *voxels);

#endif
