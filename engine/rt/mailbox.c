/* SPDX-License-Identifier: MIT */
#include "rt/mailbox.h"

#include <stdatomic.h>

#include "base/error.h"
#include "base/mem.h"

#define FRESH 4u /* set in `middle` while the reader has not fetched it */

/* Writer, reader and the middle hold one of the blocks 0, 1, 2 each, always all different. */
struct phi_mailbox {
    _Alignas(PHI_ALIGN) _Atomic unsigned middle;
    _Alignas(PHI_ALIGN) unsigned back;  /* writer's */
    _Alignas(PHI_ALIGN) unsigned front; /* reader's */
    bool ever;                          /* reader's: something was fetched */
    size_t stride;
    unsigned char *blocks; /* [3][stride] */
};

enum ph_status phi_mailbox_create(size_t n_bytes, struct phi_mailbox **ret_mailbox,
                                  struct ph_error *reterr)
{
    struct phi_mailbox *mailbox = phi_calloc(1, sizeof *mailbox);
    size_t stride;

    if (!mailbox || !phi_add_size(n_bytes, PHI_ALIGN - 1, &stride)) {
        phi_free(mailbox);
        return phi_error_nomem(reterr, "a mailbox", n_bytes);
    }
    stride = stride / PHI_ALIGN * PHI_ALIGN;
    mailbox->stride = stride;
    mailbox->blocks = phi_calloc(3, stride);
    if (!mailbox->blocks) {
        phi_free(mailbox);
        return phi_error_nomem(reterr, "a mailbox", n_bytes);
    }
    mailbox->back = 0;
    mailbox->front = 2;
    atomic_init(&mailbox->middle, 1u);
    *ret_mailbox = mailbox;
    return PH_OK;
}

void phi_mailbox_destroy(struct phi_mailbox **mailbox)
{
    if (!mailbox || !*mailbox)
        return;
    phi_free((*mailbox)->blocks);
    phi_free(*mailbox);
    *mailbox = NULL;
}

void *phi_mailbox_back(struct phi_mailbox *mailbox)
{
    return mailbox->blocks + mailbox->back * mailbox->stride;
}

void phi_mailbox_publish(struct phi_mailbox *mailbox)
{
    unsigned old =
        atomic_exchange_explicit(&mailbox->middle, mailbox->back | FRESH, memory_order_acq_rel);

    mailbox->back = old & ~FRESH;
}

bool phi_mailbox_newest(struct phi_mailbox *mailbox, const void **ret_block)
{
    bool fresh = (atomic_load_explicit(&mailbox->middle, memory_order_relaxed) & FRESH) != 0;

    if (fresh) {
        unsigned old =
            atomic_exchange_explicit(&mailbox->middle, mailbox->front, memory_order_acq_rel);

        mailbox->front = old & ~FRESH;
        mailbox->ever = true;
    }
    *ret_block = mailbox->ever ? mailbox->blocks + mailbox->front * mailbox->stride : NULL;
    return fresh;
}
