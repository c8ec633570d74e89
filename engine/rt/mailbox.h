/* SPDX-License-Identifier: MIT
 *
 * Latest-wins exchange of a block of fixed size between one writer and one reader thread: a triple
 * buffer. The writer never waits, the reader always gets the newest whole block.
 */
#ifndef PHI_RT_MAILBOX_H
#define PHI_RT_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "phosphene/status.h"

struct phi_mailbox;

/* A mailbox for blocks of `n_bytes` bytes, owned by the caller. Blocks are 64-byte aligned. */
PH_NODISCARD enum ph_status phi_mailbox_create(size_t n_bytes, struct phi_mailbox **ret_mailbox,
                                               struct ph_error *reterr);

/* Frees; accepts NULL and *mailbox == NULL, clears *mailbox. */
void phi_mailbox_destroy(struct phi_mailbox **mailbox);

/* Writer: the block to fill next; holds what was written there some time before. */
void *phi_mailbox_back(struct phi_mailbox *mailbox);

/* Writer: makes the filled block the newest one. phi_mailbox_back gives another one afterwards. */
void phi_mailbox_publish(struct phi_mailbox *mailbox);

/* Reader: the newest block in *ret_block, valid until the next call; NULL if nothing was ever
 * published. True if it is newer than what the last call gave. */
bool phi_mailbox_newest(struct phi_mailbox *mailbox, const void **ret_block);

#endif
