/* SPDX-License-Identifier: MIT
 *
 * fMRIPrep's columns for volumes that an analysis leaves out: one column a volume, 1 in its row and
 * 0 elsewhere, non_steady_state_outlier00 ... for those before the signal had settled and
 * motion_outlier00 ... for censored ones. How many there are is known at the end only; until then
 * the rows stand in a file. One thread.
 */
#ifndef PLUGINS_SINK_RECORD_OUTLIERS_H
#define PLUGINS_SINK_RECORD_OUTLIERS_H

#include "record.h"

/* More of a kind than this are left out of the columns (`censored` has them all). */
#define RECORD_MAX_OUTLIERS 200

enum record_outlier { RECORD_UNSETTLED = 0, RECORD_MOTION = 1, RECORD_N_OUTLIERS = 2 };

/* Notes that row `row` of the confounds is one. */
void record_outlier_note(FILE *spool, uint64_t row, enum record_outlier kind);

/* Copies the confounds' table `from` to `to` with the columns of `spool`'s rows added. */
PH_NODISCARD enum ph_status record_outlier_columns(FILE *spool, FILE *from, FILE *to,
                                                   struct ph_error *reterr);

#endif
