/* SPDX-License-Identifier: MIT
 *
 * Matrices read a block of columns at a time: voxels or targets that may be larger than memory and
 * may come from a file. What is read is checked for values that are not numbers. Not for the live
 * path; a source belongs to one thread.
 */
#ifndef PHI_DECODE_COLUMNS_H
#define PHI_DECODE_COLUMNS_H

#include <stddef.h>

#include "phosphene/status.h"

enum phi_dtype { PHI_DTYPE_F32, PHI_DTYPE_F64 };

/* Bytes of one element: 4 or 8. */
size_t phi_dtype_size(enum phi_dtype dtype);

struct phi_columns {
    size_t n_rows, n_cols;
    /* Fills out[n_rows][n], of the type asked for, with columns first .. first+n-1. */
    enum ph_status (*read)(void *ctx, size_t first, size_t n, enum phi_dtype dtype, void *out,
                           struct ph_error *reterr);
    void *ctx;
    const char *name;    /* for messages: "voxels", "targets" */
    size_t first_number; /* what messages call the first column, where these are part of more */
};

/* Columns first .. first+n-1 of another source, numbered as there; `part` and what it points to
 * must outlive the result. */
struct phi_columns_part {
    const struct phi_columns *whole;
    size_t first, n;
};
struct phi_columns phi_columns_of_part(struct phi_columns_part *part);

/* A matrix in memory, row-major with `stride` elements from row to row; borrowed. */
struct phi_columns_memory {
    const void *at;
    enum phi_dtype dtype;
    size_t n_rows, stride;
};

/* The source over `memory`, which must outlive it. */
struct phi_columns phi_columns_over(struct phi_columns_memory *memory, size_t n_cols,
                                    const char *name);

/* Where a centred block goes. */
struct phi_columns_block {
    enum phi_dtype dtype;
    void *values; /* [n_rows][n] */
    double *mean; /* [n] */
    double *sd;   /* [n], population sd */
};

/* Reads columns first .. first+n-1 into `block` and subtracts their means (float64 sums).
 * PH_E_INVAL names the first row and column that holds no finite number. */
PH_NODISCARD enum ph_status phi_columns_read_centred(const struct phi_columns *columns,
                                                     size_t first, size_t n,
                                                     const struct phi_columns_block *block,
                                                     struct ph_error *reterr);

#endif
