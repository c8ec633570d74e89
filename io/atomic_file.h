/* SPDX-License-Identifier: MIT
 *
 * Files that appear whole or not at all: written under a temporary name in the same folder, synced,
 * renamed, and the folder synced. One file belongs to one thread. May block on the disk.
 */
#ifndef PHI_IO_ATOMIC_FILE_H
#define PHI_IO_ATOMIC_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

struct phi_atomic_file;

/* Opens a temporary file that will become `path`. Owned by the caller, freed with
 * phi_atomic_file_destroy. */
PH_NODISCARD enum ph_status phi_atomic_file_create(const char *path,
                                                   struct phi_atomic_file **ret_file,
                                                   struct ph_error *reterr);

/* The open descriptor (read and write), which stays the object's. */
int phi_atomic_file_fd(const struct phi_atomic_file *file);

/* Appends `n_bytes` at the descriptor's position; handles short writes and signals. */
PH_NODISCARD enum ph_status phi_atomic_file_append(struct phi_atomic_file *file, const void *bytes,
                                                   size_t n_bytes, struct ph_error *reterr);

/* Writes `n_bytes` at `offset_bytes` without moving the position. */
PH_NODISCARD enum ph_status phi_atomic_file_put(struct phi_atomic_file *file, uint64_t offset_bytes,
                                                const void *bytes, size_t n_bytes,
                                                struct ph_error *reterr);

/* Syncs and renames to the final path; the object stays to be destroyed. PH_E_STATE if called
 * twice. */
PH_NODISCARD enum ph_status phi_atomic_file_commit(struct phi_atomic_file *file,
                                                   struct ph_error *reterr);

/* Closes, and removes the temporary file if there was no commit. Accepts NULL and *file == NULL. */
void phi_atomic_file_destroy(struct phi_atomic_file **file);

/* create, append all, commit. */
PH_NODISCARD enum ph_status phi_atomic_file_write(const char *path, const void *bytes,
                                                  size_t n_bytes, struct ph_error *reterr);

#endif
