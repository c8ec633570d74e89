/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "graph/live_internal.h"
#include "host/spec.h"
#include "rt/clock.h"

struct ph_frame phi_live_end_mark;

static bool aborted(const struct node *node)
{
    return atomic_load_explicit(&node->live->aborted, memory_order_relaxed);
}

static void release(struct ph_frame *frame)
{
    if (frame != &phi_live_end_mark)
        phi_frame_unref(frame);
}

void phi_node_push(struct node *node, struct edge *edge, struct ph_frame *frame)
{
    while (!phi_ring_push(edge->ring, frame)) {
        if (aborted(node)) {
            release(frame);
            return;
        }
        phi_doorbell_arm(node->bell);
        if (phi_ring_count(edge->ring) >= phi_ring_depth(edge->ring) && !aborted(node))
            (void)phi_doorbell_wait(node->bell, -1);
    }
    phi_doorbell_ring(edge->to->bell);
}

/* Sinks have events from the filters already; the decoder passes them on to generators only. */
static bool wants(const struct node *from, const struct edge *edge, const struct ph_frame *frame)
{
    return frame->kind != PH_FRAME_EVENT || from->first_stage <= 1 ||
           edge->to->run != phi_node_run_sink;
}

void phi_node_fan_out(struct node *node, struct ph_frame *frame)
{
    int n = 0;

    if (phi_frame_refs(frame) == 1) /* an event that a decoder passes on is shared already */
        phi_frame_stamp(frame, phi_clock_ns());
    for (size_t i = 0; i < node->n_out; i++)
        n += wants(node, node->out[i], frame);
    if (n == 0) {
        phi_frame_unref(frame);
        return;
    }
    phi_frame_ref(frame, n - 1);
    for (size_t i = 0; i < node->n_out && n > 0; i++)
        if (wants(node, node->out[i], frame)) {
            n--; /* the last consumer may recycle the frame at once */
            phi_node_push(node, node->out[i], frame);
        }
}

void phi_node_end(struct node *node)
{
    for (size_t i = 0; i < node->n_out; i++)
        phi_node_push(node, node->out[i], &phi_live_end_mark);
}

struct ph_frame *phi_node_take(struct node *node, struct phi_pool *pool)
{
    struct ph_frame *frame;

    while (!(frame = phi_pool_take(pool))) {
        if (aborted(node))
            return NULL;
        phi_doorbell_arm(node->bell);
        frame = phi_pool_take(pool);
        if (frame)
            break;
        if (!aborted(node))
            (void)phi_doorbell_wait(node->bell, -1);
    }
    return frame;
}

void phi_node_before(struct node *node, size_t i)
{
    struct seat *seat = &node->live->seats[i];

    seat->started_ns = phi_clock_ns();
    if (node->live->options.guard && seat->n_calls > 0)
        node->live->options.guard(true);
}

void phi_node_after(struct node *node, size_t i, const struct ph_frame *frame, int64_t away_ns)
{
    struct phi_live *live = node->live;
    struct seat *seat = &live->seats[i];
    int64_t end_ns = phi_clock_ns() - away_ns;
    struct phi_span_record span = {
        .index = frame->index,
        .queued_ns = i == node->first_stage ? phi_frame_queued_ns(frame) : 0,
        .start_ns = seat->started_ns,
        .end_ns = end_ns,
        .kind = frame->kind,
        .depth = seat->depth,
    };

    if (live->options.guard && seat->n_calls > 0)
        live->options.guard(false);
    seat->n_calls++;
    phi_trace_add(live->trace, i, &span);
    if (frame->kind != PH_FRAME_EVENT)
        phi_view_put_stage(live->view, i, end_ns - seat->started_ns, seat->depth);
}

/* The next frame of any input, round robin; the edge it came by. NULL if there is none now. */
static struct ph_frame *poll_inputs(struct node *node, struct edge **ret_edge)
{
    for (size_t k = 0; k < node->n_in; k++) {
        struct edge *edge = node->in[(node->next_in + k) % node->n_in];
        struct ph_frame *frame = phi_ring_pop(edge->ring);

        if (!frame)
            continue;
        node->next_in = (node->next_in + k + 1) % node->n_in;
        phi_doorbell_ring(edge->from->bell);
        *ret_edge = edge;
        return frame;
    }
    return NULL;
}

static bool any_input(const struct node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (phi_ring_count(node->in[i]->ring) > 0)
            return true;
    return false;
}

static bool all_ended(const struct node *node)
{
    for (size_t i = 0; i < node->n_in; i++)
        if (!node->in[i]->ended)
            return false;
    return true;
}

/* True if a generator has been asked something that its loop has not seen yet. */
static bool asked(const struct node *node)
{
    return node->run == phi_node_run_generator &&
           atomic_load_explicit(&node->move_interval_ns, memory_order_relaxed) !=
               node->interval_seen_ns;
}

/* Waits for the next frame until `deadline_ns` (0: for ever). NULL at the deadline, when all inputs
 * have ended, after an abort, and for a generator that has been asked something. */
static struct ph_frame *next_frame(struct node *node, int64_t deadline_ns)
{
    while (!aborted(node) && !all_ended(node)) {
        struct edge *edge = NULL;
        struct ph_frame *frame = poll_inputs(node, &edge);
        int64_t left_ns = deadline_ns ? deadline_ns - phi_clock_ns() : -1;

        if (frame == &phi_live_end_mark) {
            edge->ended = true;
            continue;
        }
        if (frame)
            return frame;
        if (deadline_ns && left_ns <= 0)
            return NULL;
        phi_doorbell_arm(node->bell);
        if (asked(node))
            return NULL;
        if (!any_input(node) && !aborted(node))
            (void)phi_doorbell_wait(node->bell, left_ns);
    }
    return NULL;
}

static uint32_t depth_of(const struct node *node)
{
    size_t n = 0;

    for (size_t i = 0; i < node->n_in; i++)
        n += phi_ring_count(node->in[i]->ring);
    return (uint32_t)n;
}

/* After an abort the queues still hold references. */
static void drop_inputs(struct node *node)
{
    struct edge *edge = NULL;
    struct ph_frame *frame;

    while ((frame = poll_inputs(node, &edge)))
        release(frame);
}

/* Filter chain and decoder. */

static struct ph_frame *pipe_take(void *arg, size_t i)
{
    struct node *node = arg;

    return phi_node_take(node, node->pools[i]);
}

static void pipe_release(void *arg, struct ph_frame *frame)
{
    (void)arg;
    phi_frame_unref(frame);
}

/* A latent that is not a number is no finding. */
static void check_latent(struct node *node, struct ph_frame *frame)
{
    const float *values = frame->data;
    size_t n = ph_frame_count(frame);

    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i])) {
            frame->flags |= PH_FLAG_INVALID;
            phi_live_count_failure(node->live, node->first_stage, PH_E_FORMAT, frame);
            return;
        }
}

/* A volume has left the last science stage. */
static void note_done(struct node *node, const struct phi_view_point *point)
{
    struct phi_live *live = node->live;
    struct phi_view_point done = *point;

    if (done.flags & PH_FLAG_GAP || done.received_ns == 0) {
        phi_view_put_point(live->view, &done);
        return;
    }
    done.latency_ns = phi_clock_ns() - done.received_ns;
    phi_latency_add(live->latency, done.latency_ns);
    phi_view_put_latency(live->view, done.latency_ns, (done.flags & PH_FLAG_CENSORED) != 0);
    phi_view_put_point(live->view, &done);
}

static struct phi_view_point point_of(const struct ph_frame *frame)
{
    return (struct phi_view_point){
        frame->index, frame->flags, frame->acquired_s, frame->received_ns, 0, frame->quality};
}

/* Without a decoder a volume is done when it leaves the filters, which have measured it. */
static void note_filtered(struct node *node, const struct ph_frame *frame)
{
    const struct phi_view_point point = point_of(frame);

    if (node->live->last_science == node && frame->kind != PH_FRAME_EVENT &&
        frame->kind != PH_FRAME_LATENT)
        note_done(node, &point);
}

static void pipe_deliver(void *arg, struct ph_frame *frame)
{
    struct node *node = arg;

    if (frame->kind == PH_FRAME_LATENT) {
        check_latent(node, frame);
        phi_view_put_latent(node->live->view, frame);
    }
    note_filtered(node, frame);
    phi_node_fan_out(node, frame);
}

static void pipe_failed(void *arg, size_t i, enum ph_status status, const struct ph_frame *frame)
{
    struct node *node = arg;

    phi_live_count_failure(node->live, node->first_stage + i, status, frame);
    if (node->pipe.stages[i].on_error == PHI_ON_ERROR_STOP)
        phi_live_fail(node->live, status, "stage '%s' failed (on_error: stop)",
                      node->pipe.stages[i].stage->name);
}

static void pipe_before(void *arg, size_t i, const struct ph_frame *frame)
{
    struct node *node = arg;

    (void)frame;
    phi_node_before(node, node->first_stage + i);
}

static void pipe_after(void *arg, size_t i, const struct ph_frame *frame, int64_t away_ns)
{
    struct node *node = arg;

    phi_node_after(node, node->first_stage + i, frame, away_ns);
}

static void pipe_passed(void *arg, size_t i, const struct ph_frame *frame)
{
    struct node *node = arg;

    if (node->first_stage + i == node->live->view_volume_stage && frame->kind == PH_FRAME_VOLUME)
        phi_view_put_volume(node->live->view, frame);
}

static void handle_frame(struct node *node, struct ph_frame *frame)
{
    struct phi_view_point point = point_of(frame);
    struct ph_event event = frame->u.event;
    bool is_event = frame->kind == PH_FRAME_EVENT;
    size_t n = node->pipe.n_stages;

    for (size_t i = 0; i < n; i++)
        node->live->seats[node->first_stage + i].depth = depth_of(node);
    if (node->live->view_volume_stage == 0 && node->first_stage == 1 && !is_event)
        phi_view_put_volume(node->live->view, frame);
    phi_pipe_push(&node->pipe, frame);
    if (node->live->last_science != node)
        return;
    if (is_event)
        phi_view_put_event(node->live->view, &event);
    else if (node->live->has_decoder)
        note_done(node, &point);
}

void phi_node_run_pipe(struct node *node)
{
    struct ph_frame *frame;

    node->pipe.calls = (struct phi_pipe_calls){
        .arg = node,
        .take = pipe_take,
        .release = pipe_release,
        .deliver = pipe_deliver,
        .failed = pipe_failed,
        .before = pipe_before,
        .after = pipe_after,
        .passed = pipe_passed,
    };
    while ((frame = next_frame(node, 0)))
        handle_frame(node, frame);
    if (!aborted(node))
        phi_pipe_end(&node->pipe);
    phi_node_end(node);
    drop_inputs(node);
}

/* Generators. */

static struct seat *own_seat(struct node *node)
{
    return &node->live->seats[node->first_stage];
}

/* Number of the generator among the generators. */
static size_t generator_of(const struct node *node)
{
    return node->first_stage - 1 - node->live->n_filters - (node->live->has_decoder ? 1 : 0);
}

static void inherit_latent(struct ph_frame *image, const struct ph_frame *latent,
                           const struct phi_stage *stage)
{
    phi_frame_shape(image, &stage->out);
    phi_frame_inherit(image, latent);
    image->u.image.latent = latent->u.latent;
    (void)phi_str_copy(image->u.image.generator, sizeof image->u.image.generator, stage->name);
}

static void render(struct node *node, const struct ph_frame *latent)
{
    struct phi_live *live = node->live;
    struct phi_stage *stage = own_seat(node)->stage;
    struct ph_frame *image = phi_node_take(node, node->pools[0]);
    enum ph_status status;

    if (!image)
        return;
    inherit_latent(image, latent, stage);
    image->generation = node->pipe.stages[0].generation;
    phi_node_before(node, node->first_stage);
    status = stage->type->ops->render(stage->state, latent, image);
    if (status >= 0)
        phi_view_put_picture(live->view, generator_of(node), image);
    phi_node_after(node, node->first_stage, latent, 0); /* the picture is in the mailbox */
    if (status < 0) {
        phi_live_count_failure(live, node->first_stage, status, latent);
        if (own_seat(node)->from->on_error == PHI_ON_ERROR_STOP)
            phi_live_fail(live, status, "stage '%s' failed (on_error: stop)", stage->name);
        phi_frame_unref(image);
        return;
    }
    phi_node_fan_out(node, image);
}

/* Keeps the newest latent for the moving picture. */
static void aim(struct node *node, const struct ph_frame *latent)
{
    const struct phi_stage *stage = own_seat(node)->stage;
    struct ph_frame *aimed = node->aimed;
    void *data = aimed->data;
    size_t capacity = aimed->capacity_bytes;

    if (!stage->type->ops->aim || ph_frame_count(latent) * sizeof(float) > capacity)
        return;
    *aimed = *latent;
    aimed->data = data;
    aimed->capacity_bytes = capacity;
    memcpy(data, latent->data, ph_frame_count(latent) * sizeof(float));
    node->has_aim = true;
    stage->type->ops->aim(stage->state, latent);
}

/* Improves the moving picture for half of its interval and shows it. */
static void move(struct node *node, int64_t interval_ns)
{
    const struct phi_stage *stage = own_seat(node)->stage;
    int64_t end_ns = phi_clock_ns() + interval_ns / 2;
    enum ph_status status = PH_OK;

    node->next_move_ns = phi_clock_ns() + interval_ns;
    if (!node->has_aim)
        return;
    while (stage->type->ops->step && status == PH_OK && phi_clock_ns() < end_ns)
        status = stage->type->ops->step(stage->state, end_ns - phi_clock_ns());
    if (status < 0)
        return;
    inherit_latent(node->moving, node->aimed, stage);
    if (stage->type->ops->peek(stage->state, node->moving) == PH_OK)
        phi_view_put_moving(node->live->view, generator_of(node), node->moving);
}

static bool wants_render(const struct node *node, const struct ph_frame *latent)
{
    const struct phi_run_engine *engine = phi_run_engine(node->live->run);

    if (latent->flags & PH_FLAG_INVALID)
        return false;
    return engine->render == PHI_RENDER_EACH || latent->flags & PH_FLAG_FINAL;
}

static void handle_latent(struct node *node, struct ph_frame *frame)
{
    struct phi_stage *stage = own_seat(node)->stage;
    struct ph_io io = {.struct_size = (uint32_t)sizeof io, .in = frame};

    phi_pipe_update(&node->pipe.stages[0]);
    own_seat(node)->depth = depth_of(node);
    if (frame->kind == PH_FRAME_EVENT) {
        if (phi_stage_event(stage, &io) < 0)
            phi_live_count_failure(node->live, node->first_stage, PH_E_INTERNAL, frame);
    } else {
        if (wants_render(node, frame))
            render(node, frame);
        if (!(frame->flags & PH_FLAG_INVALID))
            aim(node, frame);
    }
    phi_frame_unref(frame);
}

void phi_node_run_generator(struct node *node)
{
    while (!aborted(node) && !all_ended(node)) {
        int64_t interval_ns = atomic_load_explicit(&node->move_interval_ns, memory_order_relaxed);
        struct ph_frame *frame;

        if (interval_ns != node->interval_seen_ns)
            node->next_move_ns = phi_clock_ns();
        node->interval_seen_ns = interval_ns;
        frame = next_frame(node, interval_ns ? node->next_move_ns : 0);
        if (frame)
            handle_latent(node, frame);
        if (interval_ns && phi_clock_ns() >= node->next_move_ns)
            move(node, interval_ns);
    }
    phi_node_end(node);
    drop_inputs(node);
}

/* Sinks. */

static void handle_sink(struct node *node, struct ph_frame *frame)
{
    struct phi_live *live = node->live;
    struct phi_stage *stage = own_seat(node)->stage;
    struct ph_io io = {.struct_size = (uint32_t)sizeof io, .in = frame};
    enum ph_status status;

    phi_pipe_update(&node->pipe.stages[0]);
    own_seat(node)->depth = depth_of(node);
    phi_node_before(node, node->first_stage);
    if (frame->kind == PH_FRAME_EVENT)
        status = phi_stage_event(stage, &io);
    else
        status = stage->type->ops->process(stage->state, &io);
    phi_node_after(node, node->first_stage, frame, 0);
    if (status < 0) {
        phi_live_count_failure(live, node->first_stage, status, frame);
        if (own_seat(node)->from->on_error == PHI_ON_ERROR_STOP)
            phi_live_fail(live, status, "stage '%s' failed (on_error: stop)", stage->name);
    }
    phi_frame_unref(frame);
}

void phi_node_run_sink(struct node *node)
{
    struct ph_io io = {.struct_size = (uint32_t)sizeof io};
    struct ph_frame *frame;
    enum ph_status status;

    while ((frame = next_frame(node, 0)))
        handle_sink(node, frame);
    status = phi_stage_end(own_seat(node)->stage, &io);
    if (status < 0)
        phi_live_count_failure(node->live, node->first_stage, status, NULL);
    drop_inputs(node);
}
