/* SPDX-License-Identifier: MIT */
#include "bench/sender.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/wire_sender.h"
#include "io/wire_socket.h"
#include "rt/clock.h"

#define N_STIMULI   20
#define SHOWN_S     2.0
#define MAX_WAIT_S  0.2
#define PATIENCE_NS (120 * PHI_NS_PER_S)

struct bench_sender {
    const struct bench_setup *setup;
    double rate; /* volumes a second; 0: flat out */
    void *context, *volumes, *control;
    struct phi_wire_sender machine;
    struct phi_wire_message hello;
    int64_t begun_ns; /* the pace's beginning: the first acknowledgement; 0 before */
    int64_t *sent_ns, *acked_ns;
    struct bench_sent seen;
    pthread_t thread;
    bool has_thread;
    atomic_bool over; /* the engine has ended */
};

static void note_problem(struct bench_sender *s, const char *text)
{
    if (!s->seen.problem[0])
        (void)phi_str_copy(s->seen.problem, sizeof s->seen.problem, text);
}

static enum ph_status open_socket(struct bench_sender *s, const char *name, void **ret_socket,
                                  struct ph_error *reterr)
{
    char endpoint[PATH_MAX + 32];
    struct phi_wire_socket_config config = {
        .type = ZMQ_DEALER, .endpoint = endpoint, .linger_ms = 100};

    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", s->setup->dir, name);
    return phi_wire_socket_open(s->context, &config, ret_socket, reterr);
}

static struct phi_wire_message hello_of(const struct bench_setup *setup, uint64_t n_volumes)
{
    struct phi_wire_message hello = phi_wire_message_of(PHI_WIRE_HELLO);

    (void)phi_str_copy(hello.session, sizeof hello.session, "1");
    (void)phi_str_copy(hello.run, sizeof hello.run, "1");
    (void)phi_str_copy(hello.sender, sizeof hello.sender, "phos bench");
    (void)phi_str_copy(hello.datatype, sizeof hello.datatype,
                       phi_nifti_type_name((int)setup->info.type));
    memcpy(hello.dims, setup->shape.dims, sizeof hello.dims);
    hello.tr_s = setup->shape.tr_s;
    hello.n_volumes = n_volumes;
    return hello;
}

/* The engine plans the run when it has seen the first volume, which takes as long as reading the
 * models does; the pace begins when that is over. */
static uint64_t n_available(const struct bench_sender *s, int64_t now_ns)
{
    uint64_t n = s->machine.config.n_volumes;
    double due;

    if (s->begun_ns == 0)
        return 1;
    due = s->rate > 0 ? 2 + floor((double)(now_ns - s->begun_ns) / 1e9 * s->rate) : (double)n;
    return due < (double)n ? (uint64_t)due : n;
}

/* Stimuli whose onset lies in the time of volume `index`; sent before it, so the engine has them
 * first. */
static void announce(struct bench_sender *s, uint64_t index)
{
    double tr_s = s->setup->shape.tr_s, every_s = s->setup->shape.every_s;

    if (!s->setup->shape.n_latents)
        return;
    while ((double)(s->seen.n_events + 1) * every_s < (double)(index + 1) * tr_s) {
        struct phi_wire_message m = phi_wire_message_of(PHI_WIRE_EVENT);

        m.onset_s = (double)(s->seen.n_events + 1) * every_s;
        m.duration_s = SHOWN_S;
        m.stim_index = (int64_t)(s->seen.n_events % N_STIMULI);
        m.has_id = true;
        m.id = s->seen.n_events++;
        m.sent_ns = phi_clock_ns();
        (void)phi_str_copy(m.trial_type, sizeof m.trial_type, "face");
        if (phi_wire_send(s->control, NULL, &m, NULL, 0))
            note_problem(s, "an event could not be sent");
    }
}

static void send_volume(struct bench_sender *s, uint64_t index)
{
    struct phi_wire_message m = phi_wire_message_of(PHI_WIRE_VOLUME);
    size_t k = index % BENCH_DISTINCT;

    announce(s, index);
    m.has_index = true;
    m.index = index;
    m.acquired_s = (double)index * s->setup->shape.tr_s;
    m.crc32 = s->setup->crc[k];
    m.sent_ns = s->sent_ns[index] = phi_clock_ns();
    if (phi_wire_send(s->volumes, NULL, &m, s->setup->images[k], s->setup->n_image))
        phi_wire_sender_unsent(&s->machine, index);
}

static void send_small(struct bench_sender *s, enum phi_wire_type type)
{
    struct phi_wire_message m = phi_wire_message_of(type);

    m.n_volumes = s->machine.config.n_volumes;
    m.sent_ns = phi_clock_ns();
    /* said again by the state machine until it is answered */
    (void)!phi_wire_send(s->volumes, NULL, type == PHI_WIRE_HELLO ? &s->hello : &m, NULL, 0);
}

/* One thing to do; false if there is nothing but waiting. */
static bool act(struct bench_sender *s)
{
    uint64_t index = 0;
    int64_t now_ns = phi_clock_ns();
    struct ph_error err;

    switch (phi_wire_sender_next(&s->machine, n_available(s, now_ns), now_ns, &index)) {
    case PHI_WIRE_STEP_HELLO:
        send_small(s, PHI_WIRE_HELLO);
        return true;
    case PHI_WIRE_STEP_VOLUME:
        send_volume(s, index);
        return s->machine.resend == UINT64_MAX;
    case PHI_WIRE_STEP_PING:
        send_small(s, PHI_WIRE_PING);
        return true;
    case PHI_WIRE_STEP_END:
        send_small(s, PHI_WIRE_END);
        return true;
    case PHI_WIRE_STEP_RECONNECT:
        (void)zmq_close(s->volumes);
        s->volumes = NULL;
        if (open_socket(s, "volumes", &s->volumes, &err) == PH_OK)
            return true;
        note_problem(s, err.text);
        atomic_store(&s->over, true);
        return false;
    default:
        return false;
    }
}

static void hear_volumes(struct bench_sender *s, const struct phi_wire_message *m, int64_t now_ns)
{
    if (m->type == PHI_WIRE_PING) {
        struct phi_wire_message pong = phi_wire_message_of(PHI_WIRE_PONG);

        pong.sent_ns = m->sent_ns;
        pong.now_ns = now_ns;
        (void)!phi_wire_send(s->volumes, NULL, &pong, NULL, 0); /* the next one will do */
        return;
    }
    if (m->type == PHI_WIRE_ACK && m->index < s->machine.config.n_volumes &&
        s->acked_ns[m->index] == 0)
        s->acked_ns[m->index] = now_ns;
    if (m->type == PHI_WIRE_ERROR)
        note_problem(s, m->text);
    if (m->type == PHI_WIRE_ACK && s->begun_ns == 0)
        s->begun_ns = now_ns;
    phi_wire_sender_heard(&s->machine, m, now_ns);
}

static void hear(struct bench_sender *s, void *socket)
{
    struct phi_wire_received received;
    struct phi_wire_message m;
    struct ph_error ignored;

    while (socket && phi_wire_receive(socket, false, &received) == PH_OK) {
        int64_t now_ns = phi_clock_ns();

        if (!received.is_odd && !phi_wire_parse(zmq_msg_data(&received.json),
                                                zmq_msg_size(&received.json), &m, &ignored)) {
            if (socket == s->volumes)
                hear_volumes(s, &m, now_ns);
            else
                s->seen.n_events_answered += m.type == PHI_WIRE_OK;
        }
        phi_wire_release(&received);
    }
}

static void wait_for_news(struct bench_sender *s)
{
    zmq_pollitem_t items[2] = {{s->volumes, 0, ZMQ_POLLIN, 0}, {s->control, 0, ZMQ_POLLIN, 0}};
    int64_t now_ns = phi_clock_ns();
    double wait_s = (double)(phi_wire_sender_due_ns(&s->machine) - now_ns) / 1e9;

    if (s->rate > 0 && s->begun_ns) {
        double passed = (double)(now_ns - s->begun_ns) / 1e9 * s->rate;

        wait_s = fmin(wait_s, (floor(passed) + 1 - passed) / s->rate);
    }
    wait_s = fmax(0, fmin(wait_s, MAX_WAIT_S));
    (void)zmq_poll(items, s->control ? 2 : 1, (long)ceil(wait_s * 1e3));
}

static void *sender_main(void *arg)
{
    struct bench_sender *s = arg;

    while (s->machine.state != PHI_WIRE_DONE_STATE && s->machine.state != PHI_WIRE_REFUSED) {
        while (act(s))
            ;
        if (atomic_load(&s->over))
            break;
        wait_for_news(s);
        hear(s, s->volumes);
        hear(s, s->control);
    }
    return NULL;
}

static enum ph_status set_up(struct bench_sender *s, uint64_t n_volumes, struct ph_error *reterr)
{
    /* patient: a busy machine is no reason to send anything twice */
    struct phi_wire_sender_config config = {
        .n_volumes = n_volumes, .ack_ns = PATIENCE_NS, .silence_ns = PATIENCE_NS};
    enum ph_status status;

    s->hello = hello_of(s->setup, n_volumes);
    s->sent_ns = phi_calloc(n_volumes, sizeof *s->sent_ns);
    s->acked_ns = phi_calloc(n_volumes, sizeof *s->acked_ns);
    s->context = zmq_ctx_new();
    if (!s->sent_ns || !s->acked_ns || !s->context ||
        phi_wire_sender_init(&s->machine, &config, phi_clock_ns()))
        return phi_error_nomem(reterr, "the sender", n_volumes * sizeof *s->sent_ns);
    status = open_socket(s, "volumes", &s->volumes, reterr);
    return status ? status : open_socket(s, "control", &s->control, reterr);
}

enum ph_status bench_sender_start(const struct bench_setup *setup, uint64_t n_volumes, double rate,
                                  struct bench_sender **ret_sender, struct ph_error *reterr)
{
    struct bench_sender *s = phi_calloc(1, sizeof *s);
    enum ph_status status;

    if (!s)
        return phi_error_nomem(reterr, "the sender", sizeof *s);
    s->setup = setup;
    s->rate = rate;
    status = set_up(s, n_volumes, reterr);
    if (status == PH_OK && pthread_create(&s->thread, NULL, sender_main, s) != 0)
        status = phi_error(reterr, PH_E_NOMEM, "cannot start the sender's thread");
    s->has_thread = status == PH_OK;
    if (status != PH_OK)
        bench_sender_destroy(&s);
    else
        *ret_sender = s;
    return status;
}

void bench_sender_finish(struct bench_sender *s, struct bench_sent *ret_sent)
{
    /* DONE may still be on its way when the engine has ended */
    for (int i = 0; i < 100 && s->has_thread; i++) {
        if (pthread_tryjoin_np(s->thread, NULL) == 0) {
            s->has_thread = false;
            break;
        }
        phi_clock_sleep_until(phi_clock_ns() + 10 * PHI_NS_PER_MS);
    }
    atomic_store(&s->over, true);
    if (s->has_thread)
        (void)pthread_join(s->thread, NULL);
    s->has_thread = false;
    s->seen.n_acked = s->machine.n_acked;
    s->seen.n_resent = s->machine.n_resent;
    s->seen.done = s->machine.state == PHI_WIRE_DONE_STATE;
    s->seen.n_received = s->machine.done.n_received;
    s->seen.n_lost = s->machine.done.n_lost;
    s->seen.n_duplicates = s->machine.done.n_duplicates;
    s->seen.sent_ns = s->sent_ns;
    s->seen.acked_ns = s->acked_ns;
    *ret_sent = s->seen;
}

void bench_sender_destroy(struct bench_sender **sender)
{
    struct bench_sender *s = sender ? *sender : NULL;
    struct bench_sent ignored;

    if (!s)
        return;
    if (s->has_thread)
        bench_sender_finish(s, &ignored);
    if (s->volumes)
        (void)zmq_close(s->volumes);
    if (s->control)
        (void)zmq_close(s->control);
    if (s->context)
        (void)zmq_ctx_term(s->context);
    phi_wire_sender_fini(&s->machine);
    phi_free(s->sent_ns);
    phi_free(s->acked_ns);
    phi_free(s);
    *sender = NULL;
}
