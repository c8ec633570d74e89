/* SPDX-License-Identifier: MIT
 *
 * Messages in, answers out. Nothing a peer sends ends the stage: what cannot be used is answered
 * with an ERROR that names the reason.
 */
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "wire.h"

#define NS_PER_S 1e9
#define PING_NS  ((int64_t)5000000000)

/* Tokens of journal records: slots first, then answers, then those that need no news. */
#define TOKEN_ANSWER WIRE_MAX_SLOTS
#define TOKEN_END    (TOKEN_ANSWER + WIRE_ANSWERS)
#define TOKEN_NONE   (TOKEN_END + 1)

static void answer(void *socket, const struct phi_wire_peer *peer,
                   const struct phi_wire_message *message)
{
    /* A peer that is gone or does not read asks again; nothing is kept for it. */
    (void)!phi_wire_send(socket, peer, message, NULL, 0);
}

static bool same_peer(const struct phi_wire_peer *a, const struct phi_wire_peer *b)
{
    return a->n_id == b->n_id && memcmp(a->id, b->id, a->n_id) == 0;
}

/* Whether this connection has said HELLO to this process: after a restart or a broken connection it
 * has not, and must hear where to go on. */
static bool has_greeted(const struct wire *w, const struct phi_wire_peer *peer)
{
    for (uint64_t i = 0; i < w->n_greeted && i < WIRE_PEERS; i++)
        if (same_peer(&w->greeted[i], peer))
            return true;
    return false;
}

/* Submits a record; without a journal the token comes back at once. */
static enum ph_status journal(struct wire *w, uint16_t kind, uint64_t index,
                              const struct phi_wire_message *message, uint32_t token)
{
    const struct phi_wire_message *run = phi_wire_session_run(w->session);
    char json[PHI_JOURNAL_THREAD_META];
    struct phi_journal_record record = {.kind = kind, .index = index, .meta = json};
    struct timespec wall;
    size_t n_json = 0;

    if (message && phi_wire_format(message, json, sizeof json, &n_json))
        return PH_E_LIMIT;
    record.n_meta = (uint32_t)n_json;
    if (token < TOKEN_ANSWER) {
        record.payload = zmq_msg_data(&w->slots[token].frames.payload);
        record.n_payload = (uint32_t)zmq_msg_size(&w->slots[token].frames.payload);
    }
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    record.wall_ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
    record.monotonic_ns = wire_now(w);
    if (run) {
        memcpy(record.session, run->session, sizeof run->session);
        memcpy(record.run, run->run, sizeof run->run);
    }
    return phi_journal_thread_submit(w->journal, &record, token);
}

_Static_assert(PHI_WIRE_LABEL == PHI_JOURNAL_LABEL, "labels are copied as a whole");

static void finish_end(struct wire *w)
{
    struct wire_entry entry = {.kind = PHI_REPLAY_END};

    w->end_journalled = true;
    wire_queue_push(w, &entry); /* its place is kept free */
}

static void send_done(struct wire *w, const struct phi_wire_peer *peer)
{
    struct phi_wire_message done = phi_wire_session_done(w->session);
    struct ph_run_stats stats = {.struct_size = sizeof stats};

    w->host->run_stats(w->host->self, &stats);
    done.latency_ms[0] = (double)stats.latency_p50_ns / 1e6;
    done.latency_ms[1] = (double)stats.latency_p99_ns / 1e6;
    done.latency_ms[2] = (double)stats.latency_max_ns / 1e6;
    answer(w->volumes, peer, &done);
}

/* A record stands on the disk (or there is no journal). */
static void settled(struct wire *w, uint32_t token)
{
    struct phi_wire_message ack;

    if (token < TOKEN_ANSWER) {
        struct wire_slot *slot = &w->slots[token];

        if (!slot->is_conflict) {
            phi_wire_session_journalled(w->session, slot->message.index, w->journal != NULL, &ack);
            ack.now_ns = wire_now(w);
            answer(w->volumes, &slot->frames.peer, &ack);
        }
        slot->to_journal = false;
        wire_release_slot(w, token);
    } else if (token < TOKEN_END) {
        struct wire_answer *waiting = &w->answers[token - TOKEN_ANSWER];

        answer(waiting->socket, &waiting->peer, &waiting->message);
        waiting->used = false;
    } else if (token == TOKEN_END) {
        finish_end(w);
        send_done(w, &w->ending);
    }
}

/* Journals a record and settles it when it stands there. */
static void record(struct wire *w, uint16_t kind, uint64_t index,
                   const struct phi_wire_message *message, uint32_t token)
{
    if (!w->journal)
        settled(w, token);
    else if (journal(w, kind, index, message, token)) /* room was made sure of before */
        WIRE_LOG(w, PH_LOG_ERROR, "wire.journal", "a record of kind %u could not be queued", kind);
}

/* Journals a record and answers `message` afterwards. False if too many answers wait. */
static bool record_and_answer(struct wire *w, uint16_t kind, uint64_t index,
                              const struct phi_wire_message *content,
                              const struct wire_answer *later)
{
    uint32_t i = 0;

    while (i < WIRE_ANSWERS && w->answers[i].used)
        i++;
    if (i == WIRE_ANSWERS)
        return false;
    w->answers[i] = *later;
    w->answers[i].used = true;
    record(w, kind, index, content, TOKEN_ANSWER + i);
    return true;
}

static void on_hello(struct wire *w, const struct phi_wire_peer *peer,
                     const struct phi_wire_message *hello)
{
    struct phi_wire_message reply;
    struct ph_error err;
    bool is_new = false;
    enum ph_status status = phi_wire_session_hello(w->session, hello, &reply, &is_new);

    if (!status && (status = phi_wire_decoder_reserve(w->decoder, hello, &err)))
        reply = phi_wire_error("geometry", true, "%s", err.text);
    if (status) {
        WIRE_LOG(w, PH_LOG_WARNING, "wire.refused", "%s", reply.text);
        answer(w->volumes, peer, &reply);
        return;
    }
    if (!has_greeted(w, peer))
        w->greeted[w->n_greeted++ % WIRE_PEERS] = *peer;
    w->sender = *peer;
    w->pinged_ns = 0;
    w->round_trip_ns = 0;
    if (is_new)
        record(w, PHI_JOURNAL_HELLO, 0, hello, TOKEN_NONE);
    WIRE_LOG(w, PH_LOG_INFO, "wire.hello", "%s: session %s, run %s, goes on from volume %llu",
             hello->sender, hello->session, hello->run, (unsigned long long)reply.next);
    (void)phi_str_copy(reply.engine, sizeof reply.engine, "phosphene");
    reply.now_ns = wire_now(w);
    answer(w->volumes, peer, &reply);
}

static uint32_t free_slot(const struct wire *w)
{
    uint32_t i = 0;

    while (i < w->n_slots && w->slots[i].used)
        i++;
    return i;
}

/* Checks the payload. On refusal *ret_reply says why. */
static bool open_payload(struct wire *w, struct phi_wire_received *received,
                         const struct phi_wire_message *volume, struct phi_wire_image *ret_image,
                         struct phi_wire_message *ret_reply)
{
    struct ph_error err;

    if (!received->has_payload) {
        *ret_reply = phi_wire_error("image", false, "a VOLUME needs a payload frame");
    } else if (phi_wire_decode(w->decoder, volume, zmq_msg_data(&received->payload),
                               zmq_msg_size(&received->payload), ret_image, &err)) {
        *ret_reply = phi_wire_error(ret_image->code, false, "volume %llu: %s",
                                    (unsigned long long)volume->index, err.text);
        WIRE_LOG(w, PH_LOG_WARNING, "wire.volume", "volume %llu: %s",
                 (unsigned long long)volume->index, err.text);
    } else if (!phi_wire_fits_hello(&ret_image->info, phi_wire_session_run(w->session))) {
        *ret_reply =
            phi_wire_error("geometry", false, "volume %llu is not the image HELLO announced",
                           (unsigned long long)volume->index);
    } else {
        return true;
    }
    ret_reply->has_index = true;
    ret_reply->index = volume->index;
    return false;
}

/* The earliest start that any volume speaks for is the least delayed one. */
static void note_clock(struct wire *w, const struct phi_wire_message *volume, int64_t received_ns)
{
    double tr_s = phi_wire_session_run(w->session)->tr_s;
    double begun_s =
        (double)received_ns / NS_PER_S - source_acquired_s(volume, volume->index, tr_s) - tr_s;

    if (!(begun_s >= w->begun_s)) /* also true while it is NaN */
        w->begun_s = begun_s;
}

/* Moves a volume's frames into a free slot. There is one: else the socket is not read. */
static uint32_t fill_slot(struct wire *w, struct phi_wire_received *received,
                          const struct phi_wire_message *volume)
{
    uint32_t i = free_slot(w);
    struct wire_slot *slot = &w->slots[i];

    *slot = (struct wire_slot){
        .used = true, .to_journal = true, .message = *volume, .received_ns = w->heard_ns};
    slot->frames.peer = received->peer;
    (void)zmq_msg_init(&slot->frames.json);
    (void)zmq_msg_init(&slot->frames.payload);
    (void)zmq_msg_move(&slot->frames.payload, &received->payload);
    return i;
}

/* A good volume. */
static void take_volume(struct wire *w, struct phi_wire_received *received,
                        const struct phi_wire_message *volume, const struct phi_wire_image *image)
{
    const struct phi_wire_message *run = phi_wire_session_run(w->session);
    uint32_t i = fill_slot(w, received, volume);
    struct wire_slot *slot = &w->slots[i];

    slot->to_emit = true;
    slot->image = *image;
    if (w->spec.kind == PH_FRAME_NONE)
        source_spec(&image->info, run->tr_s, (uint32_t)run->n_volumes, &w->spec);
    note_clock(w, volume, slot->received_ns);
    phi_wire_session_took(w->session, volume);
    if (phi_wire_order_push(&w->order, volume->index, i)) {
        slot->to_emit = false;
        w->n_late++;
        WIRE_LOG(w, PH_LOG_WARNING, "wire.late",
                 "volume %llu came after it had been given up; it is recorded",
                 (unsigned long long)volume->index);
    }
    record(w, PHI_JOURNAL_VOLUME, volume->index, volume, i);
    wire_advance(w);
}

/* A second, different volume is kept in the journal as evidence. */
static void keep_conflict(struct wire *w, struct phi_wire_received *received,
                          const struct phi_wire_message *volume)
{
    uint32_t i;

    WIRE_LOG(w, PH_LOG_ERROR, "wire.conflict", "volume %llu came twice with different content",
             (unsigned long long)volume->index);
    if (!w->journal)
        return;
    i = fill_slot(w, received, volume);
    w->slots[i].is_conflict = true;
    record(w, PHI_JOURNAL_CONFLICT, volume->index, volume, i);
}

static void on_volume(struct wire *w, struct phi_wire_received *received,
                      const struct phi_wire_message *volume)
{
    struct phi_wire_message reply = phi_wire_message_of(PHI_WIRE_NONE);
    struct phi_wire_image image;

    switch (phi_wire_session_volume(w->session, volume, &reply)) {
    case PHI_WIRE_TAKE:
        if (open_payload(w, received, volume, &image, &reply)) {
            take_volume(w, received, volume, &image);
            return;
        }
        break;
    case PHI_WIRE_CONFLICT:
        keep_conflict(w, received, volume);
        break;
    case PHI_WIRE_ANSWER:
        break;
    case PHI_WIRE_QUIET:
        return;
    }
    reply.now_ns = wire_now(w);
    answer(w->volumes, &received->peer, &reply);
}

static void on_lost(struct wire *w, const struct phi_wire_peer *peer,
                    const struct phi_wire_message *lost)
{
    struct wire_answer later = {.socket = w->volumes, .peer = *peer};

    if (phi_wire_session_lost(w->session, lost, &later.message)) {
        answer(w->volumes, peer, &later.message);
        return;
    }
    (void)!phi_wire_order_push(&w->order, lost->index, PHI_WIRE_NO_TOKEN);
    (void)record_and_answer(w, PHI_JOURNAL_LOST, lost->index, lost, &later);
    wire_advance(w);
}

/* END waits until the last volume stands in the journal. */
static void try_end(struct wire *w)
{
    struct phi_wire_message reply;
    enum ph_status status;

    if (w->end.type == PHI_WIRE_NONE)
        return;
    status = phi_wire_session_end(w->session, &w->end, &reply);
    if (status == PH_AGAIN && reply.type == PHI_WIRE_NONE)
        return;
    if (status == PH_AGAIN)
        answer(w->volumes, &w->ending, &reply);
    else if (status == PH_OK)
        record(w, PHI_JOURNAL_END, 0, &w->end, TOKEN_END);
    else if (w->end_journalled)
        send_done(w, &w->ending);
    w->end.type = PHI_WIRE_NONE;
}

static void on_ping(struct wire *w, const struct phi_wire_peer *peer,
                    const struct phi_wire_message *ping)
{
    struct phi_wire_message pong = phi_wire_message_of(PHI_WIRE_PONG);

    pong.sent_ns = ping->sent_ns;
    pong.now_ns = wire_now(w);
    answer(w->volumes, peer, &pong);
}

static void on_pong(struct wire *w, const struct phi_wire_message *pong)
{
    int64_t round_trip = wire_now(w) - pong->sent_ns;

    if (round_trip <= 0 || (w->round_trip_ns && round_trip >= w->round_trip_ns))
        return;
    w->round_trip_ns = round_trip;
    w->offset_ns = pong->sent_ns + round_trip / 2 - pong->now_ns;
}

/* One message on the volumes socket. */
static void hear_volumes(struct wire *w, struct phi_wire_received *received)
{
    struct phi_wire_message m;
    struct phi_wire_message reply;
    struct ph_error err;
    const struct phi_wire_peer *peer = &received->peer;

    if (received->is_odd ||
        phi_wire_parse(zmq_msg_data(&received->json), zmq_msg_size(&received->json), &m, &err)) {
        reply = phi_wire_error(
            "format", false, "%s",
            received->is_odd ? "a message is one JSON frame and at most one payload" : err.text);
        answer(w->volumes, peer, &reply);
        return;
    }
    if (m.type == PHI_WIRE_HELLO) {
        on_hello(w, peer, &m);
        return;
    }
    if (!has_greeted(w, peer)) {
        reply = phi_wire_error("hello", false, "say HELLO first");
        answer(w->volumes, peer, &reply);
        return;
    }
    switch (m.type) {
    case PHI_WIRE_VOLUME:
        on_volume(w, received, &m);
        return;
    case PHI_WIRE_LOST:
        on_lost(w, peer, &m);
        return;
    case PHI_WIRE_END:
        w->end = m;
        w->ending = *peer;
        try_end(w);
        return;
    case PHI_WIRE_PING:
        on_ping(w, peer, &m);
        return;
    case PHI_WIRE_PONG:
        on_pong(w, &m);
        return;
    default:
        reply = phi_wire_error("type", false, "%s does not belong on the volumes socket",
                               phi_wire_type_name(m.type));
        answer(w->volumes, peer, &reply);
        return;
    }
}

/* The onset of an EVENT with "now"; false before the first volume tells the run's clock. */
static bool stamp_event(const struct wire *w, struct phi_wire_message *event)
{
    if (isfinite(event->onset_s))
        return true;
    if (isnan(w->begun_s))
        return false;
    event->onset_s = (double)wire_now(w) / NS_PER_S - w->begun_s;
    return true;
}

static void on_event(struct wire *w, const struct phi_wire_peer *peer,
                     struct phi_wire_message *event)
{
    struct wire_answer later = {
        .socket = w->control, .peer = *peer, .message = phi_wire_message_of(PHI_WIRE_OK)};
    struct wire_entry entry = {.kind = PHI_REPLAY_EVENT};
    bool known = event->has_id && phi_wire_session_knows_event(w->session, event->id);

    later.message.has_id = event->has_id;
    later.message.id = event->id;
    if (!phi_wire_session_run(w->session) || !stamp_event(w, event)) {
        later.message =
            phi_wire_error("early", false, "no run yet, or no volume that tells its clock");
        later.message.has_id = event->has_id;
        later.message.id = event->id;
        answer(w->control, peer, &later.message);
        return;
    }
    later.message.onset_s = event->onset_s;
    if (known) {
        answer(w->control, peer, &later.message);
        return;
    }
    /* room in the queue and for the answer was made sure of before the socket was read */
    if (!record_and_answer(w, PHI_JOURNAL_EVENT, 0, event, &later))
        return;
    if (event->has_id)
        phi_wire_session_note_event(w->session, event->id);
    entry.event = source_event_of(event, w->n_events++);
    wire_queue_push(w, &entry);
}

static void set_param(struct wire *w, const char *setting, struct phi_wire_message *ret_reply)
{
    char key[128];
    const char *equals = strchr(setting, '=');
    struct ph_error err;

    if (!equals || (size_t)(equals - setting) >= sizeof key) {
        *ret_reply = phi_wire_error("value", false, "set takes \"stage.key=value\"");
        return;
    }
    memcpy(key, setting, (size_t)(equals - setting));
    key[equals - setting] = '\0';
    if (w->host->set_param(w->host->self, key, equals + 1, &err))
        *ret_reply = phi_wire_error("value", false, "%s", err.text);
}

static void on_command(struct wire *w, const struct phi_wire_peer *peer,
                       const struct phi_wire_message *command)
{
    struct wire_answer later = {
        .socket = w->control, .peer = *peer, .message = phi_wire_message_of(PHI_WIRE_OK)};

    if (strcmp(command->name, "stop") == 0)
        w->host->request_stop(w->host->self);
    else if (strcmp(command->name, "set") == 0)
        set_param(w, command->text, &later.message);
    else if (strcmp(command->name, "mark") != 0) /* a mark is only recorded */
        later.message =
            phi_wire_error("command", false, "'%s' is none of stop, set, mark", command->name);
    later.message.has_id = command->has_id;
    later.message.id = command->id;
    if (later.message.type == PHI_WIRE_OK)
        (void)record_and_answer(w, PHI_JOURNAL_COMMAND, 0, command, &later);
    else
        answer(w->control, peer, &later.message);
}

static void on_ask(struct wire *w, const struct phi_wire_peer *peer,
                   const struct phi_wire_message *ask)
{
    static const char *const states[] = {"waiting", "running", "draining", "stopped"};
    struct ph_run_stats stats = {.struct_size = sizeof stats};
    struct phi_journal_thread_state disk = {0};
    struct phi_wire_message reply;
    char json[512];
    struct phi_str str = phi_str_over(json, sizeof json);

    if (strcmp(ask->name, "state") != 0 && strcmp(ask->name, "latency") != 0) {
        reply = phi_wire_error("ask", false,
                               "'%.40s' is none of state, latency; the feedback socket "
                               "publishes latents, images and quality",
                               ask->name);
        answer(w->control, peer, &reply);
        return;
    }
    w->host->run_stats(w->host->self, &stats);
    if (w->journal)
        phi_journal_thread_look(w->journal, &disk);
    phi_str_addf(&str,
                 "{\"p\":\"" PHI_WIRE_PROTOCOL "\",\"type\":\"STATE\",\"state\":\"%s\","
                 "\"next\":%llu,\"volumes\":%llu,\"missing\":%llu,\"censored\":%llu,"
                 "\"latency\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
                 "\"journal\":{\"bytes\":%llu,\"pending\":%llu,\"failing\":%s}}",
                 states[stats.state < 4 ? stats.state : 0],
                 (unsigned long long)phi_wire_session_next(w->session),
                 (unsigned long long)stats.n_volumes, (unsigned long long)stats.n_missing,
                 (unsigned long long)stats.n_censored, (double)stats.latency_p50_ns / 1e6,
                 (double)stats.latency_p99_ns / 1e6, (double)stats.latency_max_ns / 1e6,
                 (unsigned long long)disk.n_bytes, (unsigned long long)disk.n_pending,
                 disk.failing_errno ? "true" : "false");
    (void)!phi_wire_send_json(w->control, peer, str.text, str.length);
}

static void hear_control(struct wire *w, struct phi_wire_received *received)
{
    struct phi_wire_message m;
    struct phi_wire_message reply;
    struct ph_error err;

    if (received->is_odd ||
        phi_wire_parse(zmq_msg_data(&received->json), zmq_msg_size(&received->json), &m, &err)) {
        reply = phi_wire_error("format", false, "%s",
                               received->is_odd ? "a message is one JSON frame" : err.text);
        answer(w->control, &received->peer, &reply);
    } else if (m.type == PHI_WIRE_EVENT) {
        on_event(w, &received->peer, &m);
    } else if (m.type == PHI_WIRE_COMMAND) {
        on_command(w, &received->peer, &m);
    } else if (m.type == PHI_WIRE_ASK) {
        on_ask(w, &received->peer, &m);
    } else {
        reply = phi_wire_error("type", false, "%s does not belong on the control socket",
                               phi_wire_type_name(m.type));
        answer(w->control, &received->peer, &reply);
    }
}

static bool can_take_volumes(const struct wire *w)
{
    return free_slot(w) < w->n_slots;
}

static bool can_take_control(const struct wire *w)
{
    uint32_t i = 0;

    while (i < WIRE_ANSWERS && w->answers[i].used)
        i++;
    return i < WIRE_ANSWERS && wire_queue_has_room(w);
}

static void hear(struct wire *w)
{
    struct phi_wire_received received;

    /* control first: an event that was sent before a volume is not overtaken by it */
    while (can_take_control(w) && phi_wire_receive(w->control, true, &received) == PH_OK) {
        hear_control(w, &received);
        phi_wire_release(&received);
    }
    /* one volume at a time: it goes on its way before the next one's checksum is looked at */
    while (can_take_volumes(w) && phi_wire_receive(w->volumes, true, &received) == PH_OK) {
        uint64_t queued = w->queue_tail;

        w->heard_ns = wire_now(w);
        hear_volumes(w, &received);
        phi_wire_release(&received);
        if (w->queue_tail != queued)
            break;
    }
}

static void tell_disk(struct wire *w)
{
    struct phi_journal_thread_state disk;

    phi_journal_thread_look(w->journal, &disk);
    if (disk.failing_errno == w->disk_errno)
        return;
    w->disk_errno = disk.failing_errno;
    if (disk.failing_errno)
        WIRE_LOG(
            w, PH_LOG_ERROR, "journal.disk",
            "the journal cannot be written: %s; volumes are kept in memory, the scanner side is "
            "held; make room on the disk",
            strerror(disk.failing_errno));
    else
        WIRE_LOG(w, PH_LOG_INFO, "journal.disk", "the journal can be written again");
}

/* Volumes that wait for an earlier one wait so long and no longer. */
static void check_gap(struct wire *w, int64_t now)
{
    const struct phi_wire_message *run = phi_wire_session_run(w->session);
    uint64_t least;
    double timeout_s;

    if (!run || !phi_wire_order_waits(&w->order, &least)) {
        w->waiting_since_ns = 0;
        return;
    }
    if (w->waiting_since_ns == 0 || w->waiting_for != w->order.next) {
        w->waiting_since_ns = now;
        w->waiting_for = w->order.next;
    }
    timeout_s = w->params->gap_timeout_tr * run->tr_s;
    if ((double)(now - w->waiting_since_ns) < timeout_s * NS_PER_S)
        return;
    WIRE_LOG(w, PH_LOG_WARNING, "wire.gap", "volumes %llu to %llu are missing",
             (unsigned long long)w->order.next, (unsigned long long)(least - 1));
    record(w, PHI_JOURNAL_GAP, least, NULL, TOKEN_NONE);
    phi_wire_order_give_up(&w->order, least);
    wire_advance(w);
}

static void ping_sender(struct wire *w, int64_t now)
{
    struct phi_wire_message ping = phi_wire_message_of(PHI_WIRE_PING);

    if (w->sender.n_id == 0 || (w->pinged_ns && now - w->pinged_ns < PING_NS))
        return;
    w->pinged_ns = now;
    ping.sent_ns = now;
    answer(w->volumes, &w->sender, &ping);
}

enum ph_status wire_serve(struct wire *w)
{
    zmq_pollitem_t items[4] = {
        {NULL, w->bell.fd, ZMQ_POLLIN, 0},
        {w->volumes, 0, can_take_volumes(w) ? ZMQ_POLLIN : 0, 0},
        {w->control, 0, can_take_control(w) ? ZMQ_POLLIN : 0, 0},
        {NULL, w->journal ? phi_journal_thread_fd(w->journal) : -1, ZMQ_POLLIN, 0},
    };
    uint32_t token;

    (void)zmq_poll(items, w->journal ? 4 : 3,
                   100); /* time limits are looked at ten times a second */
    while (w->journal && phi_journal_thread_done(w->journal, &token) == PH_OK)
        settled(w, token);
    hear(w);
    try_end(w);
    check_gap(w, wire_now(w));
    ping_sender(w, wire_now(w));
    if (w->journal)
        tell_disk(w);
    return source_bell_clear(&w->bell) ? PH_AGAIN : PH_OK;
}
