/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/error.h"
#include "graph/live_internal.h"
#include "host/spec.h"
#include "rt/clock.h"

static bool must_stop(const struct node *node)
{
    return atomic_load_explicit(&node->live->stop, memory_order_relaxed);
}

static struct ph_frame *take_from(struct node *node, struct phi_pool *pool)
{
    return must_stop(node) ? NULL : phi_node_take(node, pool);
}

static struct ph_frame *source_take(void *self)
{
    struct node *node = self;
    struct ph_frame *frame = take_from(node, node->live->volumes);

    if (frame)
        phi_frame_shape(frame, &node->live->seats[0].stage->out);
    return frame;
}

static struct ph_frame *source_take_event(void *self)
{
    struct node *node = self;
    struct ph_frame *frame = take_from(node, node->live->events);

    if (!frame)
        return NULL;
    *frame = (struct ph_frame){.struct_size = (uint32_t)sizeof *frame, .kind = PH_FRAME_EVENT};
    phi_quality_clear(&frame->quality);
    return frame;
}

static void trace_arrival(struct node *node, const struct ph_frame *frame)
{
    int64_t now_ns = phi_clock_ns();
    struct phi_span_record span = {
        .index = frame->index,
        .start_ns = frame->received_ns ? frame->received_ns : now_ns,
        .end_ns = now_ns,
        .kind = frame->kind,
    };

    phi_trace_add(node->live->trace, 0, &span);
    if (frame->kind == PH_FRAME_VOLUME && frame->received_ns)
        phi_view_put_stage(node->live->view, 0, now_ns - frame->received_ns, 0);
}

static void send(struct node *node, struct ph_frame *frame)
{
    struct phi_live *live = node->live;

    if (frame->kind == PH_FRAME_EVENT)
        atomic_fetch_add_explicit(&live->n_events, 1, memory_order_relaxed);
    else if (phi_live_state(live) < PHI_LIVE_RUNNING)
        phi_live_advance(live, PHI_LIVE_RUNNING);
    phi_view_count(live->view, frame, live->order.n_missing, live->order.n_late);
    trace_arrival(node, frame);
    phi_node_fan_out(node, frame);
}

/* Stand-ins for the volumes that are missing before `frame`. */
static void fill_gaps(struct node *node, const struct ph_frame *frame)
{
    struct phi_live *live = node->live;
    uint64_t index = 0;

    while (phi_order_gap(&live->order, frame, &index)) {
        struct ph_frame *gap = source_take(node);

        phi_log_write(live->options.log, PH_LOG_WARNING, "", "run.gap", "volume %llu is missing",
                      (unsigned long long)index);
        if (!gap)
            return;
        phi_order_fill_gap(gap, index, &live->seats[0].stage->out);
        send(node, gap);
    }
}

static void source_emit(void *self, struct ph_frame *frame)
{
    struct node *node = self;
    struct phi_live *live = node->live;
    const struct phi_run_engine *engine = phi_run_engine(live->run);

    fill_gaps(node, frame);
    if (phi_order_accept(&live->order, frame)) {
        send(node, frame);
    } else {
        phi_log_write(live->options.log, PH_LOG_WARNING, "", "run.late",
                      "volume %llu came too late and is left out",
                      (unsigned long long)frame->index);
        phi_view_count(live->view, &(struct ph_frame){0}, live->order.n_missing,
                       live->order.n_late);
        phi_frame_unref(frame);
    }
    if (live->order.broken)
        phi_live_fail(live, PH_E_LIMIT,
                      "more than %lld volumes in a row are missing (engine.max_gap)",
                      (long long)engine->max_gap);
    else if (engine->gap == PHI_GAP_STOP && live->order.n_missing > 0)
        phi_live_fail(live, PH_E_PEER, "a volume is missing (engine.gap: stop)");
}

static void read_all(struct node *node)
{
    struct phi_stage *stage = node->live->seats[0].stage;
    struct ph_io io = {
        .struct_size = (uint32_t)sizeof io,
        .self = node,
        .take = source_take,
        .emit = source_emit,
        .take_event = source_take_event,
    };

    while (!must_stop(node)) {
        enum ph_status status = stage->type->ops->process(stage->state, &io);

        if (status == PH_EOS)
            return;
        if (status < 0)
            phi_live_fail(node->live, status, "source '%s' failed: %s", stage->name,
                          phi_status_name(status));
    }
}

/* Waits for the spec of the volumes. */
static enum ph_status discover(struct node *node, struct ph_error *reterr)
{
    enum ph_status status = PH_AGAIN;

    while (status == PH_AGAIN && !must_stop(node))
        status = phi_stage_discover(node->live->seats[0].stage, reterr);
    if (status == PH_AGAIN || (status == PH_EOS && must_stop(node)))
        return PH_EOS;
    if (status == PH_EOS)
        return phi_error(reterr, PH_E_FORMAT, "the source ended before its first volume");
    return status;
}

void phi_node_run_source(struct node *node)
{
    struct phi_live *live = node->live;
    struct ph_error err = {0};
    enum ph_status status = discover(node, &err);
    struct ph_io io = {.struct_size = (uint32_t)sizeof io};

    if (status == PH_OK) {
        status = phi_live_plan(live, &err);
        if (status == PH_OK) {
            phi_live_advance(live, PHI_LIVE_PLANNED);
            read_all(node);
        }
    }
    if (status < 0) {
        err.status = (int32_t)status;
        phi_live_fail_as(live, &err); /* its errno tells a missing file from a bad one */
    }
    phi_live_advance(live, PHI_LIVE_DRAINING);
    if (phi_stage_end(live->seats[0].stage, &io) < 0)
        phi_live_count_failure(live, 0, PH_E_IO, NULL);
    phi_node_end(node);
}
