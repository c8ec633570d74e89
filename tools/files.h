/* SPDX-License-Identifier: MIT
 *
 * Whether what a run file points at is there: every file and folder that a stage would read, and
 * models and images of the right kind, as far as that shows before the scanner has told its
 * geometry. Main thread.
 */
#ifndef TOOLS_FILES_H
#define TOOLS_FILES_H

#include "graph/run.h"

/* Checks the PATH parameters of all stages but sinks, whose paths are written to, and plans each
 * stage that has one on sizes of a common scan: what that says about the file counts, what it says
 * about the sizes does not. PH_E_INVAL messages begin with file, line and column;
 * `reterr` must be given. */
PH_NODISCARD enum ph_status files_check(const struct phi_run *run, struct ph_error *reterr);

#endif
