/* SPDX-License-Identifier: MIT
 *
 * A volume's quality record as a row of a confounds table with fMRIPrep's column names: what BIDS
 * derivatives call _desc-confounds_timeseries.tsv. Figures that fMRIPrep has no name for follow
 * under our own. Motion keeps the engine's convention (SPM's); fMRIPrep's own files hold FSL's.
 * Pure functions, any thread, no allocation.
 */
#ifndef PHI_SIGNAL_CONFOUNDS_H
#define PHI_SIGNAL_CONFOUNDS_H

#include <stddef.h>

#include "phosphene/frame.h"

/* Columns of a row. */
#define PHI_CONFOUNDS_N 36

/* Name of column `i`, as "trans_x_derivative1_power2"; NULL from PHI_CONFOUNDS_N on. */
const char *phi_confounds_name(size_t i);

/* Fills ret_row[PHI_CONFOUNDS_N] from this volume's record and that of the volume before (NULL for
 * the first). What was not measured, and changes against nothing, are NaN: "n/a" in a table. */
void phi_confounds_row(const struct ph_quality *now, const struct ph_quality *before,
                       double *ret_row);

#endif
