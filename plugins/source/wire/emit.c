/* SPDX-License-Identifier: MIT
 *
 * From what has arrived to frames. A run that was killed is first read again from its journal; then
 * what waited in its order goes on waiting here.
 */
#include "wire.h"

bool wire_queue_has_room(const struct wire *w)
{
    return w->queue_tail - w->queue_head < WIRE_QUEUE - 1;
}

void wire_queue_push(struct wire *w, const struct wire_entry *entry)
{
    w->queue[w->queue_tail++ % WIRE_QUEUE] = *entry;
}

void wire_advance(struct wire *w)
{
    struct wire_entry entry = {0};

    while (wire_queue_has_room(w) &&
           phi_wire_order_pop(&w->order, &entry.index, &entry.slot) == PH_OK) {
        entry.kind = entry.slot == PHI_WIRE_NO_TOKEN ? PHI_REPLAY_GAP : PHI_REPLAY_VOLUME;
        wire_queue_push(w, &entry);
    }
}

void wire_release_slot(struct wire *w, uint32_t slot)
{
    struct wire_slot *s = &w->slots[slot];

    if (!s->used || s->to_journal || s->to_emit)
        return;
    phi_wire_release(&s->frames);
    s->used = false;
}

static enum ph_status emit_slot(struct wire *w, struct ph_io *io, const struct wire_entry *entry)
{
    struct wire_slot *slot = &w->slots[entry->slot];
    struct ph_frame header = {.index = entry->index, .received_ns = slot->received_ns};
    struct phi_wire_image image = slot->image;
    struct ph_error err;
    enum ph_status status = PH_OK;

    header.acquired_s = source_acquired_s(&slot->message, entry->index, w->spec.geometry.tr_s);
    if (w->round_trip_ns && slot->message.sent_ns)
        header.sent_ns = slot->message.sent_ns + w->offset_ns;
    /* the decoder's buffer holds only the last image it unpacked */
    if (slot->message.encoding == PHI_WIRE_NIFTI_ZSTD)
        status = phi_wire_decode(w->decoder, &slot->message, zmq_msg_data(&slot->frames.payload),
                                 zmq_msg_size(&slot->frames.payload), &image, &err);
    if (!status && source_is_elsewhere(&image.info, &w->spec)) {
        header.flags |= (uint32_t)PH_FLAG_INVALID;
        source_tell_elsewhere(w->host, entry->index);
    }
    if (!status)
        status = source_emit_volume(io, &image.info, image.data, &header);
    if (status == PH_EOS)
        return status;
    slot->to_emit = false;
    wire_release_slot(w, entry->slot);
    return status;
}

static enum ph_status emit_entry(struct wire *w, struct ph_io *io)
{
    const struct wire_entry *entry = &w->queue[w->queue_head % WIRE_QUEUE];
    struct ph_frame gap = {.index = entry->index, .received_ns = wire_now(w)};
    enum ph_status status = PH_OK;

    gap.acquired_s = (double)entry->index * w->spec.geometry.tr_s;
    switch (entry->kind) {
    case PHI_REPLAY_VOLUME:
        status = emit_slot(w, io, entry);
        break;
    case PHI_REPLAY_GAP:
        status = source_emit_volume(io, NULL, NULL, &gap);
        break;
    case PHI_REPLAY_EVENT:
        status = source_emit_event(io, &entry->event);
        break;
    case PHI_REPLAY_END:
        w->ended_ns = wire_now(w);
        break;
    }
    if (status != PH_EOS)
        w->queue_head++;
    return status;
}

/* A recorded volume that waits for an earlier one gets a slot as if it had just come. */
static bool adopt(struct wire *w, uint32_t i, const struct phi_replay_held *held)
{
    struct wire_slot *slot = &w->slots[i];
    struct ph_error err;

    if (phi_wire_parse(held->meta, held->n_meta, &slot->message, &err))
        return false;
    (void)zmq_msg_init(&slot->frames.json);
    if (zmq_msg_init_size(&slot->frames.payload, held->n_payload) != 0)
        return false;
    memcpy(zmq_msg_data(&slot->frames.payload), held->payload, held->n_payload);
    slot->used = slot->to_emit = true;
    slot->received_ns = wire_now(w);
    return !phi_wire_decode(w->decoder, &slot->message, zmq_msg_data(&slot->frames.payload),
                            held->n_payload, &slot->image, &err);
}

/* The recording has been given out: go on live from its order. */
static enum ph_status end_recovery(struct wire *w)
{
    const struct phi_wire_order *order = phi_replay_order(w->replay);
    struct phi_replay_held held;
    bool whole = true;
    uint32_t n = 0;

    w->order = *order;
    for (size_t i = 0; i < order->n_held; i++) {
        if (order->held[i].token == PHI_WIRE_NO_TOKEN)
            continue;
        phi_replay_held(w->replay, order->held[i].token, &held);
        whole = whole && n < w->n_slots && adopt(w, n, &held);
        w->order.held[i].token = n++;
    }
    WIRE_LOG(w, PH_LOG_INFO, "wire.resumed", "run rebuilt from its journal up to volume %llu",
             (unsigned long long)phi_wire_session_next(w->session));
    phi_replay_close(&w->replay);
    if (phi_wire_session_ended(w->session)) {
        w->end_journalled = true;
        w->ended_ns = wire_now(w);
    }
    return whole ? PH_OK : PH_E_NOMEM;
}

static enum ph_status emit_recorded(struct wire *w, struct ph_io *io)
{
    struct phi_replay_item item;
    struct ph_error err;
    enum ph_status status = phi_replay_next(w->replay, &item, &err);

    if (status == PH_EOS)
        return end_recovery(w);
    if (status) {
        WIRE_LOG(w, PH_LOG_ERROR, "wire.journal", "%s", err.text);
        return status;
    }
    return source_emit_item(io, &item, &w->spec, w->host, wire_now(w), &w->n_events);
}

enum ph_status wire_emit(struct wire *w, struct ph_io *io)
{
    if (w->replay)
        return emit_recorded(w, io);
    wire_advance(w);
    return w->queue_head < w->queue_tail ? emit_entry(w, io) : PH_AGAIN;
}
