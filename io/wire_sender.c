/* SPDX-License-Identifier: MIT */
#include "io/wire_sender.h"

#include <string.h>

#include "base/mem.h"

#define MS      ((int64_t)1000000)
#define NOTHING UINT64_MAX

enum ph_status phi_wire_sender_init(struct phi_wire_sender *sender,
                                    const struct phi_wire_sender_config *config, int64_t now_ns)
{
    *sender = (struct phi_wire_sender){.config = *config, .resend = NOTHING, .heard_ns = now_ns};
    if (!sender->config.retry_ns)
        sender->config.retry_ns = 500 * MS;
    if (!sender->config.silence_ns)
        sender->config.silence_ns = 5000 * MS;
    if (!sender->config.ping_ns)
        sender->config.ping_ns = 1000 * MS;
    if (!sender->config.ack_ns)
        sender->config.ack_ns = 5000 * MS;
    sender->tried_ns = now_ns - sender->config.retry_ns; /* the first HELLO goes out at once */
    sender->pinged_ns = now_ns;
    sender->acked = phi_calloc(config->n_volumes, 1);
    return sender->acked ? PH_OK : PH_E_NOMEM;
}

void phi_wire_sender_fini(struct phi_wire_sender *sender)
{
    phi_free(sender->acked);
    sender->acked = NULL;
}

static void greet_again(struct phi_wire_sender *sender, int64_t now_ns)
{
    sender->state = PHI_WIRE_GREETING;
    sender->tried_ns = now_ns - sender->config.retry_ns;
    sender->n_under_way = 0;
    sender->resend = NOTHING;
}

static void skip_acked(struct phi_wire_sender *sender)
{
    while (sender->base < sender->config.n_volumes && sender->acked[sender->base])
        sender->base++;
    while (sender->next < sender->config.n_volumes && sender->acked[sender->next])
        sender->next++;
}

/* HELLO and END are said again until they are answered. */
static enum phi_wire_sender_step say(struct phi_wire_sender *sender, int64_t now_ns,
                                     enum phi_wire_sender_step step)
{
    if (now_ns - sender->tried_ns < sender->config.retry_ns)
        return PHI_WIRE_STEP_WAIT;
    sender->tried_ns = now_ns;
    return step;
}

static enum phi_wire_sender_step stream(struct phi_wire_sender *sender, uint64_t n_available,
                                        int64_t now_ns, uint64_t *ret_index)
{
    uint64_t index = sender->resend;

    if (sender->n_under_way >= sender->credit)
        return PHI_WIRE_STEP_WAIT;
    if (index == NOTHING) {
        skip_acked(sender);
        if (sender->next >= n_available || sender->next >= sender->config.n_volumes)
            return PHI_WIRE_STEP_WAIT;
        index = sender->next++;
    }
    sender->resend = NOTHING;
    if (sender->n_under_way == 0)
        sender->moved_ns = now_ns;
    sender->n_under_way++;
    if (index < sender->high)
        sender->n_resent++;
    else
        sender->high = index + 1;
    *ret_index = index;
    return PHI_WIRE_STEP_VOLUME;
}

enum phi_wire_sender_step phi_wire_sender_next(struct phi_wire_sender *sender, uint64_t n_available,
                                               int64_t now_ns, uint64_t *ret_index)
{
    enum phi_wire_sender_step step = PHI_WIRE_STEP_WAIT;

    if (sender->state == PHI_WIRE_DONE_STATE || sender->state == PHI_WIRE_REFUSED)
        return PHI_WIRE_STEP_WAIT;
    if (now_ns - sender->heard_ns > sender->config.silence_ns) {
        sender->heard_ns = now_ns;
        greet_again(sender, now_ns);
        return PHI_WIRE_STEP_RECONNECT;
    }
    /* The connection may have broken and healed between two messages, or the engine been restarted.
     */
    if (sender->state == PHI_WIRE_STREAMING && sender->n_under_way > 0 &&
        now_ns - sender->moved_ns > sender->config.ack_ns)
        greet_again(sender, now_ns);
    if (sender->state == PHI_WIRE_GREETING)
        return say(sender, now_ns, PHI_WIRE_STEP_HELLO);
    if (sender->state == PHI_WIRE_STREAMING)
        step = stream(sender, n_available, now_ns, ret_index);
    if (sender->state == PHI_WIRE_ENDING)
        step = say(sender, now_ns, PHI_WIRE_STEP_END);
    if (step == PHI_WIRE_STEP_WAIT && now_ns - sender->pinged_ns >= sender->config.ping_ns) {
        sender->pinged_ns = now_ns;
        step = PHI_WIRE_STEP_PING;
    }
    return step;
}

void phi_wire_sender_unsent(struct phi_wire_sender *sender, uint64_t index)
{
    sender->resend = index;
    if (sender->n_under_way > 0)
        sender->n_under_way--;
}

static void end_if_all(struct phi_wire_sender *sender, int64_t now_ns)
{
    skip_acked(sender);
    if (sender->base < sender->config.n_volumes || sender->state != PHI_WIRE_STREAMING)
        return;
    sender->state = PHI_WIRE_ENDING;
    sender->tried_ns = now_ns - sender->config.retry_ns;
}

/* Only what the engine says it has counts: it may have lost its journal, or know more than we do.
 */
static void welcomed(struct phi_wire_sender *sender, const struct phi_wire_message *welcome,
                     int64_t now_ns)
{
    uint64_t n = sender->config.n_volumes;
    uint64_t next = welcome->next < n ? welcome->next : n;

    if (sender->state != PHI_WIRE_GREETING)
        return;
    memset(sender->acked, 1, next);
    memset(sender->acked + next, 0, n - next);
    sender->state = PHI_WIRE_STREAMING;
    sender->base = sender->next = sender->n_acked = next;
    sender->credit = welcome->credit ? welcome->credit : 1;
    sender->n_under_way = 0;
    sender->n_greeted++;
    end_if_all(sender, now_ns);
}

static void acknowledged(struct phi_wire_sender *sender, const struct phi_wire_message *ack,
                         int64_t now_ns)
{
    if (sender->state != PHI_WIRE_STREAMING || ack->index >= sender->config.n_volumes ||
        sender->acked[ack->index])
        return;
    sender->acked[ack->index] = 1;
    sender->n_acked++;
    sender->moved_ns = now_ns;
    sender->credit = ack->credit ? ack->credit : 1;
    if (sender->n_under_way > 0)
        sender->n_under_way--;
    end_if_all(sender, now_ns);
}

static void refused(struct phi_wire_sender *sender, const struct phi_wire_message *error,
                    int64_t now_ns)
{
    sender->last_error = *error;
    if (strcmp(error->code, "hello") == 0 || strcmp(error->code, "missing") == 0 ||
        strcmp(error->code, "flow") == 0) {
        greet_again(sender, now_ns);
    } else if (strcmp(error->code, "crc") == 0 && error->has_index &&
               error->index < sender->config.n_volumes) {
        sender->resend = error->index;
        if (sender->n_under_way > 0)
            sender->n_under_way--;
    } else if (error->fatal || error->has_index) {
        sender->state = PHI_WIRE_REFUSED; /* the same volume would be refused again */
    }
}

void phi_wire_sender_heard(struct phi_wire_sender *sender, const struct phi_wire_message *message,
                           int64_t now_ns)
{
    int64_t round_trip;

    sender->heard_ns = now_ns;
    switch (message->type) {
    case PHI_WIRE_WELCOME:
        welcomed(sender, message, now_ns);
        break;
    case PHI_WIRE_ACK:
        acknowledged(sender, message, now_ns);
        break;
    case PHI_WIRE_ERROR:
        refused(sender, message, now_ns);
        break;
    case PHI_WIRE_DONE:
        sender->done = *message;
        if (sender->state == PHI_WIRE_ENDING)
            sender->state = PHI_WIRE_DONE_STATE;
        break;
    case PHI_WIRE_PONG:
        round_trip = now_ns - message->sent_ns;
        if (round_trip > 0 && (!sender->round_trip_ns || round_trip < sender->round_trip_ns)) {
            sender->round_trip_ns = round_trip;
            sender->offset_ns = message->now_ns - message->sent_ns - round_trip / 2;
        }
        break;
    default:
        break;
    }
}

int64_t phi_wire_sender_due_ns(const struct phi_wire_sender *sender)
{
    int64_t due = sender->heard_ns + sender->config.silence_ns + 1;
    int64_t other = sender->state == PHI_WIRE_STREAMING
                        ? sender->pinged_ns + sender->config.ping_ns
                        : sender->tried_ns + sender->config.retry_ns;

    return other < due ? other : due;
}
