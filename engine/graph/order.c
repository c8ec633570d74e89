/* SPDX-License-Identifier: MIT */
#include "graph/order.h"

#include <string.h>

void phi_order_init(struct phi_order *order, uint64_t max_gap)
{
    *order = (struct phi_order){.max_gap = max_gap};
}

static void count_missing(struct phi_order *order)
{
    order->n_missing++;
    order->run_of_gaps++;
    if (order->run_of_gaps > order->max_gap)
        order->broken = true;
}

bool phi_order_gap(struct phi_order *order, const struct ph_frame *frame, uint64_t *ret_index)
{
    if (frame->kind != PH_FRAME_VOLUME || frame->index <= order->next || order->broken)
        return false;
    *ret_index = order->next++;
    count_missing(order);
    return !order->broken;
}

bool phi_order_accept(struct phi_order *order, struct ph_frame *frame)
{
    if (frame->kind != PH_FRAME_VOLUME) {
        frame->index = order->next;
        return true;
    }
    if (frame->index < order->next) {
        order->n_late++;
        return false;
    }
    if (order->broken)
        return false;
    order->next = frame->index + 1;
    if (frame->flags & PH_FLAG_GAP) {
        count_missing(order);
    } else {
        order->run_of_gaps = 0;
        order->n_volumes++;
    }
    return true;
}

void phi_order_fill_gap(struct ph_frame *frame, uint64_t index, const struct ph_spec *spec)
{
    if (frame->data)
        memset(frame->data, 0, frame->capacity_bytes);
    frame->index = index;
    frame->flags = PH_FLAG_GAP;
    frame->acquired_s = (double)index * spec->geometry.tr_s;
}
