/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/live_internal.h"
#include "host/spec.h"

/* A queue's frames, one in the hands of each side, and some slack for a burst. */
static size_t pool_size(const struct phi_live *live)
{
    return 2 * (size_t)phi_run_engine(live->run)->queue_depth + 4;
}

static struct phi_stage *stage_at(struct phi_live *live, size_t i)
{
    return live->seats[i].stage;
}

/* Specs flow through filters to decoder and generators; sinks see what leaves the last filter. */
static enum ph_status plan_stages(struct phi_live *live, struct ph_error *reterr)
{
    size_t decoder = 1 + live->n_filters;
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < live->n_seats && status == PH_OK; i++) {
        uint32_t kind = stage_at(live, i)->type->kind;
        size_t before = kind == PH_STAGE_GENERATOR ? decoder
                        : kind == PH_STAGE_SINK    ? live->n_filters
                                                   : i - 1;

        status = phi_stage_plan(stage_at(live, i), &stage_at(live, before)->out, reterr);
        if (status != PH_OK && live->seats[i].from->line > 0)
            (void)phi_error_prefix(reterr, "%s:%d:%d", live->run->path, live->seats[i].from->line,
                                   live->seats[i].from->column);
    }
    return status;
}

static enum ph_status init_stages(struct phi_live *live, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < live->n_seats && status == PH_OK; i++)
        status = phi_stage_init(stage_at(live, i), reterr);
    return status;
}

static void fill_info(struct phi_live *live, struct phi_view_info *info)
{
    const struct ph_spec *source = &stage_at(live, 0)->out;
    const struct ph_spec *shown = &stage_at(live, live->view_volume_stage)->out;
    double tr_s = source->geometry.tr_s;

    *info =
        (struct phi_view_info){.geometry = shown->geometry,
                               .n_volumes = source->n_volumes,
                               .has_decoder = live->has_decoder,
                               .n_stages = live->n_seats,
                               .stale_after_s = phi_run_engine(live->run)->stale_after_tr * tr_s};
    (void)phi_str_copy(info->title, sizeof info->title, live->run->title ? live->run->title : "");
    for (size_t i = 0; i < live->n_seats; i++) {
        const struct phi_stage *stage = stage_at(live, i);

        (void)phi_str_copy(info->stages[i].name, sizeof info->stages[i].name, stage->name);
        info->stages[i].kind = stage->type->kind;
        if (stage->type->kind == PH_STAGE_DECODER) {
            (void)phi_str_copy(info->decoder, sizeof info->decoder, stage->name);
            info->n_components = stage->out.dims[1];
            info->space = stage->out.layout;
        }
        if (stage->type->kind == PH_STAGE_GENERATOR) {
            size_t g = info->n_generators++;

            (void)phi_str_copy(info->generators[g].name, sizeof info->generators[g].name,
                               stage->name);
            info->generators[g].height = stage->out.dims[0];
            info->generators[g].width = stage->out.dims[1];
        }
    }
}

static void control_stop(void *arg)
{
    phi_live_stop(arg);
}

static enum ph_status control_set(void *arg, const char *key, const char *value,
                                  struct ph_error *reterr)
{
    return phi_live_set_param(arg, key, value, reterr);
}

static void control_mark(void *arg, const char *text)
{
    struct phi_live *live = arg;

    phi_log_write(live->options.log, PH_LOG_INFO, "", "run.mark", "mark: %s", text);
}

static void control_move(void *arg, size_t g, int64_t interval_ns)
{
    struct phi_live *live = arg;
    size_t first = 2 + (live->has_decoder ? 1 : 0);
    struct node *node = &live->nodes[first + g];

    if (g >= live->n_generators)
        return;
    atomic_store_explicit(&node->move_interval_ns, interval_ns, memory_order_relaxed);
    phi_doorbell_ring(node->bell);
}

static enum ph_status make_view(struct phi_live *live, struct ph_error *reterr)
{
    struct phi_view_control control = {live, control_stop, control_set, control_move, control_mark};
    struct phi_view_info info;
    enum ph_status status;

    for (size_t i = 0; i <= live->n_filters; i++)
        if (stage_at(live, i)->out.kind == PH_FRAME_VOLUME)
            live->view_volume_stage = i;
    fill_info(live, &info);
    status = phi_view_create(&info, &control, &live->view, reterr);
    if (status == PH_OK)
        status = phi_trace_create(live->n_seats, 0, &live->trace, reterr);
    if (status == PH_OK)
        status = phi_latency_create(&live->latency, reterr);
    for (size_t i = 0; i < live->n_seats && status == PH_OK; i++)
        phi_trace_name(live->trace, i, stage_at(live, i)->name);
    return status;
}

/* A pool for what stage `i` emits; its taker is `node`. */
static enum ph_status make_pool(struct phi_live *live, struct node *node, size_t i, size_t n,
                                struct phi_pool **ret_pool, struct ph_error *reterr)
{
    const struct phi_stage *stage = stage_at(live, i);
    size_t n_bytes = 0;
    enum ph_status status = phi_spec_bytes(&stage->out, &n_bytes, reterr);

    if (status == PH_OK)
        status = phi_pool_create(n, n_bytes, node->bell, ret_pool, reterr);
    if (status != PH_OK)
        (void)phi_error_prefix(reterr, "stage '%s'", stage->name);
    return status;
}

static struct node *add_node(struct phi_live *live, const char *name, size_t first_stage,
                             void (*run)(struct node *node))
{
    struct node *node = &live->nodes[live->n_nodes++];

    node->live = live;
    node->first_stage = first_stage;
    node->run = run;
    (void)phi_str_copy(node->name, sizeof node->name, name);
    return node;
}

/* Puts stages [first, first + n) into the node's pipe. */
static void seat_stages(struct phi_live *live, struct node *node, size_t n)
{
    node->pipe.n_stages = n;
    node->pipe.mark_failed = node->first_stage == 1;
    for (size_t k = 0; k < n; k++) {
        struct seat *seat = &live->seats[node->first_stage + k];

        node->pipe.stages[k] = (struct phi_pipe_stage){
            .stage = seat->stage,
            .on_error = seat->from->on_error,
            .pending = &seat->pending,
            .retired = &live->retired,
        };
    }
}

/* The nodes; number 0, the source's, is there since create. */
static void make_nodes(struct phi_live *live)
{
    size_t i = 1 + live->n_filters;

    seat_stages(live, add_node(live, "filters", 1, phi_node_run_pipe), live->n_filters);
    live->last_science = &live->nodes[1];
    if (live->has_decoder) {
        struct node *node = add_node(live, stage_at(live, i)->name, i, phi_node_run_pipe);

        seat_stages(live, node, 1);
        live->last_science = node;
        i++;
    }
    for (size_t g = 0; g < live->n_generators; g++, i++)
        seat_stages(live, add_node(live, stage_at(live, i)->name, i, phi_node_run_generator), 1);
    for (size_t s = 0; s < live->n_sinks; s++, i++)
        seat_stages(live, add_node(live, stage_at(live, i)->name, i, phi_node_run_sink), 1);
}

static enum ph_status connect(struct phi_live *live, struct node *from, struct node *to,
                              struct ph_error *reterr)
{
    struct edge *edge = &live->edges[live->n_edges];
    size_t depth = (size_t)phi_run_engine(live->run)->queue_depth;
    enum ph_status status = phi_ring_create(depth, &edge->ring, reterr);

    if (status != PH_OK)
        return status;
    live->n_edges++;
    edge->from = from;
    edge->to = to;
    from->out[from->n_out++] = edge;
    to->in[to->n_in++] = edge;
    return PH_OK;
}

/* source -> filters -> decoder -> generators; filters, decoder and generators -> every sink. */
static enum ph_status make_edges(struct phi_live *live, struct ph_error *reterr)
{
    struct node *nodes = live->nodes;
    size_t n_science = live->n_nodes - live->n_sinks;
    enum ph_status status = connect(live, &nodes[0], &nodes[1], reterr);

    if (status == PH_OK && live->has_decoder)
        status = connect(live, &nodes[1], &nodes[2], reterr);
    for (size_t g = 0; g < live->n_generators && status == PH_OK; g++)
        status = connect(live, &nodes[2], &nodes[3 + g], reterr);
    for (size_t from = 1; from < n_science; from++)
        for (size_t to = n_science; to < live->n_nodes && status == PH_OK; to++)
            status = connect(live, &nodes[from], &nodes[to], reterr);
    return status;
}

/* A frame outside the pools, for the moving picture. */
static enum ph_status make_frame(const struct ph_spec *spec, struct ph_frame **ret_frame,
                                 struct ph_error *reterr)
{
    size_t n_bytes = 0;
    enum ph_status status = phi_spec_bytes(spec, &n_bytes, reterr);
    struct ph_frame *frame;

    if (status != PH_OK)
        return status;
    frame = phi_calloc(1, sizeof *frame);
    if (frame)
        frame->data = phi_calloc(n_bytes, 1);
    if (!frame || !frame->data) {
        phi_free(frame);
        return phi_error_nomem(reterr, "a picture", n_bytes);
    }
    frame->capacity_bytes = n_bytes;
    *ret_frame = frame;
    return PH_OK;
}

static enum ph_status make_node_pools(struct phi_live *live, struct node *node,
                                      struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t k = 0; k < node->pipe.n_stages && status == PH_OK; k++) {
        const struct phi_stage *stage = node->pipe.stages[k].stage;
        size_t n = k + 1 < node->pipe.n_stages ? 3 : pool_size(live);
        bool makes_frames =
            stage->type->kind != PH_STAGE_SINK &&
            !(stage->type->kind == PH_STAGE_FILTER && stage->type->caps & PH_CAP_IN_PLACE);

        /* what a later filter in place changes travels on to the queues */
        if (k + 1 < node->pipe.n_stages &&
            node->pipe.stages[k + 1].stage->type->caps & PH_CAP_IN_PLACE)
            n = pool_size(live);
        if (makes_frames)
            status = make_pool(live, node, node->first_stage + k, n, &node->pools[k], reterr);
        if (status == PH_OK && stage->type->kind == PH_STAGE_GENERATOR)
            status = make_frame(&stage->out, &node->moving, reterr);
        if (status == PH_OK && stage->type->kind == PH_STAGE_GENERATOR)
            status = make_frame(&stage->in, &node->aimed, reterr);
    }
    return status;
}

static enum ph_status make_pools(struct phi_live *live, struct ph_error *reterr)
{
    size_t n_events = 64 + 4 * pool_size(live);
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < live->n_nodes && status == PH_OK; i++)
        status = phi_doorbell_create(&live->nodes[i].bell, reterr);
    if (status == PH_OK)
        status = make_pool(live, &live->nodes[0], 0, pool_size(live), &live->volumes, reterr);
    if (status == PH_OK)
        status = phi_pool_create(n_events, 0, live->nodes[0].bell, &live->events, reterr);
    for (size_t i = 1; i < live->n_nodes && status == PH_OK; i++)
        status = make_node_pools(live, &live->nodes[i], reterr);
    return status;
}

static void node_main(void *arg)
{
    struct node *node = arg;
    struct ph_error err;

    if (phi_run_engine(node->live->run)->realtime && phi_thread_realtime(10, &err) != PH_OK)
        phi_log_write(node->live->options.log, PH_LOG_WARNING, node->name, "run.realtime", "%s",
                      err.text);
    node->run(node);
    phi_live_leave(node->live);
}

static enum ph_status start_nodes(struct phi_live *live, struct ph_error *reterr)
{
    bool pin = phi_run_engine(live->run)->pin;
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < live->n_nodes && status == PH_OK; i++) {
        struct node *node = &live->nodes[i];

        atomic_fetch_add(&live->n_running, 1);
        status = phi_thread_create(node->name, pin ? (int)i % phi_thread_cores() : -1, node_main,
                                   node, &node->thread, reterr);
        if (status != PH_OK)
            atomic_fetch_sub(&live->n_running, 1);
    }
    return status;
}

enum ph_status phi_live_plan(struct phi_live *live, struct ph_error *reterr)
{
    enum ph_status status = plan_stages(live, reterr);

    phi_order_init(&live->order, (uint64_t)phi_run_engine(live->run)->max_gap);
    if (status == PH_OK)
        status = make_view(live, reterr);
    if (status == PH_OK) {
        make_nodes(live);
        status = make_pools(live, reterr);
    }
    if (status == PH_OK)
        status = make_edges(live, reterr);
    if (status == PH_OK)
        status = init_stages(live, reterr);
    if (status == PH_OK)
        status = start_nodes(live, reterr);
    return status;
}
