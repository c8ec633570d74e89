/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/graph_internal.h"
#include "host/spec.h"

/* A queue's frames, one in the hands of each side, and some slack for a burst. */
static size_t pool_size(const struct phi_graph *graph)
{
    return 2 * (size_t)phi_run_engine(graph->run)->queue_depth + 4;
}

static struct phi_stage *stage_at(struct phi_graph *graph, size_t i)
{
    return graph->seats[i].stage;
}

/* Specs flow through filters to decoder and generators; sinks see what leaves the last filter. */
static enum ph_status plan_stages(struct phi_graph *graph, struct ph_error *reterr)
{
    size_t decoder = 1 + graph->n_filters;
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < graph->n_seats && status == PH_OK; i++) {
        uint32_t kind = stage_at(graph, i)->type->kind;
        size_t before = kind == PH_STAGE_GENERATOR ? decoder
                        : kind == PH_STAGE_SINK    ? graph->n_filters
                                                   : i - 1;

        status = phi_stage_plan(stage_at(graph, i), &stage_at(graph, before)->out, reterr);
        if (status != PH_OK && graph->seats[i].from->line > 0)
            (void)phi_error_prefix(reterr, "%s:%d:%d", graph->run->path, graph->seats[i].from->line,
                                   graph->seats[i].from->column);
    }
    return status;
}

static enum ph_status init_stages(struct phi_graph *graph, struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < graph->n_seats && status == PH_OK; i++)
        status = phi_stage_init(stage_at(graph, i), reterr);
    return status;
}

static void fill_info(struct phi_graph *graph, struct phi_view_info *info)
{
    const struct ph_spec *source = &stage_at(graph, 0)->out;
    double tr_s = source->geometry.tr_s;

    *info =
        (struct phi_view_info){.geometry = source->geometry,
                               .n_volumes = source->n_volumes,
                               .has_decoder = graph->has_decoder,
                               .n_stages = graph->n_seats,
                               .stale_after_s = phi_run_engine(graph->run)->stale_after_tr * tr_s};
    (void)phi_str_copy(info->title, sizeof info->title, graph->run->title ? graph->run->title : "");
    for (size_t i = 0; i < graph->n_seats; i++) {
        const struct phi_stage *stage = stage_at(graph, i);

        (void)phi_str_copy(info->stages[i].name, sizeof info->stages[i].name, stage->name);
        info->stages[i].kind = stage->type->kind;
        if (stage->type->kind == PH_STAGE_DECODER) {
            (void)phi_str_copy(info->decoder, sizeof info->decoder, stage->name);
            info->n_components = stage->out.dims[1];
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
    phi_graph_stop(arg);
}

static enum ph_status control_set(void *arg, const char *key, const char *value,
                                  struct ph_error *reterr)
{
    return phi_graph_set_param(arg, key, value, reterr);
}

static void control_mark(void *arg, const char *text)
{
    struct phi_graph *graph = arg;

    phi_log_write(graph->options.log, PH_LOG_INFO, "", "run.mark", "mark: %s", text);
}

static void control_move(void *arg, size_t g, int64_t interval_ns)
{
    struct phi_graph *graph = arg;
    size_t first = 2 + (graph->has_decoder ? 1 : 0);
    struct node *node = &graph->nodes[first + g];

    if (g >= graph->n_generators)
        return;
    atomic_store_explicit(&node->move_interval_ns, interval_ns, memory_order_relaxed);
    phi_doorbell_ring(node->bell);
}

static enum ph_status make_view(struct phi_graph *graph, struct ph_error *reterr)
{
    struct phi_view_control control = {graph, control_stop, control_set, control_move,
                                       control_mark};
    struct phi_view_info info;
    enum ph_status status;

    fill_info(graph, &info);
    for (size_t i = 0; i <= graph->n_filters; i++)
        if (stage_at(graph, i)->out.kind == PH_FRAME_VOLUME)
            graph->view_volume_stage = i;
    status = phi_view_create(&info, &control, &graph->view, reterr);
    if (status == PH_OK)
        status = phi_trace_create(graph->n_seats, 0, &graph->trace, reterr);
    if (status == PH_OK)
        status = phi_latency_create(&graph->latency, reterr);
    for (size_t i = 0; i < graph->n_seats && status == PH_OK; i++)
        phi_trace_name(graph->trace, i, stage_at(graph, i)->name);
    return status;
}

/* A pool for what stage `i` emits; its taker is `node`. */
static enum ph_status make_pool(struct phi_graph *graph, struct node *node, size_t i, size_t n,
                                struct phi_pool **ret_pool, struct ph_error *reterr)
{
    const struct phi_stage *stage = stage_at(graph, i);
    size_t n_bytes = 0;
    enum ph_status status = phi_spec_bytes(&stage->out, &n_bytes, reterr);

    if (status == PH_OK)
        status = phi_pool_create(n, n_bytes, node->bell, ret_pool, reterr);
    if (status != PH_OK)
        (void)phi_error_prefix(reterr, "stage '%s'", stage->name);
    return status;
}

static struct node *add_node(struct phi_graph *graph, const char *name, size_t first_stage,
                             void (*run)(struct node *node))
{
    struct node *node = &graph->nodes[graph->n_nodes++];

    node->graph = graph;
    node->first_stage = first_stage;
    node->run = run;
    (void)phi_str_copy(node->name, sizeof node->name, name);
    return node;
}

/* Puts stages [first, first + n) into the node's pipe. */
static void seat_stages(struct phi_graph *graph, struct node *node, size_t n)
{
    node->pipe.n_stages = n;
    node->pipe.mark_failed = node->first_stage == 1;
    for (size_t k = 0; k < n; k++) {
        struct seat *seat = &graph->seats[node->first_stage + k];

        node->pipe.stages[k] = (struct phi_pipe_stage){
            .stage = seat->stage,
            .on_error = seat->from->on_error,
            .pending = &seat->pending,
            .retired = &graph->retired,
        };
    }
}

/* The nodes; number 0, the source's, is there since create. */
static void make_nodes(struct phi_graph *graph)
{
    size_t i = 1 + graph->n_filters;

    seat_stages(graph, add_node(graph, "filters", 1, phi_node_run_pipe), graph->n_filters);
    graph->last_science = &graph->nodes[1];
    if (graph->has_decoder) {
        struct node *node = add_node(graph, stage_at(graph, i)->name, i, phi_node_run_pipe);

        seat_stages(graph, node, 1);
        graph->last_science = node;
        i++;
    }
    for (size_t g = 0; g < graph->n_generators; g++, i++)
        seat_stages(graph, add_node(graph, stage_at(graph, i)->name, i, phi_node_run_generator), 1);
    for (size_t s = 0; s < graph->n_sinks; s++, i++)
        seat_stages(graph, add_node(graph, stage_at(graph, i)->name, i, phi_node_run_sink), 1);
}

static enum ph_status connect(struct phi_graph *graph, struct node *from, struct node *to,
                              struct ph_error *reterr)
{
    struct edge *edge = &graph->edges[graph->n_edges];
    size_t depth = (size_t)phi_run_engine(graph->run)->queue_depth;
    enum ph_status status = phi_ring_create(depth, &edge->ring, reterr);

    if (status != PH_OK)
        return status;
    graph->n_edges++;
    edge->from = from;
    edge->to = to;
    from->out[from->n_out++] = edge;
    to->in[to->n_in++] = edge;
    return PH_OK;
}

/* source -> filters -> decoder -> generators; filters, decoder and generators -> every sink. */
static enum ph_status make_edges(struct phi_graph *graph, struct ph_error *reterr)
{
    struct node *nodes = graph->nodes;
    size_t n_science = graph->n_nodes - graph->n_sinks;
    enum ph_status status = connect(graph, &nodes[0], &nodes[1], reterr);

    if (status == PH_OK && graph->has_decoder)
        status = connect(graph, &nodes[1], &nodes[2], reterr);
    for (size_t g = 0; g < graph->n_generators && status == PH_OK; g++)
        status = connect(graph, &nodes[2], &nodes[3 + g], reterr);
    for (size_t from = 1; from < n_science; from++)
        for (size_t to = n_science; to < graph->n_nodes && status == PH_OK; to++)
            status = connect(graph, &nodes[from], &nodes[to], reterr);
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

static enum ph_status make_node_pools(struct phi_graph *graph, struct node *node,
                                      struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (size_t k = 0; k < node->pipe.n_stages && status == PH_OK; k++) {
        const struct phi_stage *stage = node->pipe.stages[k].stage;
        size_t n = k + 1 < node->pipe.n_stages ? 3 : pool_size(graph);
        bool makes_frames =
            stage->type->kind != PH_STAGE_SINK &&
            !(stage->type->kind == PH_STAGE_FILTER && stage->type->caps & PH_CAP_IN_PLACE);

        /* what a later filter in place changes travels on to the queues */
        if (k + 1 < node->pipe.n_stages &&
            node->pipe.stages[k + 1].stage->type->caps & PH_CAP_IN_PLACE)
            n = pool_size(graph);
        if (makes_frames)
            status = make_pool(graph, node, node->first_stage + k, n, &node->pools[k], reterr);
        if (status == PH_OK && stage->type->kind == PH_STAGE_GENERATOR)
            status = make_frame(&stage->out, &node->moving, reterr);
        if (status == PH_OK && stage->type->kind == PH_STAGE_GENERATOR)
            status = make_frame(&stage->in, &node->aimed, reterr);
    }
    return status;
}

static enum ph_status make_pools(struct phi_graph *graph, struct ph_error *reterr)
{
    size_t n_events = 64 + 4 * pool_size(graph);
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < graph->n_nodes && status == PH_OK; i++)
        status = phi_doorbell_create(&graph->nodes[i].bell, reterr);
    if (status == PH_OK)
        status = make_pool(graph, &graph->nodes[0], 0, pool_size(graph), &graph->volumes, reterr);
    if (status == PH_OK)
        status = phi_pool_create(n_events, 0, graph->nodes[0].bell, &graph->events, reterr);
    for (size_t i = 1; i < graph->n_nodes && status == PH_OK; i++)
        status = make_node_pools(graph, &graph->nodes[i], reterr);
    return status;
}

static void node_main(void *arg)
{
    struct node *node = arg;
    struct ph_error err;

    if (phi_run_engine(node->graph->run)->realtime && phi_thread_realtime(10, &err) != PH_OK)
        phi_log_write(node->graph->options.log, PH_LOG_WARNING, node->name, "run.realtime", "%s",
                      err.text);
    node->run(node);
}

static enum ph_status start_nodes(struct phi_graph *graph, struct ph_error *reterr)
{
    bool pin = phi_run_engine(graph->run)->pin;
    enum ph_status status = PH_OK;

    for (size_t i = 1; i < graph->n_nodes && status == PH_OK; i++) {
        struct node *node = &graph->nodes[i];

        status = phi_thread_create(node->name, pin ? (int)i % phi_thread_cores() : -1, node_main,
                                   node, &node->thread, reterr);
    }
    return status;
}

enum ph_status phi_graph_plan(struct phi_graph *graph, struct ph_error *reterr)
{
    enum ph_status status = plan_stages(graph, reterr);

    phi_order_init(&graph->order, (uint64_t)phi_run_engine(graph->run)->max_gap);
    if (status == PH_OK)
        status = make_view(graph, reterr);
    if (status == PH_OK) {
        make_nodes(graph);
        status = make_pools(graph, reterr);
    }
    if (status == PH_OK)
        status = make_edges(graph, reterr);
    if (status == PH_OK)
        status = init_stages(graph, reterr);
    if (status == PH_OK)
        status = start_nodes(graph, reterr);
    return status;
}
