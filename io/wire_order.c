/* SPDX-License-Identifier: MIT */
#include "io/wire_order.h"

static size_t find(const struct phi_wire_order *order, uint64_t index)
{
    size_t i = 0;

    while (i < order->n_held && order->held[i].index != index)
        i++;
    return i;
}

enum ph_status phi_wire_order_push(struct phi_wire_order *order, uint64_t index, uint32_t token)
{
    if (index < order->next || find(order, index) < order->n_held)
        return PH_SKIP;
    if (order->n_held == PHI_WIRE_ORDER_MAX)
        return PH_E_LIMIT;
    order->held[order->n_held].index = index;
    order->held[order->n_held++].token = token;
    return PH_OK;
}

void phi_wire_order_give_up(struct phi_wire_order *order, uint64_t index)
{
    if (index > order->gap_to)
        order->gap_to = index;
}

enum ph_status phi_wire_order_pop(struct phi_wire_order *order, uint64_t *ret_index,
                                  uint32_t *ret_token)
{
    size_t i = find(order, order->next);

    if (i == order->n_held && order->next >= order->gap_to)
        return PH_AGAIN;
    *ret_index = order->next++;
    *ret_token = PHI_WIRE_NO_TOKEN;
    if (i < order->n_held) {
        *ret_token = order->held[i].token;
        order->held[i] = order->held[--order->n_held];
    }
    return PH_OK;
}

bool phi_wire_order_waits(const struct phi_wire_order *order, uint64_t *ret_least)
{
    if (order->n_held == 0)
        return false;
    *ret_least = order->held[0].index;
    for (size_t i = 1; i < order->n_held; i++)
        if (order->held[i].index < *ret_least)
            *ret_least = order->held[i].index;
    return true;
}
