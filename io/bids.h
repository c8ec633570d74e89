/* SPDX-License-Identifier: MIT
 *
 * A recording as a BIDS dataset: the run as one 4-D NIfTI file with its sidecar and events, and the
 * descriptions that the validator asks for. Late volumes stand in their place; missing ones are
 * zero. May block on the disk; thread-safe on different folders.
 * Format: BIDS specification 1.8.
 */
#ifndef PHI_IO_BIDS_H
#define PHI_IO_BIDS_H

#include "io/file.h"
#include "io/wire.h"

/* What was written. */
struct phi_bids_report {
    uint64_t n_volumes; /* of the 4-D file */
    uint64_t n_missing; /* of them, zero because they never came */
    uint64_t n_events;
    uint64_t n_lost_records; /* damage in the journal */
    char stem[PHI_PATH_MAX]; /* path of the files up to "_bold.nii.gz" */
};

/* Writes the recording whose journal is in `journal_dir` to the dataset folder `out_dir` (made if
 * missing; files of the same run are replaced). `task` is the BIDS task label ("" is "task").
 * PH_E_FORMAT if there is no volume. */
PH_NODISCARD enum ph_status phi_bids_export(const char *journal_dir, const char *out_dir,
                                            const char *task, struct phi_bids_report *ret_report,
                                            struct ph_error *reterr);

/* The stem "<out_dir>/sub-X/[ses-Y/]func/sub-X[_ses-Y]_task-T[_run-R]" of a run and its folder,
 * with labels cut down to letters and digits as BIDS wants them. PH_E_LIMIT if too long. */
PH_NODISCARD enum ph_status phi_bids_stem(const struct phi_wire_message *hello, const char *out_dir,
                                          const char *task, char stem[PHI_PATH_MAX],
                                          char folder[PHI_PATH_MAX]);

/* Writes dataset_description.json of type "raw" or "derivative" and a README to `dir`. */
PH_NODISCARD enum ph_status phi_bids_describe(const char *dir, const char *type,
                                              struct ph_error *reterr);

#endif
