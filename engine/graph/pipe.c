/* SPDX-License-Identifier: MIT */
#include "graph/pipe.h"

#include <string.h>

#include "host/spec.h"
#include "rt/clock.h"

/* Where the io calls of one stage lead; lives on the stack during the call. */
struct port {
    struct phi_pipe *pipe;
    size_t i;
    const struct ph_frame *in;
    int64_t away_ns; /* spent outside the stage during its call */
};

static void process(struct phi_pipe *pipe, size_t i, struct ph_frame *frame);

static void pass_on(struct phi_pipe *pipe, size_t i, struct ph_frame *frame)
{
    if (pipe->calls.passed)
        pipe->calls.passed(pipe->calls.arg, i, frame);
    if (i + 1 < pipe->n_stages)
        process(pipe, i + 1, frame);
    else
        pipe->calls.deliver(pipe->calls.arg, frame);
}

static struct ph_frame *port_take(void *self)
{
    struct port *port = self;
    const struct phi_pipe_stage *stage = &port->pipe->stages[port->i];
    int64_t start_ns = phi_clock_ns();
    struct ph_frame *frame = port->pipe->calls.take(port->pipe->calls.arg, port->i);

    port->away_ns += phi_clock_ns() - start_ns;
    if (!frame)
        return NULL;
    phi_frame_shape(frame, &stage->stage->out);
    if (port->in)
        phi_frame_inherit(frame, port->in);
    if (frame->kind == PH_FRAME_LATENT)
        (void)phi_str_copy(frame->u.latent.decoder, sizeof frame->u.latent.decoder,
                           stage->stage->name);
    frame->generation = stage->generation;
    return frame;
}

static struct ph_frame *port_take_event(void *self)
{
    (void)self;
    return NULL; /* only sources make events */
}

static void port_emit(void *self, struct ph_frame *frame)
{
    struct port *port = self;
    int64_t start_ns = phi_clock_ns();

    pass_on(port->pipe, port->i, frame);
    port->away_ns += phi_clock_ns() - start_ns;
}

static struct ph_io io_of(struct port *port, struct ph_frame *in)
{
    return (struct ph_io){
        .struct_size = (uint32_t)sizeof(struct ph_io),
        .in = in,
        .self = port,
        .take = port_take,
        .emit = port_emit,
        .take_event = port_take_event,
    };
}

void phi_pipe_update(struct phi_pipe_stage *stage)
{
    struct phi_snapshot *next = NULL;
    struct phi_snapshot *old = stage->live;

    if (stage->pending && atomic_load_explicit(stage->pending, memory_order_relaxed))
        next = atomic_exchange_explicit(stage->pending, NULL, memory_order_acquire);
    if (!next)
        return;
    phi_stage_update(stage->stage, next->params);
    stage->live = next;
    stage->generation = next->generation;
    if (!old)
        return;
    old->next = atomic_load_explicit(stage->retired, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(stage->retired, &old->next, old,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

/* What the run file wants when a stage fails on a frame. A filter that is not in place has no
 * output then: a zero frame that is marked takes its place, so that later stages see the moment. */
static void on_failure(struct port *port, enum ph_status status, struct ph_frame *frame)
{
    struct phi_pipe *pipe = port->pipe;
    struct phi_pipe_stage *stage = &pipe->stages[port->i];
    struct ph_frame *marked;

    pipe->calls.failed(pipe->calls.arg, port->i, status, frame);
    if (stage->on_error == PHI_ON_ERROR_STOP)
        pipe->stopped = true;
    if (stage->on_error == PHI_ON_ERROR_BYPASS)
        stage->bypassed = true;
    if (!pipe->mark_failed)
        return; /* a decoder's input is shared with the sinks */
    frame->flags |= PH_FLAG_INVALID;
    if (stage->stage->type->caps & PH_CAP_IN_PLACE)
        return;
    marked = port_take(port);
    if (!marked)
        return;
    memset(marked->data, 0, marked->capacity_bytes);
    pass_on(pipe, port->i, marked);
}

static enum ph_status call_stage(struct phi_pipe *pipe, struct port *port, struct ph_frame *frame)
{
    struct phi_stage *stage = pipe->stages[port->i].stage;
    struct ph_io io = io_of(port, frame);
    enum ph_status status;

    if (pipe->calls.before)
        pipe->calls.before(pipe->calls.arg, port->i, frame);
    if (frame->kind == PH_FRAME_EVENT)
        status = phi_stage_event(stage, &io);
    else
        status = stage->type->ops->process(stage->state, &io);
    if (pipe->calls.after)
        pipe->calls.after(pipe->calls.arg, port->i, frame, port->away_ns);
    return status;
}

static void process(struct phi_pipe *pipe, size_t i, struct ph_frame *frame)
{
    struct phi_pipe_stage *stage = &pipe->stages[i];
    struct port port = {pipe, i, frame, 0};
    bool in_place = (stage->stage->type->caps & PH_CAP_IN_PLACE) != 0;
    enum ph_status status = PH_OK;

    phi_pipe_update(stage);
    if (!stage->bypassed && !pipe->stopped)
        status = call_stage(pipe, &port, frame);
    if (frame->kind == PH_FRAME_EVENT) {
        if (status < 0)
            pipe->calls.failed(pipe->calls.arg, i, status, frame);
        pass_on(pipe, i, frame);
        return;
    }
    if (status < 0)
        on_failure(&port, status, frame);
    if (in_place && status != PH_SKIP && !pipe->stopped) {
        frame->generation = stage->generation;
        pass_on(pipe, i, frame);
    } else {
        pipe->calls.release(pipe->calls.arg, frame);
    }
}

void phi_pipe_push(struct phi_pipe *pipe, struct ph_frame *frame)
{
    if (pipe->n_stages)
        process(pipe, 0, frame);
    else
        pipe->calls.deliver(pipe->calls.arg, frame);
}

void phi_pipe_end(struct phi_pipe *pipe)
{
    for (size_t i = 0; i < pipe->n_stages; i++) {
        struct port port = {pipe, i, NULL, 0};
        struct ph_io io = io_of(&port, NULL);
        enum ph_status status = phi_stage_end(pipe->stages[i].stage, &io);

        if (status < 0)
            pipe->calls.failed(pipe->calls.arg, i, status, NULL);
    }
}
