/* SPDX-License-Identifier: MIT */
#include "rt/ring.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

#define MAX_DEPTH ((size_t)1 << 24)

/* The indices only grow; their difference is the fill, also across the wrap of size_t. */
struct phi_ring {
    _Alignas(PHI_ALIGN) _Atomic size_t head; /* next to pop; written by the consumer */
    size_t tail_seen;                        /* consumer's copy of tail */
    _Alignas(PHI_ALIGN) _Atomic size_t tail; /* next to push; written by the producer */
    size_t head_seen;                        /* producer's copy of head */
    _Alignas(PHI_ALIGN) size_t mask;
    size_t depth;
    void **items; /* [mask + 1] */
};

enum ph_status phi_ring_create(size_t depth, struct phi_ring **ret_ring, struct ph_error *reterr)
{
    struct phi_ring *ring;
    size_t n = 1;

    if (depth == 0 || depth > MAX_DEPTH)
        return phi_error(reterr, PH_E_LIMIT, "a queue of %zu frames is not possible", depth);
    while (n < depth)
        n *= 2;
    ring = phi_calloc(1, sizeof *ring);
    if (ring)
        ring->items = phi_calloc(n, sizeof *ring->items);
    if (!ring || !ring->items) {
        phi_ring_destroy(&ring);
        return phi_error_nomem(reterr, "a queue", n * sizeof(void *));
    }
    ring->mask = n - 1;
    ring->depth = depth;
    *ret_ring = ring;
    return PH_OK;
}

void phi_ring_destroy(struct phi_ring **ring)
{
    if (!ring || !*ring)
        return;
    phi_free((*ring)->items);
    phi_free(*ring);
    *ring = NULL;
}

bool phi_ring_push(struct phi_ring *ring, void *item)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (tail - ring->head_seen >= ring->depth) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen >= ring->depth)
            return false;
    }
    ring->items[tail & ring->mask] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

void *phi_ring_pop(struct phi_ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    void *item;

    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return NULL;
    }
    item = ring->items[head & ring->mask];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return item;
}

size_t phi_ring_count(const struct phi_ring *ring)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return tail - head;
}

size_t phi_ring_depth(const struct phi_ring *ring)
{
    return ring->depth;
}
