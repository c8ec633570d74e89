/* SPDX-License-Identifier: MIT
 *
 * sink/publish: what the run says, on a ZeroMQ PUB socket (docs/protocol.md, "Feedback"): latents,
 * pictures, quality, state. A subscriber that does not keep up loses messages and holds nobody.
 */
#include "base/error.h"
#include "io/wire_socket.h"
#include "plugins/sink/json.h"

#define STATE_EVERY_NS ((int64_t)1000000000)
#define JSON_BYTES     2048

struct params {
    const char *endpoint;
    bool insecure;
    bool images;
    double max_age_tr;
};

static const struct ph_param params_table[] = {
    PH_STRING(struct params, endpoint, "tcp://127.0.0.1:5571", 0, "Where subscribers connect."),
    PH_BOOL(struct params, insecure, 0, 0,
            "Allow an endpoint that other machines can reach, though nothing checks who they are."),
    PH_BOOL(struct params, images, 1, PH_PARAM_LIVE, "Publish pictures too."),
    PH_FLOAT(struct params, max_age_tr, 2, 0.1, 1000, "TR", 0,
             "Results older than this are marked stale."),
};

struct state {
    struct params now;
    const struct ph_host *host;
    void *context, *socket;
    double max_age_s;
    int64_t stated_ns;
    char json[JSON_BYTES];
};

static enum ph_status publish_init(void *state, const void *params, const struct ph_spec *in,
                                   const struct ph_spec *out, const struct ph_host *host,
                                   struct ph_error *reterr)
{
    struct state *s = state;
    struct phi_wire_socket_config config = {.type = ZMQ_PUB, .bind = true, .linger_ms = 200};

    (void)out;
    s->now = *(const struct params *)params;
    s->host = host;
    s->max_age_s = s->now.max_age_tr * (in && in->geometry.tr_s > 0 ? in->geometry.tr_s : 1);
    s->context = zmq_ctx_new();
    if (!s->context)
        return phi_error_nomem(reterr, "ZeroMQ", 0);
    config.endpoint = s->now.endpoint;
    config.insecure = s->now.insecure;
    return phi_wire_socket_open(s->context, &config, &s->socket, reterr);
}

static struct phi_str begin(struct state *s, uint64_t index)
{
    struct phi_str str = phi_str_over(s->json, sizeof s->json);

    phi_str_addf(&str, "{\"p\":\"" PHI_WIRE_PROTOCOL "\",\"index\":%llu",
                 (unsigned long long)index);
    return str;
}

static void send_off(struct state *s, const char *topic, struct phi_str *str, const void *payload,
                     size_t n_payload)
{
    phi_str_addf(str, "}");
    if (str->cut)
        return; /* names are bounded, so this cannot happen; half a message must never go out */
    (void)!phi_wire_publish(s->socket, topic, str, payload, n_payload); /* feedback is not owed */
}

static void publish_latent(struct state *s, const struct ph_frame *frame)
{
    struct phi_str str = begin(s, frame->index);

    json_add_moment(&str, frame, &frame->u.latent);
    json_add_age(&str, frame, s->host->now_ns(s->host->self), s->max_age_s);
    phi_str_addf(&str, ",\"shape\":[%u]", frame->dims[1]);
    send_off(s, "latent", &str, frame->data, 2 * (size_t)frame->dims[1] * sizeof(float));
}

static void publish_image(struct state *s, const struct ph_frame *frame)
{
    struct phi_str str = begin(s, frame->index);

    json_add_moment(&str, frame, &frame->u.image.latent);
    json_add_text(&str, "generator", frame->u.image.generator);
    json_add_age(&str, frame, s->host->now_ns(s->host->self), s->max_age_s);
    phi_str_addf(&str, ",\"height\":%u,\"width\":%u,\"channels\":3", frame->dims[0],
                 frame->dims[1]);
    send_off(s, "image", &str, frame->data, ph_frame_count(frame));
}

static void publish_quality(struct state *s, const struct ph_frame *frame)
{
    const struct ph_quality *q = &frame->quality;
    struct phi_str str = begin(s, frame->index);

    json_add_number(&str, "fd", (double)q->fd_mm);
    json_add_number(&str, "rmsd", (double)q->fd_jenkinson_mm);
    json_add_number(&str, "dvars", (double)q->dvars);
    json_add_number(&str, "std_dvars", (double)q->std_dvars);
    json_add_number(&str, "tsnr", (double)q->tsnr);
    json_add_number(&str, "spikes", (double)q->n_spikes);
    json_add_number(&str, "outliers", (double)q->outlier_fraction);
    json_add_number(&str, "gcor", (double)q->gcor);
    json_add_number(&str, "global_signal", (double)q->global_signal);
    json_add_number(&str, "drift", (double)q->drift_percent);
    json_add_number(&str, "white_matter", (double)q->white_matter);
    json_add_number(&str, "csf", (double)q->csf);
    phi_str_addf(&str, ",\"motion\":[");
    for (int i = 0; i < 6; i++)
        if (isfinite(q->motion[i]))
            phi_str_addf(&str, "%s%.6g", i ? "," : "", (double)q->motion[i]);
        else
            phi_str_addf(&str, "%snull", i ? "," : "");
    phi_str_addf(&str, "]");
    json_add_flags(&str, frame->flags);
    send_off(s, "quality", &str, NULL, 0);
}

/* The signals of regions, where a filter has measured them: for feedback on them. */
static void publish_signals(struct state *s, const struct ph_frame *frame)
{
    struct phi_str str = begin(s, frame->index);

    json_add_age(&str, frame, s->host->now_ns(s->host->self), s->max_age_s);
    phi_str_addf(&str, ",\"signals\":[");
    for (uint32_t i = 0; i < frame->n_signals; i++) {
        const struct ph_signal *signal = &frame->signals[i];

        phi_str_addf(&str, "%s{\"number\":%u", i ? "," : "", i);
        json_add_text(&str, "name", signal->name);
        json_add_number(&str, "value", (double)signal->value);
        json_add_number(&str, "mean", (double)signal->mean);
        phi_str_addf(&str, "}");
    }
    phi_str_addf(&str, "]");
    json_add_flags(&str, frame->flags);
    send_off(s, "signal", &str, NULL, 0);
}

static void publish_state(struct state *s, uint64_t index)
{
    static const char *const names[] = {"waiting", "running", "draining", "stopped"};
    struct ph_run_stats stats = {.struct_size = sizeof stats};
    struct phi_str str = begin(s, index);

    s->host->run_stats(s->host->self, &stats);
    json_add_text(&str, "state", names[stats.state < 4 ? stats.state : 0]);
    json_add_number(&str, "volumes", (double)stats.n_volumes);
    json_add_number(&str, "missing", (double)stats.n_missing);
    json_add_number(&str, "censored", (double)stats.n_censored);
    phi_str_addf(&str, ",\"latency\":{");
    json_add_number(&str, "p50", (double)stats.latency_p50_ns / 1e6);
    json_add_number(&str, "p99", (double)stats.latency_p99_ns / 1e6);
    json_add_number(&str, "max", (double)stats.latency_max_ns / 1e6);
    phi_str_addf(&str, "}");
    send_off(s, "state", &str, NULL, 0);
}

static enum ph_status publish_process(void *state, struct ph_io *io)
{
    struct state *s = state;
    const struct ph_frame *frame = io->in;
    int64_t now = s->host->now_ns(s->host->self);

    if (frame->kind == PH_FRAME_LATENT)
        publish_latent(s, frame);
    else if (frame->kind == PH_FRAME_IMAGE && s->now.images)
        publish_image(s, frame);
    else if (frame->kind == PH_FRAME_VOLUME || frame->kind == PH_FRAME_VECTOR)
        publish_quality(s, frame);
    if ((frame->kind == PH_FRAME_VOLUME || frame->kind == PH_FRAME_VECTOR) && frame->n_signals > 0)
        publish_signals(s, frame);
    if (now - s->stated_ns >= STATE_EVERY_NS) {
        s->stated_ns = now;
        publish_state(s, frame->index);
    }
    return PH_OK;
}

static void publish_update(void *state, const void *params)
{
    struct state *s = state;

    s->now.images = ((const struct params *)params)->images;
}

static enum ph_status publish_end(void *state, struct ph_io *io)
{
    (void)io;
    publish_state(state, 0);
    return PH_OK;
}

static void publish_fini(void *state)
{
    struct state *s = state;

    if (s->socket)
        (void)zmq_close(s->socket);
    if (s->context)
        (void)zmq_ctx_term(s->context);
}

static const struct ph_stage_ops ops = {
    .struct_size = sizeof ops,
    .init = publish_init,
    .process = publish_process,
    .update = publish_update,
    .end = publish_end,
    .fini = publish_fini,
};

static const struct ph_stage_type type = {
    .struct_size = sizeof type,
    .kind = PH_STAGE_SINK,
    .id = "sink/publish",
    .summary = "Latents, pictures, quality and state on a ZeroMQ PUB socket",
    .caps = PH_CAP_STATEFUL,
    .n_params = sizeof params_table / sizeof *params_table,
    .params = params_table,
    .params_size = sizeof(struct params),
    .state_size = sizeof(struct state),
    .ops = &ops,
};

static const struct ph_stage_type *const types[] = {&type};

static const struct ph_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = PH_ABI_MAJOR,
    .abi_minor = 0,
    .n_types = 1,
    .name = "publish",
    .version = "1.0",
    .licence = "MIT",
    .types = types,
};

PH_PLUGIN_EXPORT(sink_publish, plugin)
