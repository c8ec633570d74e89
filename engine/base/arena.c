/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

struct phi_arena {
    unsigned char *block;
    size_t n_bytes;
    size_t used;
};

enum ph_status phi_arena_create(size_t n_bytes, struct phi_arena **ret_arena)
{
    struct phi_arena *arena = phi_calloc(1, sizeof *arena);

    if (!arena)
        return PH_E_NOMEM;
    arena->block = phi_calloc(n_bytes, 1);
    if (!arena->block) {
        phi_free(arena);
        return PH_E_NOMEM;
    }
    arena->n_bytes = n_bytes;
    *ret_arena = arena;
    return PH_OK;
}

void phi_arena_destroy(struct phi_arena **arena)
{
    if (!arena || !*arena)
        return;
    phi_free((*arena)->block);
    phi_free(*arena);
    *arena = NULL;
}

void *phi_arena_alloc(struct phi_arena *arena, size_t n, size_t size)
{
    size_t n_bytes;
    void *block;

    if (!phi_mul_size(n ? n : 1, size ? size : 1, &n_bytes) || n_bytes > SIZE_MAX - PHI_ALIGN)
        return NULL;
    n_bytes = (n_bytes + PHI_ALIGN - 1) / PHI_ALIGN * PHI_ALIGN;
    if (n_bytes > arena->n_bytes - arena->used)
        return NULL;
    block = arena->block + arena->used;
    arena->used += n_bytes;
    return block;
}

size_t phi_arena_used(const struct phi_arena *arena)
{
    return arena->used;
}

void phi_arena_reset(struct phi_arena *arena)
{
    memset(arena->block, 0, arena->used);
    arena->used = 0;
}
