/* SPDX-License-Identifier: MIT */
#include "io/wire_socket.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

struct option {
    int name;
    int value;
};

bool phi_wire_is_local(const char *endpoint)
{
    return phi_str_starts(endpoint, "ipc://") || phi_str_starts(endpoint, "inproc://") ||
           phi_str_starts(endpoint, "tcp://127.") || phi_str_starts(endpoint, "tcp://localhost:") ||
           phi_str_starts(endpoint, "tcp://[::1]:");
}

static enum ph_status check_endpoint(const struct phi_wire_socket_config *config,
                                     struct ph_error *reterr)
{
    const char *endpoint = config->endpoint;

    if (!phi_str_starts(endpoint, "tcp://") && !phi_str_starts(endpoint, "ipc://") &&
        !phi_str_starts(endpoint, "inproc://"))
        return phi_error(reterr, PH_E_INVAL,
                         "'%s' is no endpoint: write tcp://ADDRESS:PORT or ipc:///PATH", endpoint);
    if (config->bind && !config->insecure && !phi_wire_is_local(endpoint))
        return phi_error(
            reterr, PH_E_INVAL,
            "'%s' can be reached from other machines, and nothing checks who they are; "
            "bind to 127.0.0.1, or set insecure: true if the network is closed",
            endpoint);
    return PH_OK;
}

static bool set_options(void *socket, const struct phi_wire_socket_config *config)
{
    const struct option options[] = {
        {ZMQ_LINGER, config->linger_ms},
        {ZMQ_SNDHWM, config->high_water ? config->high_water : 32},
        {ZMQ_RCVHWM, config->high_water ? config->high_water : 32},
        {ZMQ_HEARTBEAT_IVL, 500},
        {ZMQ_HEARTBEAT_TIMEOUT, 1500},
        {ZMQ_HEARTBEAT_TTL, 2000},
        {ZMQ_HANDSHAKE_IVL, 3000},
        {ZMQ_TCP_MAXRT, 5000},
        {ZMQ_RECONNECT_IVL, 100},
        {ZMQ_RECONNECT_IVL_MAX, 2000},
        {ZMQ_IMMEDIATE, 1}, /* no queue for peers that are not there */
    };
    int64_t max_bytes = config->max_bytes ? config->max_bytes : (int64_t)PHI_WIRE_MAX_JSON;
    int yes = 1;
    bool good = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes) == 0;

    for (size_t i = 0; good && i < sizeof options / sizeof options[0]; i++)
        good = zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) == 0;
    if (good && config->type == ZMQ_ROUTER)
        good = zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &yes, sizeof yes) == 0;
    return good;
}

enum ph_status phi_wire_socket_open(void *context, const struct phi_wire_socket_config *config,
                                    void **ret_socket, struct ph_error *reterr)
{
    enum ph_status status = check_endpoint(config, reterr);
    void *socket;
    int failed;

    if (status)
        return status;
    socket = zmq_socket(context, config->type);
    if (!socket)
        return phi_error(reterr, PH_E_IO, "no socket for '%s': %s", config->endpoint,
                         zmq_strerror(zmq_errno()));
    if (set_options(socket, config) &&
        (config->bind ? zmq_bind : zmq_connect)(socket, config->endpoint) == 0) {
        *ret_socket = socket;
        return PH_OK;
    }
    failed = zmq_errno();
    (void)zmq_close(socket);
    return phi_error(reterr, failed == EINVAL ? PH_E_INVAL : PH_E_IO, "cannot %s '%s': %s%s",
                     config->bind ? "bind to" : "connect to", config->endpoint,
                     zmq_strerror(failed),
                     failed == EADDRINUSE ? " (is another engine running?)" : "");
}

/* The next frame into `frame`; *ret_more tells whether another one follows. */
static bool take_frame(void *socket, zmq_msg_t *frame, bool *ret_more)
{
    (void)zmq_msg_init(frame);
    if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0)
        return false;
    *ret_more = zmq_msg_more(frame) != 0;
    return true;
}

static void take_rest(void *socket, bool more)
{
    zmq_msg_t frame;

    while (more && take_frame(socket, &frame, &more))
        (void)zmq_msg_close(&frame);
}

/* JSON and payload; the first frame may be the empty one of a REQ. */
static void take_body(void *socket, bool more, struct phi_wire_received *received)
{
    if (more && take_frame(socket, &received->json, &more) && more &&
        zmq_msg_size(&received->json) == 0) {
        received->peer.is_request = true;
        (void)zmq_msg_close(&received->json);
        (void)take_frame(socket, &received->json, &more);
    }
    if (more && take_frame(socket, &received->payload, &more))
        received->has_payload = true;
    received->is_odd = more || zmq_msg_size(&received->json) == 0;
    take_rest(socket, more);
    if (!received->is_odd)
        return;
    phi_wire_release(received);
    (void)zmq_msg_init(&received->json);
    (void)zmq_msg_init(&received->payload);
}

enum ph_status phi_wire_receive(void *socket, bool is_router,
                                struct phi_wire_received *ret_received)
{
    zmq_msg_t identity;
    bool more = true;

    *ret_received = (struct phi_wire_received){0};
    (void)zmq_msg_init(&ret_received->json);
    (void)zmq_msg_init(&ret_received->payload);
    if (is_router) {
        if (!take_frame(socket, &identity, &more))
            return zmq_errno() == EAGAIN || zmq_errno() == EINTR ? PH_AGAIN : PH_E_PEER;
        ret_received->peer.n_id = zmq_msg_size(&identity); /* ZeroMQ bounds it to 255 */
        if (ret_received->peer.n_id > sizeof ret_received->peer.id)
            ret_received->peer.n_id = sizeof ret_received->peer.id;
        memcpy(ret_received->peer.id, zmq_msg_data(&identity), ret_received->peer.n_id);
        (void)zmq_msg_close(&identity);
        take_body(socket, more, ret_received);
        return PH_OK;
    }
    if (!take_frame(socket, &ret_received->json, &more))
        return zmq_errno() == EAGAIN || zmq_errno() == EINTR ? PH_AGAIN : PH_E_PEER;
    if (more && take_frame(socket, &ret_received->payload, &more))
        ret_received->has_payload = true;
    ret_received->is_odd = more;
    take_rest(socket, more);
    return PH_OK;
}

void phi_wire_release(struct phi_wire_received *received)
{
    (void)zmq_msg_close(&received->json);
    (void)zmq_msg_close(&received->payload);
    received->has_payload = false;
}

static enum ph_status send_failed(void)
{
    return zmq_errno() == EAGAIN || zmq_errno() == EINTR ? PH_AGAIN : PH_E_PEER;
}

static enum ph_status send_frames(void *socket, const struct phi_wire_peer *peer, const char *json,
                                  size_t n_json, const void *payload, size_t n_payload)
{
    int more = payload ? ZMQ_SNDMORE : 0;

    /* With ROUTER_MANDATORY only the first frame can fail; the others belong to the same message.
     */
    if (peer && zmq_send(socket, peer->id, peer->n_id, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return send_failed();
    if (peer && peer->is_request && zmq_send(socket, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return send_failed();
    if (zmq_send(socket, json, n_json, ZMQ_DONTWAIT | more) < 0)
        return send_failed();
    if (payload && zmq_send(socket, payload, n_payload, ZMQ_DONTWAIT) < 0)
        return send_failed();
    return PH_OK;
}

enum ph_status phi_wire_send(void *socket, const struct phi_wire_peer *peer,
                             const struct phi_wire_message *message, const void *payload,
                             size_t n_payload)
{
    char json[16 * 1024]; /* HELLO with 512 slice times is the longest: about 13 kB */
    size_t n_json;
    enum ph_status status = phi_wire_format(message, json, sizeof json, &n_json);

    return status ? status : send_frames(socket, peer, json, n_json, payload, n_payload);
}

enum ph_status phi_wire_send_json(void *socket, const struct phi_wire_peer *peer, const char *json,
                                  size_t n_json)
{
    return send_frames(socket, peer, json, n_json, NULL, 0);
}

enum ph_status phi_wire_publish(void *socket, const char *topic, const struct phi_str *json,
                                const void *payload, size_t n_payload)
{
    if (zmq_send(socket, topic, strlen(topic), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
        zmq_send(socket, json->text, json->length, ZMQ_DONTWAIT | (payload ? ZMQ_SNDMORE : 0)) < 0)
        return send_failed();
    return payload && zmq_send(socket, payload, n_payload, ZMQ_DONTWAIT) < 0 ? send_failed()
                                                                             : PH_OK;
}
