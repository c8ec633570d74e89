/* SPDX-License-Identifier: MIT
 *
 * source/wire, inside: the state of the stage and the parts that wire.c (life of the stage),
 * serve.c (messages) and emit.c (frames) share. Everything here belongs to the source's thread.
 */
#ifndef PLUGINS_SOURCE_WIRE_WIRE_H
#define PLUGINS_SOURCE_WIRE_WIRE_H

#include "io/file.h"
#include "io/journal_thread.h"
#include "io/wire_socket.h"
#include "plugins/source/replay_emit.h"

#define WIRE_MAX_CREDIT 31
#define WIRE_MAX_SLOTS                                                                             \
    (2 * WIRE_MAX_CREDIT + 2) /* under way, and waiting for an earlier volume                      \
                               */
#define WIRE_ANSWERS 64
#define WIRE_QUEUE   256
#define WIRE_PEERS   32

struct params {
    const char *volumes;
    const char *control;
    int64_t credit;
    int64_t max_volume_mb;
    double gap_timeout_tr;
    double linger_s;
    bool insecure;
};

/* A volume from its arrival until it is journalled and has been given to the stages. */
struct wire_slot {
    bool used, to_journal, to_emit, is_conflict;
    struct phi_wire_received frames;
    struct phi_wire_message message;
    struct phi_wire_image image; /* its data counts only if the payload is not compressed */
    int64_t received_ns;
};

/* An answer that goes out when what it answers stands in the journal. */
struct wire_answer {
    bool used;
    void *socket;
    struct phi_wire_peer peer;
    struct phi_wire_message message;
};

/* What the stages will see next. */
struct wire_entry {
    enum phi_replay_kind kind;
    uint32_t slot;
    uint64_t index;
    struct ph_event event;
};

struct wire {
    const struct params *params;
    const struct ph_host *host;
    struct source_bell bell;
    void *context, *volumes, *control; /* ZeroMQ */
    struct phi_wire_session *session;
    struct phi_wire_decoder *decoder;
    struct phi_journal_thread *journal; /* NULL when nothing is recorded */
    struct phi_replay *replay;          /* while a killed run is rebuilt, else NULL */
    struct ph_spec spec;                /* kind NONE until the first volume */
    struct phi_wire_order order;
    uint32_t n_slots;
    struct wire_slot slots[WIRE_MAX_SLOTS];
    struct wire_answer answers[WIRE_ANSWERS];
    struct wire_entry queue[WIRE_QUEUE]; /* ring */
    uint64_t queue_head, queue_tail;
    struct phi_wire_peer greeted[WIRE_PEERS]; /* ring of those that said HELLO to this process */
    uint64_t n_greeted;
    struct phi_wire_peer sender; /* the last of them */
    struct phi_wire_peer ending; /* who said END */
    struct phi_wire_message end; /* END that waits for the last volumes; type NONE if none */
    bool end_journalled;
    int64_t ended_ns;         /* when the run's end had been given out; 0 before */
    int64_t waiting_since_ns; /* since when volumes wait for an earlier one; 0 if none does */
    uint64_t waiting_for;
    int64_t pinged_ns, offset_ns, round_trip_ns; /* sender's clock to ours */
    double begun_s; /* monotonic seconds at the run's time 0; NaN before the first volume */
    uint32_t n_events;
    uint64_t n_late;
    int64_t heard_ns; /* when the volume being dealt with had arrived */
    int disk_errno;   /* as last told to the operator */
};

/* Starts and ends all of it. wire_close accepts a half-opened state. */
PH_NODISCARD enum ph_status wire_open(struct wire *w, struct ph_error *reterr);
void wire_close(struct wire *w);

/* Waits for messages, the journal or a wake, at most until something is due, and deals with what
 * came. PH_AGAIN after a wake. */
PH_NODISCARD enum ph_status wire_serve(struct wire *w);

/* The queue of what the stages see next. One place is kept for the end of the run. */
bool wire_queue_has_room(const struct wire *w);
void wire_queue_push(struct wire *w, const struct wire_entry *entry);

/* Volumes whose place has come go from the order to the queue. */
void wire_advance(struct wire *w);

/* Frees a slot once it is journalled and emitted. */
void wire_release_slot(struct wire *w, uint32_t slot);

/* Gives the next entry of the queue, or of the recording that is being rebuilt, to the stages.
 * PH_AGAIN if there is none. */
PH_NODISCARD enum ph_status wire_emit(struct wire *w, struct ph_io *io);

/* Logs under an id; nothing per volume. */
#define WIRE_LOG(w, level, id, ...) (w)->host->log((w)->host->self, level, id, __VA_ARGS__)

static inline int64_t wire_now(const struct wire *w)
{
    return w->host->now_ns(w->host->self);
}

#endif
