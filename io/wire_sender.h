/* SPDX-License-Identifier: MIT
 *
 * The scanner side of a run on the wire: what to send next, given what the engine has answered. A
 * state machine over plain data without sockets and without allocation after its creation; time
 * comes in as an argument. One sender belongs to one thread.
 *
 *   GREETING --WELCOME--> STREAMING --all acknowledged--> ENDING --DONE--> DONE
 * Silence, or an ERROR "hello", leads back to GREETING; WELCOME's `next` says where to go on.
 */
#ifndef PHI_IO_WIRE_SENDER_H
#define PHI_IO_WIRE_SENDER_H

#include "io/wire.h"

enum phi_wire_sender_state {
    PHI_WIRE_GREETING,
    PHI_WIRE_STREAMING,
    PHI_WIRE_ENDING,
    PHI_WIRE_DONE_STATE,
    PHI_WIRE_REFUSED /* a fatal ERROR, or a conflict: see the last error */
};

/* What to do now. */
enum phi_wire_sender_step {
    PHI_WIRE_STEP_WAIT,     /* nothing until a message, or until *ret_due_ns */
    PHI_WIRE_STEP_HELLO,    /* send HELLO */
    PHI_WIRE_STEP_VOLUME,   /* send volume *ret_index */
    PHI_WIRE_STEP_PING,     /* send PING */
    PHI_WIRE_STEP_END,      /* send END */
    PHI_WIRE_STEP_RECONNECT /* nothing heard for long: close the socket, connect anew */
};

/* Zero is the default of each field. */
struct phi_wire_sender_config {
    uint64_t n_volumes; /* of the run */
    int64_t retry_ns;   /* HELLO, END and unanswered volumes are said again after this; 0.5 s */
    int64_t silence_ns; /* without any message the peer counts as gone; 5 s */
    int64_t ping_ns;    /* between two PINGs; 1 s */
    int64_t ack_ns;     /* volumes under way without an ACK for so long are sent again; 5 s */
};

struct phi_wire_sender {
    struct phi_wire_sender_config config;
    enum phi_wire_sender_state state;
    uint8_t *acked;  /* [n_volumes] 0 or 1 */
    uint64_t next;   /* to send */
    uint64_t base;   /* least that is not acknowledged */
    uint64_t resend; /* volume refused for its CRC; UINT64_MAX if none */
    uint64_t credit;
    uint64_t n_under_way;
    uint64_t n_acked;
    uint64_t n_resent;  /* sent more than once */
    uint64_t n_greeted; /* WELCOMEs */
    uint64_t high;      /* one past the greatest index ever sent */
    int64_t heard_ns;   /* last message */
    int64_t tried_ns;   /* last HELLO or END */
    int64_t pinged_ns;
    int64_t moved_ns;      /* last ACK, or the sending of a volume when none was under way */
    int64_t offset_ns;     /* engine clock minus ours, from the quickest PONG */
    int64_t round_trip_ns; /* of that PONG; 0 before the first */
    struct phi_wire_message last_error;
    struct phi_wire_message done;
};

/* A sender of a run of config->n_volumes volumes; PH_E_NOMEM. Released with
 * phi_wire_sender_fini. */
PH_NODISCARD enum ph_status phi_wire_sender_init(struct phi_wire_sender *sender,
                                                 const struct phi_wire_sender_config *config,
                                                 int64_t now_ns);

/* Releases; accepts an all-zero sender. */
void phi_wire_sender_fini(struct phi_wire_sender *sender);

/* What to do at `now_ns`, when volumes 0 .. n_available - 1 have been acquired. The step counts as
 * done when this returns. */
enum phi_wire_sender_step phi_wire_sender_next(struct phi_wire_sender *sender, uint64_t n_available,
                                               int64_t now_ns, uint64_t *ret_index);

/* Volume `index`, which phi_wire_sender_next had given out, could not be sent: give it out again.
 */
void phi_wire_sender_unsent(struct phi_wire_sender *sender, uint64_t index);

/* A message from the engine. */
void phi_wire_sender_heard(struct phi_wire_sender *sender, const struct phi_wire_message *message,
                           int64_t now_ns);

/* When phi_wire_sender_next should be asked again if nothing comes. */
int64_t phi_wire_sender_due_ns(const struct phi_wire_sender *sender);

#endif
