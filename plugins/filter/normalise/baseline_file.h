/* SPDX-License-Identifier: MIT
 *
 * A baseline on disk, so that the runs of a session share one: a safetensors file of kind
 * "baseline" (docs/formats.md). Set-up code and the end of a run; may block.
 */
#ifndef PLUGINS_FILTER_NORMALISE_BASELINE_FILE_H
#define PLUGINS_FILTER_NORMALISE_BASELINE_FILE_H

#include "phosphene/plugin.h"

struct baseline_file {
    uint64_t layout; /* which voxels */
    size_t n_values;
    size_t n_volumes;
    double *mean; /* [n_values] */
    double *m2;   /* [n_values] squared deviations */
};

/* Reads `path`. PH_E_STATE if it was measured behind other filters than `chain`; the text names
 * both. Owned by the caller. */
PH_NODISCARD enum ph_status baseline_file_read(const char *path, const char *chain,
                                               struct baseline_file *ret_file,
                                               struct ph_error *reterr);

/* Frees what read has made; accepts a zeroed one. */
void baseline_file_free(struct baseline_file *file);

/* Writes mean and m2 [file->n_values] with layout and number of volumes of `file`, replacing `path`
 * at once. */
PH_NODISCARD enum ph_status baseline_file_write(const char *path, const char *chain,
                                                const struct baseline_file *file,
                                                const double *mean, const double *m2,
                                                struct ph_error *reterr);

#endif
