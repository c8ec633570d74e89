/* SPDX-License-Identifier: MIT
 *
 * A bounded queue of pointers between one producer thread and one consumer thread, without locks.
 * Head and tail lie on cache lines of their own, and each side keeps a copy of the other's index,
 * so that the lines travel only when the queue looks full or empty.
 */
#ifndef PHI_RT_RING_H
#define PHI_RT_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_ring;

/* A queue of at most `depth` (1 or more) pointers, owned by the caller. */
PH_NODISCARD enum ph_status phi_ring_create(size_t depth, struct phi_ring **ret_ring,
                                            struct ph_error *reterr);

/* Frees; accepts NULL and *ring == NULL, clears *ring. What is inside is forgotten. */
void phi_ring_destroy(struct phi_ring **ring);

/* Producer: appends `item` (not NULL). False if the queue is full. Never blocks. */
bool phi_ring_push(struct phi_ring *ring, void *item);

/* Consumer: removes and returns the oldest item; NULL if the queue is empty. Never blocks. */
void *phi_ring_pop(struct phi_ring *ring);

/* Any thread: how many items are inside; a moment later it may be another number. */
size_t phi_ring_count(const struct phi_ring *ring);

/* How many fit. */
size_t phi_ring_depth(const struct phi_ring *ring);

#endif
