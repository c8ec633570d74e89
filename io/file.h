/* SPDX-License-Identifier: MIT
 *
 * Small helpers for files, folders and paths: writing all, bounded reading. Whole files are written
 * with io/atomic_file.h. For set-up and shutdown code: calls may block on the disk and allocate.
 * Thread-safe.
 */
#ifndef PHI_IO_FILE_H
#define PHI_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_PATH_MAX 1024 /* longest path we take, with its terminating zero */

/* Writes all `n_bytes` bytes to `fd`, going on after short writes and signals. PH_E_IO with the
 * errno in `ret_errno` (may be NULL) otherwise. */
PH_NODISCARD enum ph_status phi_write_all(int fd, const void *bytes, size_t n_bytes,
                                          int *ret_errno);

/* Reads `path` whole if it has at most `max_bytes` bytes (PH_E_LIMIT otherwise). A zero byte
 * follows the content. *ret_bytes is the caller's, freed with phi_free. */
PH_NODISCARD enum ph_status phi_file_read(const char *path, size_t max_bytes,
                                          unsigned char **ret_bytes, size_t *ret_n_bytes,
                                          struct ph_error *reterr);

/* Makes `path` and the directories above it that are missing. */
PH_NODISCARD enum ph_status phi_dir_make(const char *path, struct ph_error *reterr);

/* Flushes the directory that holds `path`, so that a new name in it survives a power cut. */
PH_NODISCARD enum ph_status phi_dir_sync_of(const char *path, struct ph_error *reterr);

/* out[capacity] = "a/b", or `b` alone when `a` is empty; false if it does not fit. */
bool phi_path_join(char *out, size_t capacity, const char *a, const char *b);

/* Whether something exists at `path`. */
bool phi_path_exists(const char *path);

#endif
