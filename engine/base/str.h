/* SPDX-License-Identifier: MIT
 *
 * Bounded strings: a builder over the caller's memory that notes when it had to cut, and the strict
 * number parsing that atoi and strtod alone do not give. No allocation; thread-safe on separate
 * objects.
 */
#ifndef PHI_BASE_STR_H
#define PHI_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_str {
    char *text;      /* always zero-terminated */
    size_t capacity; /* with the terminating zero */
    size_t length;
    bool cut; /* something did not fit */
};

/* Starts an empty string in `memory` of `capacity` (at least 1) bytes, which the caller owns. */
struct phi_str phi_str_over(char *memory, size_t capacity);

/* Appends formatted text; sets `cut` when it does not fit whole. */
void phi_str_addf(struct phi_str *str, const char *format, ...) PH_PRINTF(2, 3);

/* Copies `text` into out[capacity]; false, and a cut copy, if it does not fit. */
bool phi_str_copy(char *out, size_t capacity, const char *text);

/* The whole of `text` as a finite decimal number; false on anything else. Ignores the locale. */
bool phi_parse_double(const char *text, double *ret);

/* The whole of `text` as a decimal integer; false on anything else or overflow. */
bool phi_parse_i64(const char *text, int64_t *ret);

/* True if `text` begins with / ends with the other string. */
bool phi_str_starts(const char *text, const char *prefix);
bool phi_str_ends(const char *text, const char *suffix);

/* Damerau-Levenshtein distance (optimal string alignment), for "did you mean"; strings longer than
 * 63 bytes count as infinitely far (SIZE_MAX). */
size_t phi_str_distance(const char *a, const char *b);

#endif
