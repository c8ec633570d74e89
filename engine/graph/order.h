/* SPDX-License-Identifier: MIT
 *
 * The order of volumes behind a source: which are missing, which come too late, and the numbers of
 * events. One object belongs to the source's thread.
 */
#ifndef PHI_GRAPH_ORDER_H
#define PHI_GRAPH_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "phosphene/plugin.h"

struct phi_order {
    uint64_t next; /* index of the next volume */
    uint64_t max_gap;
    uint64_t run_of_gaps; /* missing in a row so far */
    uint64_t n_volumes;
    uint64_t n_missing;
    uint64_t n_late;
    bool broken; /* more than max_gap volumes are missing in a row */
};

/* Starts before volume 0. */
void phi_order_init(struct phi_order *order, uint64_t max_gap);

/* True if a volume is missing before the volume `frame`: *ret_index is its index and it counts as
 * missed. False for events, for the volume that is due, and once `broken` is set. */
bool phi_order_gap(struct phi_order *order, const struct ph_frame *frame, uint64_t *ret_index);

/* Takes a frame in. False for a volume whose place has passed: it is dropped and counted as late.
 * Sets an event's index to the next volume's. */
bool phi_order_accept(struct phi_order *order, struct ph_frame *frame);

/* Makes `frame` the stand-in of missing volume `index`: zero payload, PH_FLAG_GAP, planned time. */
void phi_order_fill_gap(struct ph_frame *frame, uint64_t index, const struct ph_spec *spec);

#endif
