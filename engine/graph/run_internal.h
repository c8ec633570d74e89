/* SPDX-License-Identifier: MIT
 *
 * What run.c and run_parse.c share.
 */
#ifndef PHI_GRAPH_RUN_INTERNAL_H
#define PHI_GRAPH_RUN_INTERNAL_H

#include "graph/run.h"

/* A zero-terminated copy of `n` bytes; NULL without memory. */
char *phi_run_copy_text(const char *text, size_t n);

/* Stage slot number `i`: source, decoder (type NULL where absent), filters, generators, sinks; NULL
 * behind the last. */
struct phi_run_stage *phi_run_stage_at(struct phi_run *run, size_t i);

/* Adds or replaces a display setting. */
PH_NODISCARD enum ph_status phi_run_add_display(struct phi_run *run, const char *key,
                                                const char *value, struct ph_error *reterr);

#endif
