/* SPDX-License-Identifier: MIT
 *
 * Frames made once and used again, with reference counts. One thread takes frames from a pool; any
 * thread gives references back. When the last one of a frame is gone the frame is free again and
 * the taker's doorbell rings. Nothing allocates after create.
 */
#ifndef PHI_RT_POOL_H
#define PHI_RT_POOL_H

#include <stddef.h>

#include "phosphene/frame.h"
#include "phosphene/status.h"
#include "rt/doorbell.h"

struct phi_pool;

/* `n` frames with payloads of `n_bytes` bytes (0: none). `bell` (may be NULL) rings when a frame
 * becomes free; it must outlive the pool. Owned by the caller. */
PH_NODISCARD enum ph_status phi_pool_create(size_t n, size_t n_bytes, struct phi_doorbell *bell,
                                            struct phi_pool **ret_pool, struct ph_error *reterr);

/* Frees; accepts NULL and *pool == NULL, clears *pool. No reference may be left in use. */
void phi_pool_destroy(struct phi_pool **pool);

/* Taker: a frame with one reference, or NULL if all are in use. Header fields are as they were
 * left, except data and capacity_bytes. */
struct ph_frame *phi_pool_take(struct phi_pool *pool);

/* Any thread holding a reference: `n` more. */
void phi_frame_ref(struct ph_frame *frame, int n);

/* Any thread: gives one reference back; the frame may not be touched afterwards. */
void phi_frame_unref(struct ph_frame *frame);

/* How many references there are; exact only for the holder of the sole one. */
int phi_frame_refs(const struct ph_frame *frame);

/* Sole holder: notes when the frame was queued for its consumers; they read it. */
void phi_frame_stamp(struct ph_frame *frame, int64_t queued_ns);
int64_t phi_frame_queued_ns(const struct ph_frame *frame);

/* Any thread: how many frames are free. */
size_t phi_pool_n_free(const struct phi_pool *pool);

#endif
