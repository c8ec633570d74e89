/* SPDX-License-Identifier: MIT
 *
 * source/wire: volumes and events over ZeroMQ (docs/protocol.md), each in the journal before it is
 * acknowledged. Volumes and events are put into one order as they arrive, journalled in that order
 * and given to the stages in that order, so a replay of the journal gives the same stream. A run
 * that was killed is first rebuilt from its journal.
 */
#include "wire.h"

#include "base/mem.h"

#define JOURNAL_ROOM (WIRE_MAX_SLOTS + WIRE_ANSWERS + 64)

static const struct ph_param params_table[] = {
    PH_STRING(struct params, volumes, "tcp://127.0.0.1:5570", 0, "Endpoint for the scanner side."),
    PH_STRING(struct params, control, "tcp://127.0.0.1:5572", 0,
              "Endpoint for events, commands and questions."),
    PH_INT(struct params, credit, 8, 1, WIRE_MAX_CREDIT, "volumes", 0,
           "Volumes that may be under way without being acknowledged."),
    PH_INT(struct params, max_volume_mb, 256, 1, 1024, "MB", 0, "Largest volume that is taken."),
    PH_FLOAT(struct params, gap_timeout_tr, 1.5, 0.1, 100, "TR", 0,
             "How long later volumes wait for a missing one."),
    PH_FLOAT(struct params, linger_s, 1.0, 0, 60, "s", 0,
             "How long questions are still answered after the end of the run."),
    PH_BOOL(struct params, insecure, 0, 0,
            "Allow endpoints that other machines can reach, though nothing checks who they are."),
};

static enum ph_status open_socket(struct wire *w, const char *endpoint, int64_t max_bytes,
                                  void **ret_socket, struct ph_error *reterr)
{
    struct phi_wire_socket_config config = {.type = ZMQ_ROUTER,
                                            .endpoint = endpoint,
                                            .bind = true,
                                            .insecure = w->params->insecure,
                                            .max_bytes = max_bytes,
                                            .linger_ms = 1000};

    return phi_wire_socket_open(w->context, &config, ret_socket, reterr);
}

/* The journal of this run; what stands there already is rebuilt first. */
static enum ph_status open_journal(struct wire *w, size_t max_bytes, struct ph_error *reterr)
{
    char dir[PHI_PATH_MAX];
    enum ph_status status;

    if (w->host->run_dir[0] == '\0') {
        WIRE_LOG(w, PH_LOG_WARNING, "wire.unrecorded", "this run is not recorded");
        return PH_OK;
    }
    if (!phi_path_join(dir, sizeof dir, w->host->run_dir, "journal"))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", w->host->run_dir);
    status = phi_journal_thread_create(dir, NULL, JOURNAL_ROOM, &w->journal, reterr);
    if (status)
        return status;
    status = source_probe(dir, max_bytes, &w->spec, reterr);
    if (status && status != PH_EOS)
        return status;
    return phi_replay_open(dir, max_bytes, w->session, &w->replay, reterr);
}

enum ph_status wire_open(struct wire *w, struct ph_error *reterr)
{
    size_t max_image = ((size_t)w->params->max_volume_mb << 20) + 4096; /* and its header */
    struct phi_wire_session_config config = {.credit = (uint32_t)w->params->credit,
                                             .max_volume_bytes = (size_t)w->params->max_volume_mb
                                                                 << 20};
    enum ph_status status;

    w->n_slots = 2 * config.credit + 2;
    w->begun_s = (double)NAN;
    w->context = zmq_ctx_new();
    if (!w->context)
        return phi_error_nomem(reterr, "ZeroMQ", 0);
    if ((status = source_bell_open(&w->bell, reterr)) ||
        (status = phi_wire_session_create(&config, &w->session, reterr)) ||
        (status = phi_wire_decoder_create(max_image, &w->decoder, reterr)) ||
        (status = open_journal(w, max_image, reterr)) ||
        (status =
             open_socket(w, w->params->volumes, (int64_t)max_image + 65536, &w->volumes, reterr)))
        return status;
    return open_socket(w, w->params->control, 0, &w->control, reterr);
}

void wire_close(struct wire *w)
{
    phi_journal_thread_destroy(&w->journal); /* first: it reads payloads that slots hold */
    for (uint32_t i = 0; i < w->n_slots; i++)
        if (w->slots[i].used)
            phi_wire_release(&w->slots[i].frames);
    if (w->volumes)
        (void)zmq_close(w->volumes);
    if (w->control)
        (void)zmq_close(w->control);
    if (w->context)
        (void)zmq_ctx_term(w->context);
    phi_replay_close(&w->replay);
    phi_wire_decoder_destroy(&w->decoder);
    phi_wire_session_destroy(&w->session);
    source_bell_close(&w->bell);
}

static enum ph_status wire_init(void *state, const void *params, const struct ph_spec *in,
                                const struct ph_spec *out, const struct ph_host *host,
                                struct ph_error *reterr)
{
    struct wire *w = state;

    (void)in;
    (void)out;
    w->params = params;
    w->host = host;
    w->bell.fd = -1;
    return wire_open(w, reterr);
}

/* The recording of a killed run that had no volume yet: read it before going live. */
static enum ph_status skip_recording(struct wire *w, struct ph_error *reterr)
{
    struct phi_replay_item item;
    enum ph_status status;

    while (!(status = phi_replay_next(w->replay, &item, reterr))) {
        struct wire_entry entry = {.kind = item.kind, .index = item.index};

        if (item.kind != PHI_REPLAY_EVENT || !wire_queue_has_room(w))
            continue;
        entry.event = source_event_of(&item.message, w->n_events++);
        wire_queue_push(w, &entry);
    }
    if (status != PH_EOS)
        return status;
    w->order = *phi_replay_order(w->replay);
    phi_replay_close(&w->replay);
    return PH_OK;
}

static enum ph_status wire_discover(void *state, struct ph_spec *ret_out, struct ph_error *reterr)
{
    struct wire *w = state;
    enum ph_status status;

    if (w->replay && w->spec.kind == PH_FRAME_NONE && (status = skip_recording(w, reterr)))
        return status;
    while (w->spec.kind == PH_FRAME_NONE) {
        status = wire_serve(w);
        if (status)
            return status;
        if (w->end_journalled && w->spec.kind == PH_FRAME_NONE)
            return phi_error(reterr, PH_E_PEER, "the run ended before its first volume");
    }
    *ret_out = w->spec;
    return PH_OK;
}

static bool has_lingered(const struct wire *w)
{
    return w->ended_ns != 0 && (double)(wire_now(w) - w->ended_ns) > w->params->linger_s * 1e9;
}

static enum ph_status wire_process(void *state, struct ph_io *io)
{
    struct wire *w = state;
    enum ph_status status = wire_emit(w, io);

    while (status == PH_AGAIN) {
        if (has_lingered(w))
            return PH_EOS;
        if (wire_serve(w))
            return PH_AGAIN;
        status = wire_emit(w, io);
    }
    return status;
}

static void wire_wake(void *state)
{
    const struct wire *w = state;

    source_bell_ring(&w->bell);
}

static void wire_fini(void *state)
{
    wire_close(state);
}

static const struct ph_stage_ops ops = {
    .struct_size = sizeof ops,
    .init = wire_init,
    .discover = wire_discover,
    .process = wire_process,
    .wake = wire_wake,
    .fini = wire_fini,
};

static const struct ph_stage_type type = {
    .struct_size = sizeof type,
    .kind = PH_STAGE_SOURCE,
    .id = "source/wire",
    .summary = "Volumes and events over ZeroMQ, journalled before they are acknowledged",
    .caps = PH_CAP_STATEFUL | PH_CAP_OWN_THREAD,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct wire),
    .ops = &ops,
};

static const struct ph_stage_type *const types[] = {&type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "wire",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(source_wire, plugin)
