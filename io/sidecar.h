/* SPDX-License-Identifier: MIT
 *
 * The JSON file beside a BIDS image ("x_bold.json"): the fields that a run needs, and writing them.
 * Parsing is pure; reading and writing may block on the disk. Thread-safe.
 * Format: BIDS specification 1.8, "Task (including resting state) imaging data".
 */
#ifndef PHI_IO_SIDECAR_H
#define PHI_IO_SIDECAR_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_SIDECAR_MAX_SLICES 512
#define PHI_SIDECAR_MAX_BYTES  ((size_t)4 << 20)

/* What the file says; all zero says nothing. Plain data. */
struct phi_sidecar {
    double tr_s; /* RepetitionTime; 0 if not given */
    uint32_t n_slices;
    double slice_timing_s[PHI_SIDECAR_MAX_SLICES]; /* [n_slices], start of each slice in the TR */
    char task_name[64];
};

/* Reads `n_bytes` bytes of JSON; `name` is what errors call it. Unknown fields are passed over;
 * known ones of the wrong type or out of range are errors that name the field. */
PH_NODISCARD enum ph_status phi_sidecar_parse(const char *text, size_t n_bytes, const char *name,
                                              struct phi_sidecar *ret_sidecar,
                                              struct ph_error *reterr);

/* Reads the file `path`, otherwise as phi_sidecar_parse. */
PH_NODISCARD enum ph_status phi_sidecar_read(const char *path, struct phi_sidecar *ret_sidecar,
                                             struct ph_error *reterr);

/* Reads the sidecar of the image `image_path` (".nii", ".nii.gz", ".img", ".hdr" replaced by
 * ".json"). Where there is none, *ret_sidecar is all zero and the result is PH_OK. */
PH_NODISCARD enum ph_status phi_sidecar_read_beside(const char *image_path,
                                                    struct phi_sidecar *ret_sidecar,
                                                    struct ph_error *reterr);

/* Writes `path` whole. */
PH_NODISCARD enum ph_status phi_sidecar_write(const char *path, const struct phi_sidecar *sidecar,
                                              struct ph_error *reterr);

#endif
