/* SPDX-License-Identifier: MIT */
#include "rt/pool.h"

#include <stdatomic.h>

#include "base/error.h"
#include "base/mem.h"

struct slot {
    struct ph_frame frame; /* first: a frame pointer is its slot */
    _Atomic int refs;
    int64_t queued_ns;
    struct slot *next; /* in a list of free slots */
    struct phi_pool *pool;
};

/* Free slots lie in two lists: givers push to `returned` with compare-and-swap, the taker fetches
 * that list whole and then pops from `ready` alone. With a single fetching thread that swaps the
 * whole list there is no ABA problem. */
struct phi_pool {
    _Alignas(PHI_ALIGN) _Atomic(struct slot *) returned;
    _Atomic size_t n_free;
    _Alignas(PHI_ALIGN) struct slot *ready;
    struct phi_doorbell *bell;
    struct slot *slots;      /* [n] */
    unsigned char *payloads; /* [n][stride] */
};

static void link_slots(struct phi_pool *pool, size_t n, size_t n_bytes, size_t stride)
{
    for (size_t i = n; i > 0; i--) {
        struct slot *slot = &pool->slots[i - 1];

        slot->pool = pool;
        slot->frame.data = n_bytes ? pool->payloads + (i - 1) * stride : NULL;
        slot->frame.capacity_bytes = n_bytes;
        slot->next = pool->ready;
        pool->ready = slot;
    }
    atomic_init(&pool->n_free, n);
}

enum ph_status phi_pool_create(size_t n, size_t n_bytes, struct phi_doorbell *bell,
                               struct phi_pool **ret_pool, struct ph_error *reterr)
{
    struct phi_pool *pool = phi_calloc(1, sizeof *pool);
    size_t stride = 0;

    if (pool && phi_add_size(n_bytes, PHI_ALIGN - 1, &stride)) {
        stride = stride / PHI_ALIGN * PHI_ALIGN;
        pool->slots = phi_calloc(n, sizeof *pool->slots);
        pool->payloads = n_bytes ? phi_calloc(n, stride) : NULL;
    }
    if (!pool || !pool->slots || (n_bytes && !pool->payloads)) {
        phi_pool_destroy(&pool);
        return phi_error_nomem(reterr, "a pool of frames", n_bytes);
    }
    pool->bell = bell;
    link_slots(pool, n, n_bytes, stride);
    *ret_pool = pool;
    return PH_OK;
}

void phi_pool_destroy(struct phi_pool **pool)
{
    if (!pool || !*pool)
        return;
    phi_free((*pool)->slots);
    phi_free((*pool)->payloads);
    phi_free(*pool);
    *pool = NULL;
}

struct ph_frame *phi_pool_take(struct phi_pool *pool)
{
    struct slot *slot;

    if (!pool->ready)
        pool->ready = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    slot = pool->ready;
    if (!slot)
        return NULL;
    pool->ready = slot->next;
    slot->next = NULL;
    atomic_fetch_sub_explicit(&pool->n_free, 1, memory_order_relaxed);
    atomic_store_explicit(&slot->refs, 1, memory_order_relaxed);
    return &slot->frame;
}

static struct slot *slot_of(struct ph_frame *frame)
{
    return (struct slot *)(void *)frame;
}

void phi_frame_ref(struct ph_frame *frame, int n)
{
    atomic_fetch_add_explicit(&slot_of(frame)->refs, n, memory_order_relaxed);
}

static void give_back(struct slot *slot)
{
    struct phi_pool *pool = slot->pool;
    struct slot *head = atomic_load_explicit(&pool->returned, memory_order_relaxed);

    atomic_fetch_add_explicit(&pool->n_free, 1, memory_order_relaxed);
    do
        slot->next = head;
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &head, slot,
                                                  memory_order_release, memory_order_relaxed));
    if (pool->bell)
        phi_doorbell_ring(pool->bell);
}

void phi_frame_unref(struct ph_frame *frame)
{
    struct slot *slot = slot_of(frame);

    if (atomic_fetch_sub_explicit(&slot->refs, 1, memory_order_acq_rel) == 1)
        give_back(slot);
}

int phi_frame_refs(const struct ph_frame *frame)
{
    const struct slot *slot = (const struct slot *)(const void *)frame;

    return atomic_load_explicit(&slot->refs, memory_order_acquire);
}

void phi_frame_stamp(struct ph_frame *frame, int64_t queued_ns)
{
    slot_of(frame)->queued_ns = queued_ns;
}

int64_t phi_frame_queued_ns(const struct ph_frame *frame)
{
    return ((const struct slot *)(const void *)frame)->queued_ns;
}

size_t phi_pool_n_free(const struct phi_pool *pool)
{
    return atomic_load_explicit(&pool->n_free, memory_order_relaxed);
}
