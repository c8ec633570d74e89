/* SPDX-License-Identifier: MIT
 *
 * ZeroMQ sockets with the options that the protocol asks for, and its messages on them: one JSON
 * frame, at most one payload frame. Sockets are plain ZeroMQ sockets: closed with zmq_close, polled
 * with zmq_poll, one thread at a time.
 */
#ifndef PHI_IO_WIRE_SOCKET_H
#define PHI_IO_WIRE_SOCKET_H

#include <zmq.h>

#include "base/str.h"
#include "io/wire.h"

/* How to open one. Zero is the default of each field but `type` and `endpoint`. */
struct phi_wire_socket_config {
    int type;             /* ZMQ_ROUTER, ZMQ_DEALER, ZMQ_PUB ... */
    const char *endpoint; /* "tcp://127.0.0.1:5570", "ipc:///run/x" */
    bool bind;            /* else connect */
    bool insecure;        /* allow binding to other than this machine, unencrypted */
    int64_t max_bytes;    /* of a frame that comes in; 64 KiB */
    int high_water;       /* messages queued each way; 32 */
    int linger_ms;        /* for unsent messages on closing; 0 */
};

/* Opens a socket in `context`. PH_E_INVAL for endpoints other than tcp, ipc and inproc, and for
 * binding beyond the loopback without `insecure`; PH_E_IO when ZeroMQ refuses (address in use).
 * Heartbeats, handshake and reconnection limits are set. */
PH_NODISCARD enum ph_status phi_wire_socket_open(void *context,
                                                 const struct phi_wire_socket_config *config,
                                                 void **ret_socket, struct ph_error *reterr);

/* Whom a message came from and what a ROUTER's answer must start with. */
struct phi_wire_peer {
    size_t n_id;
    unsigned char id[256];
    bool is_request; /* the peer is a REQ: an empty frame stands before the JSON */
};

/* One received message. */
struct phi_wire_received {
    struct phi_wire_peer peer; /* ROUTER sockets only */
    zmq_msg_t json;
    zmq_msg_t payload;
    bool has_payload;
    bool is_odd; /* more or fewer frames than the protocol has; both messages are empty */
};

/* Takes a message if there is one (never waits): PH_OK, PH_AGAIN, or PH_E_PEER when ZeroMQ fails.
 * After PH_OK the caller owns both frames: phi_wire_release. `is_router` tells that an identity
 * comes first. */
PH_NODISCARD enum ph_status phi_wire_receive(void *socket, bool is_router,
                                             struct phi_wire_received *ret_received);

/* Frees the frames of a received message. */
void phi_wire_release(struct phi_wire_received *received);

/* Sends `message` (and `payload` if not NULL, copied) to `peer` (NULL on sockets without peers)
 * without waiting. PH_AGAIN: the queue is full. PH_E_PEER: the peer is gone. */
PH_NODISCARD enum ph_status phi_wire_send(void *socket, const struct phi_wire_peer *peer,
                                          const struct phi_wire_message *message,
                                          const void *payload, size_t n_payload);

/* Sends n_json bytes of ready JSON, otherwise as phi_wire_send. */
PH_NODISCARD enum ph_status phi_wire_send_json(void *socket, const struct phi_wire_peer *peer,
                                               const char *json, size_t n_json);

/* Publishes topic, JSON and payload (NULL: none) on a PUB socket, copied. Subscribers that do not
 * keep up lose messages; the caller never waits. PH_E_PEER when ZeroMQ fails. */
PH_NODISCARD enum ph_status phi_wire_publish(void *socket, const char *topic,
                                             const struct phi_str *json, const void *payload,
                                             size_t n_payload);

/* Whether an endpoint's address is this machine only: ipc, inproc, 127.x.x.x, ::1, localhost. */
bool phi_wire_is_local(const char *endpoint);

#endif
