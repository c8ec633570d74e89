/* SPDX-License-Identifier: MIT
 *
 * A volume that comes in its place is handed on from the reader's buffer; one that has to wait for
 * an earlier one is copied, which happens only when volumes arrived out of order.
 */
#include "io/replay.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct copy {
    unsigned char *bytes; /* meta, then payload; NULL when free */
    size_t n_meta, n_payload;
    uint64_t index;
    int64_t recorded_ns;
};

struct phi_replay {
    struct phi_journal_reader *reader;
    struct phi_wire_decoder *decoder;
    struct phi_wire_session *session;
    struct phi_wire_message hello;
    struct phi_wire_order order;
    struct copy copies[PHI_WIRE_ORDER_MAX];
    struct phi_journal_record current; /* the volume record in the reader's buffer */
    uint32_t current_token;            /* its token; PHI_WIRE_NO_TOKEN if it is not to be used */
    unsigned char *given;              /* copy given out last, freed at the next call */
    uint64_t n_unread;
    uint64_t n_lost; /* of the reader's report, as seen last */
    bool has_hole;   /* records were lost since the last volume */
    bool ended;
};

#define TOKEN_CURRENT PHI_WIRE_ORDER_MAX

enum ph_status phi_replay_open(const char *dir, size_t max_bytes, struct phi_wire_session *session,
                               struct phi_replay **ret_replay, struct ph_error *reterr)
{
    struct phi_replay *replay = phi_calloc(1, sizeof *replay);
    enum ph_status status;

    if (!replay)
        return phi_error_nomem(reterr, "a replay", sizeof *replay);
    replay->session = session;
    replay->current_token = PHI_WIRE_NO_TOKEN;
    status = phi_journal_reader_open(dir, &replay->reader, reterr);
    if (!status)
        status = phi_wire_decoder_create(max_bytes, &replay->decoder, reterr);
    if (status) {
        phi_replay_close(&replay);
        return status;
    }
    *ret_replay = replay;
    return PH_OK;
}

/* The current record must leave the reader's buffer: its volume waits. */
static enum ph_status keep_current(struct phi_replay *replay, struct ph_error *reterr)
{
    const struct phi_journal_record *record = &replay->current;
    uint32_t token = 0;
    struct copy *copy;

    while (token < PHI_WIRE_ORDER_MAX && replay->copies[token].bytes)
        token++;
    copy = &replay->copies[token];
    copy->bytes = phi_calloc((size_t)record->n_meta + record->n_payload, 1);
    if (!copy->bytes)
        return phi_error_nomem(reterr, "a volume", record->n_payload);
    memcpy(copy->bytes, record->meta, record->n_meta);
    memcpy(copy->bytes + record->n_meta, record->payload, record->n_payload);
    copy->n_meta = record->n_meta;
    copy->n_payload = record->n_payload;
    copy->index = record->index;
    copy->recorded_ns = record->monotonic_ns;
    for (size_t i = 0; i < replay->order.n_held; i++)
        if (replay->order.held[i].token == TOKEN_CURRENT)
            replay->order.held[i].token = token;
    replay->current_token = PHI_WIRE_NO_TOKEN;
    return PH_OK;
}

/* One entry from the order: a volume whose place has come, or a missing one. */
static enum ph_status give_volume(struct phi_replay *replay, struct phi_replay_item *item,
                                  struct ph_error *reterr)
{
    const unsigned char *meta = replay->current.meta;
    const unsigned char *payload = replay->current.payload;
    size_t n_meta = replay->current.n_meta;
    size_t n_payload = replay->current.n_payload;
    uint32_t token;
    enum ph_status status = phi_wire_order_pop(&replay->order, &item->index, &token);

    if (status)
        return status;
    item->kind = PHI_REPLAY_GAP;
    item->message = phi_wire_message_of(PHI_WIRE_LOST);
    item->recorded_ns = replay->current.monotonic_ns;
    if (token == PHI_WIRE_NO_TOKEN)
        return PH_OK;
    if (token == TOKEN_CURRENT) {
        replay->current_token = PHI_WIRE_NO_TOKEN;
    } else {
        struct copy *copy = &replay->copies[token];

        meta = copy->bytes;
        payload = copy->bytes + copy->n_meta;
        n_meta = copy->n_meta;
        n_payload = copy->n_payload;
        item->recorded_ns = copy->recorded_ns;
        replay->given = copy->bytes;
        copy->bytes = NULL;
    }
    item->kind = PHI_REPLAY_VOLUME;
    status = phi_wire_parse(meta, n_meta, &item->message, reterr);
    if (status)
        return status;
    return phi_wire_decode(replay->decoder, &item->message, payload, n_payload, &item->image,
                           reterr);
}

/* What a record does to the order. PH_OK with an event or the end in *item, PH_SKIP otherwise. */
static enum ph_status apply(struct phi_replay *replay, struct phi_replay_item *item)
{
    const struct phi_journal_record *record = &replay->current;

    switch (record->kind) {
    case PHI_JOURNAL_HELLO:
        replay->hello = item->message;
        return PH_SKIP;
    case PHI_JOURNAL_VOLUME:
        /* Where records are lost, the volumes before this one may never come. */
        if (replay->has_hole)
            phi_wire_order_give_up(&replay->order, record->index);
        replay->has_hole = false;
        if (phi_wire_order_push(&replay->order, record->index, TOKEN_CURRENT) == PH_OK)
            replay->current_token = TOKEN_CURRENT;
        return PH_SKIP;
    case PHI_JOURNAL_LOST:
        /* a place that was given out already stays as it was */
        (void)!phi_wire_order_push(&replay->order, record->index, PHI_WIRE_NO_TOKEN);
        return PH_SKIP;
    case PHI_JOURNAL_GAP:
        phi_wire_order_give_up(&replay->order, record->index);
        return PH_SKIP;
    case PHI_JOURNAL_EVENT:
        item->kind = PHI_REPLAY_EVENT;
        return PH_OK;
    case PHI_JOURNAL_END:
        replay->ended = true;
        item->kind = PHI_REPLAY_END;
        return PH_OK;
    default:
        return PH_SKIP;
    }
}

static bool has_message(uint16_t kind)
{
    return kind == PHI_JOURNAL_HELLO || kind == PHI_JOURNAL_VOLUME || kind == PHI_JOURNAL_EVENT ||
           kind == PHI_JOURNAL_LOST || kind == PHI_JOURNAL_END;
}

/* Whether the record is of use: its message can be read, names the record's index, and fits. */
static bool is_of_use(struct phi_replay *replay, struct phi_replay_item *item)
{
    const struct phi_journal_record *record = &replay->current;
    struct ph_error ignored;

    if (!has_message(record->kind))
        return true;
    if (phi_wire_parse(record->meta, record->n_meta, &item->message, &ignored) ||
        (record->kind == PHI_JOURNAL_VOLUME && item->message.index != record->index))
        return false;
    return !replay->session || !phi_wire_session_restore(replay->session, &item->message);
}

static void note_holes(struct phi_replay *replay)
{
    uint64_t n_lost = phi_journal_reader_report(replay->reader)->n_lost;

    replay->has_hole |= n_lost > replay->n_lost;
    replay->n_lost = n_lost;
}

enum ph_status phi_replay_next(struct phi_replay *replay, struct phi_replay_item *ret_item,
                               struct ph_error *reterr)
{
    enum ph_status status;

    phi_free(replay->given);
    replay->given = NULL;
    for (;;) {
        status = give_volume(replay, ret_item, reterr);
        if (status != PH_AGAIN)
            return status;
        if (replay->current_token != PHI_WIRE_NO_TOKEN && (status = keep_current(replay, reterr)))
            return status;
        status = phi_journal_reader_next(replay->reader, &replay->current, reterr);
        if (status)
            return status;
        note_holes(replay);
        if (!is_of_use(replay, ret_item)) {
            replay->n_unread++;
            continue;
        }
        ret_item->index = replay->current.index;
        ret_item->recorded_ns = replay->current.monotonic_ns;
        if (replay->current.kind == PHI_JOURNAL_HELLO &&
            (status = phi_wire_decoder_reserve(replay->decoder, &ret_item->message, reterr)))
            return status;
        if (apply(replay, ret_item) == PH_OK)
            return PH_OK;
    }
}

const struct phi_wire_message *phi_replay_run(const struct phi_replay *replay)
{
    return replay->hello.type == PHI_WIRE_NONE ? NULL : &replay->hello;
}

const struct phi_wire_order *phi_replay_order(const struct phi_replay *replay)
{
    return &replay->order;
}

void phi_replay_held(const struct phi_replay *replay, uint32_t token,
                     struct phi_replay_held *ret_held)
{
    const struct copy *copy = &replay->copies[token];

    *ret_held = (struct phi_replay_held){.index = copy->index,
                                         .meta = copy->bytes,
                                         .n_meta = copy->n_meta,
                                         .payload = copy->bytes + copy->n_meta,
                                         .n_payload = copy->n_payload};
}

const struct phi_journal_report *phi_replay_report(const struct phi_replay *replay)
{
    return phi_journal_reader_report(replay->reader);
}

uint64_t phi_replay_n_unread(const struct phi_replay *replay)
{
    return replay->n_unread;
}

void phi_replay_close(struct phi_replay **replay)
{
    if (!replay || !*replay)
        return;
    for (size_t i = 0; i < PHI_WIRE_ORDER_MAX; i++)
        phi_free((*replay)->copies[i].bytes);
    phi_free((*replay)->given);
    phi_wire_decoder_destroy(&(*replay)->decoder);
    phi_journal_reader_close(&(*replay)->reader);
    phi_free(*replay);
    *replay = NULL;
}
