/* SPDX-License-Identifier: MIT
 *
 * A bump allocator over one block: what a run needs is carved out once and freed at once. Not
 * thread-safe; an arena has one owner. Blocks are zeroed and 64-byte aligned.
 */
#ifndef PHI_BASE_ARENA_H
#define PHI_BASE_ARENA_H

#include <stddef.h>

#include "phosphene/status.h"

struct phi_arena;

/* An arena of `n_bytes` bytes. Owned by the caller. */
PH_NODISCARD enum ph_status phi_arena_create(size_t n_bytes, struct phi_arena **ret_arena);

/* Frees the arena and all that came from it; accepts NULL and *arena == NULL, clears *arena. */
void phi_arena_destroy(struct phi_arena **arena);

/* `n` zeroed elements of `size` bytes; NULL when the arena is full or the product overflows. Lives
 * as long as the arena. */
void *phi_arena_alloc(struct phi_arena *arena, size_t n, size_t size);

/* Bytes given out, rounded up to the alignment. */
size_t phi_arena_used(const struct phi_arena *arena);

/* Takes everything back; later blocks are zeroed again. */
void phi_arena_reset(struct phi_arena *arena);

#endif
