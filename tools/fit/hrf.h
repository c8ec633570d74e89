/* SPDX-License-Identifier: MIT
 *
 * Response curves by name, as --hrf takes them. Pure function.
 */
#ifndef TOOLS_FIT_HRF_H
#define TOOLS_FIT_HRF_H

#include <stdbool.h>
#include <stddef.h>

#include "signal/hrf.h"

#define FIT_HRF_HELP "spm, glover, library (best of 20 curves), or a curve's number (spm)"

/* The curves of "spm", "glover", a library curve's number, or "library" (all of them) into
 * ret_hrf[PHI_HRF_LIBRARY_SIZE]; returns how many, 0 for an unknown name. */
size_t fit_hrf_parse(const char *name, struct phi_hrf *ret_hrf);

#endif
