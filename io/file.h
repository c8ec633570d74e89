/* SPDX-License-Identifier: MIT
 *
 * Files that are either whole or not there: written under a temporary name, synced, renamed, and
 * the directory synced, so that neither a crash nor a power cut leaves half a file under the real
 * name. And bounded reading of small files. For set-up and shutdown code: every call may block on
 * the disk and allocate. Thread-safe on separate objects.
 */
#ifndef PHI_IO_FILE_H
#define PHI_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_PATH_MAX 1024 /* longest path we take, with its terminating zero */

/* A file under way. */
struct phi_new_file {
    int fd; /* open for writing; -1 when there is none */
    char path[PHI_PATH_MAX];
    char temporary[PHI_PATH_MAX];
};

/* Opens a temporary file beside `path`. On failure `file` holds nothing to clean up. Fails with
 * PH_E_IO, or PH_E_LIMIT when the path is too long. */
PH_NODISCARD enum ph_status phi_new_file_open(struct phi_new_file *file, const char *path,
                                              struct ph_error *reterr);

/* Syncs, closes and renames `file` to its path, then syncs the directory. On failure the temporary
 * file is removed and the file that stood at the path before is untouched. */
PH_NODISCARD enum ph_status phi_new_file_commit(struct phi_new_file *file, struct ph_error *reterr);

/* Closes and removes the temporary file; nothing happens if there is none. */
void phi_new_file_abandon(struct phi_new_file *file);

/* Writes all `n_bytes` bytes to `fd`, going on after short writes and signals. PH_E_IO with the
 * errno in `ret_errno` (may be NULL) otherwise. */
PH_NODISCARD enum ph_status phi_write_all(int fd, const void *bytes, size_t n_bytes,
                                          int *ret_errno);

/* Writes `path` whole, as phi_new_file_open and _commit do. */
PH_NODISCARD enum ph_status phi_file_write(const char *path, const void *bytes, size_t n_bytes,
                                           struct ph_error *reterr);

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
