/* SPDX-License-Identifier: MIT
 *
 * Filling struct ph_error. All functions may be called from any thread on separate objects, never
 * allocate and never block. Each returns the status it stores, so that a failing function can end
 * with `return phi_error(reterr, PH_E_SHAPE, "...")`.
 */
#ifndef PHI_BASE_ERROR_H
#define PHI_BASE_ERROR_H

#include <stddef.h>

#include "phosphene/status.h"

/* Stores `status` and the formatted text in `reterr` (which may be NULL). Returns `status`. */
enum ph_status phi_error(struct ph_error *reterr, enum ph_status status, const char *format, ...)
    PH_PRINTF(3, 4);

/* As phi_error, and stores `os_errno` and appends its text: "cannot open 'x': No such file". */
enum ph_status phi_error_os(struct ph_error *reterr, enum ph_status status, int os_errno,
                            const char *format, ...) PH_PRINTF(4, 5);

/* Puts the formatted text and ": " before the text that `reterr` already holds, to say where the
 * failure happened. Returns the status `reterr` holds; PH_E_INTERNAL if `reterr` is NULL. */
enum ph_status phi_error_prefix(struct ph_error *reterr, const char *format, ...) PH_PRINTF(2, 3);

/* The out-of-memory error for `what` (a noun phrase) of `n_bytes` bytes. Returns PH_E_NOMEM. */
enum ph_status phi_error_nomem(struct ph_error *reterr, const char *what, size_t n_bytes);

/* A short constant name of a status, as "format" or "ok"; "unknown" outside the enum. */
const char *phi_status_name(enum ph_status status);

#endif
