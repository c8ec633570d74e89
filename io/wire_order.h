/* SPDX-License-Identifier: MIT
 *
 * Puts volumes that may arrive in any order into the one order the stages see: ascending indices,
 * one entry each, with an entry for every volume that is missing. The outcome follows from the
 * sequence of calls alone, so that a replay of the journal, which makes the same calls, gives the
 * same stream. No allocation, no clock; one order belongs to one thread.
 */
#ifndef PHI_IO_WIRE_ORDER_H
#define PHI_IO_WIRE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

#define PHI_WIRE_ORDER_MAX 64
#define PHI_WIRE_NO_TOKEN  UINT32_MAX

/* Volumes that wait for an earlier one. All zero is the start of a run. */
struct phi_wire_order {
    uint64_t next;   /* the index that is given out next */
    uint64_t gap_to; /* indices below this are given out as missing when they are not there */
    size_t n_held;
    struct {
        uint64_t index;
        uint32_t token; /* PHI_WIRE_NO_TOKEN: known never to come */
    } held[PHI_WIRE_ORDER_MAX];
};

/* Takes in volume `index`; `token` is the caller's handle on it. PH_SKIP if its place has been
 * given out already (too late) or is taken, PH_E_LIMIT if PHI_WIRE_ORDER_MAX are waiting. */
PH_NODISCARD enum ph_status phi_wire_order_push(struct phi_wire_order *order, uint64_t index,
                                                uint32_t token);

/* Gives up waiting for all volumes below `index`. */
void phi_wire_order_give_up(struct phi_wire_order *order, uint64_t index);

/* The next volume in order: *ret_token is PHI_WIRE_NO_TOKEN if it is missing. PH_AGAIN if it has to
 * be waited for. */
PH_NODISCARD enum ph_status phi_wire_order_pop(struct phi_wire_order *order, uint64_t *ret_index,
                                               uint32_t *ret_token);

/* Whether volumes wait for an earlier one, and the least index among them. */
bool phi_wire_order_waits(const struct phi_wire_order *order, uint64_t *ret_least);

#endif
