/* SPDX-License-Identifier: MIT
 *
 * Targets of a fit, read from a mapped safetensors file block by block, so that they may be larger
 * than memory. Set-up code; one thread.
 */
#ifndef TOOLS_FIT_TARGETS_H
#define TOOLS_FIT_TARGETS_H

#include <stdint.h>

#include "decode/columns.h"
#include "io/safetensors.h"

struct fit_targets {
    struct phi_safetensors *file;
    const struct phi_safetensors_tensor *tensor; /* [n_file_rows][t], F32 or F64 */
    size_t n_file_rows, t;
    size_t n;             /* rows to use */
    const uint32_t *rows; /* [n], borrowed */
};

/* Opens tensor `name` of the file; PH_E_FORMAT for other types than F32 and F64. */
PH_NODISCARD enum ph_status fit_targets_open(const char *path, const char *name,
                                             struct fit_targets *ret_targets,
                                             struct ph_error *reterr);
void fit_targets_close(struct fit_targets *targets);

/* The source over rows[n] of the file, which must outlive it. PH_E_SHAPE unless the file has
 * `n_volumes` rows. */
PH_NODISCARD enum ph_status fit_targets_columns(struct fit_targets *targets, size_t n_volumes,
                                                const uint32_t *rows, size_t n,
                                                struct phi_columns *ret_columns,
                                                struct ph_error *reterr);

#endif
