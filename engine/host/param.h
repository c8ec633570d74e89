/* SPDX-License-Identifier: MIT
 *
 * The parameter values of one stage: made from the type's table, filled with defaults, then set
 * from text, checked on the way. The struct that the stage sees is phi_params_values. An object
 * belongs to one thread until it has been handed to a stage; from then on it is read-only.
 */
#ifndef PHI_HOST_PARAM_H
#define PHI_HOST_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "phosphene/plugin.h"

struct phi_params;

/* Values of `type` with every default in place. Owned by the caller. */
PH_NODISCARD enum ph_status phi_params_create(const struct ph_stage_type *type,
                                              struct phi_params **ret_params,
                                              struct ph_error *reterr);

/* An independent copy, for a changed snapshot. Owned by the caller. */
PH_NODISCARD enum ph_status phi_params_copy(const struct phi_params *params,
                                            struct phi_params **ret_copy, struct ph_error *reterr);

/* Frees; accepts NULL and *params == NULL, clears *params. */
void phi_params_destroy(struct phi_params **params);

/* The struct of the type's params_size bytes; lives as long as `params`. */
const void *phi_params_values(const struct phi_params *params);

/* Sets parameter `key` from `text` (FLOATS: comma-separated). A relative PATH is taken from
 * `base_dir` (NULL: from the working directory). On failure nothing changes and the message names
 * the key, the limit or the nearest known key. */
PH_NODISCARD enum ph_status phi_params_set(struct phi_params *params, const char *key,
                                           const char *text, const char *base_dir,
                                           struct ph_error *reterr);

/* PH_E_INVAL if a REQUIRED parameter was never set; the message names it. */
PH_NODISCARD enum ph_status phi_params_check(const struct phi_params *params,
                                             struct ph_error *reterr);

/* True if phi_params_set has set parameter number `i` of the table. */
bool phi_params_given(const struct phi_params *params, size_t i);

/* Appends the value of parameter number `i` as text that phi_params_set reads back to the same
 * value. */
void phi_params_format(const struct phi_params *params, size_t i, struct phi_str *out);

/* The table entry called `key`, or NULL. */
const struct ph_param *phi_param_find(const struct ph_stage_type *type, const char *key);

/* Lower-case name of an enum ph_param_type, as "float"; "unknown" outside the enum. */
const char *phi_param_type_name(uint32_t type);

/* Of the `n` strings the one nearest to `text`, for "did you mean"; NULL if none is near. */
const char *phi_suggest(const char *text, const char *const *names, size_t n);

#endif
