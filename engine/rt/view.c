/* SPDX-License-Identifier: MIT */
#include "rt/view.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "rt/clock.h"
#include "rt/latency.h"
#include "rt/mailbox.h"
#include "rt/records.h"

#define N_POINTS 1024
#define N_EVENTS 256
#define N_LINES  128

/* A mailbox block: the header, then the payload. */
#define HEADER_BYTES ((sizeof(struct ph_frame) + PHI_ALIGN - 1) / PHI_ALIGN * PHI_ALIGN)

struct stage_times {
    struct phi_latency *latency;
    _Atomic int64_t last_ns;
    _Atomic uint32_t depth;
};

struct phi_view {
    struct phi_view_info info;
    struct phi_view_control control;
    size_t volume_bytes;
    size_t latent_bytes;
    size_t picture_bytes[PHI_VIEW_GENERATORS];
    struct phi_mailbox *volume;
    struct phi_shown *shown;
    struct phi_mailbox *latents[PHI_VIEW_SLOTS];
    struct phi_mailbox *pictures[PHI_VIEW_GENERATORS][PHI_VIEW_SLOTS];
    struct phi_mailbox *moving[PHI_VIEW_GENERATORS];
    struct phi_records *points;
    struct phi_records *events;
    struct phi_records *lines;
    struct phi_latency *latency;
    struct stage_times stages[PHI_VIEW_STAGES];
    _Atomic int newest_slot; /* -1: none */
    _Atomic int state;
    _Atomic uint64_t n_volumes;
    _Atomic uint64_t n_missing;
    _Atomic uint64_t n_censored;
    _Atomic uint64_t n_late;
    _Atomic uint64_t n_events;
    _Atomic int64_t newest_received_ns;
    _Atomic int64_t newest_acquired_us;
    _Atomic uint64_t changes;
};

static void touch(struct phi_view *view)
{
    atomic_fetch_add_explicit(&view->changes, 1, memory_order_relaxed);
}

static enum ph_status make_boxes(struct phi_view *view, struct ph_error *reterr)
{
    const struct phi_view_info *info = &view->info;
    const uint32_t *dims = info->geometry.dims;
    enum ph_status status;

    view->volume_bytes = (size_t)dims[0] * dims[1] * dims[2] * sizeof(float);
    view->latent_bytes = 2 * (size_t)info->n_components * sizeof(float);
    status = phi_mailbox_create(HEADER_BYTES + view->volume_bytes, &view->volume, reterr);
    if (status == PH_OK)
        status = phi_shown_create(dims, &view->shown, reterr);
    for (size_t i = 0; i < PHI_VIEW_SLOTS && status == PH_OK; i++)
        status = phi_mailbox_create(HEADER_BYTES + view->latent_bytes, &view->latents[i], reterr);
    for (size_t g = 0; g < info->n_generators && status == PH_OK; g++) {
        size_t n_bytes = (size_t)info->generators[g].width * info->generators[g].height * 3;

        view->picture_bytes[g] = n_bytes;
        status = phi_mailbox_create(HEADER_BYTES + n_bytes, &view->moving[g], reterr);
        for (size_t i = 0; i < PHI_VIEW_SLOTS && status == PH_OK; i++)
            status = phi_mailbox_create(HEADER_BYTES + n_bytes, &view->pictures[g][i], reterr);
    }
    return status;
}

static enum ph_status make_queues(struct phi_view *view, struct ph_error *reterr)
{
    enum ph_status status =
        phi_records_create(N_POINTS, sizeof(struct phi_view_point), &view->points, reterr);

    if (status == PH_OK)
        status = phi_records_create(N_EVENTS, sizeof(struct ph_event), &view->events, reterr);
    if (status == PH_OK)
        status = phi_records_create(N_LINES, sizeof(struct phi_view_line), &view->lines, reterr);
    if (status == PH_OK)
        status = phi_latency_create(&view->latency, reterr);
    for (size_t i = 0; i < view->info.n_stages && status == PH_OK; i++)
        status = phi_latency_create(&view->stages[i].latency, reterr);
    return status;
}

enum ph_status phi_view_create(const struct phi_view_info *info,
                               const struct phi_view_control *control, struct phi_view **ret_view,
                               struct ph_error *reterr)
{
    struct phi_view *view;
    enum ph_status status;

    if (info->n_generators > PHI_VIEW_GENERATORS || info->n_stages > PHI_VIEW_STAGES)
        return phi_error(reterr, PH_E_LIMIT, "the display knows %d generators and %d stages",
                         PHI_VIEW_GENERATORS, PHI_VIEW_STAGES);
    view = phi_calloc(1, sizeof *view);
    if (!view)
        return phi_error_nomem(reterr, "the display's view", sizeof *view);
    view->info = *info;
    if (control)
        view->control = *control;
    atomic_init(&view->newest_slot, -1);
    status = make_boxes(view, reterr);
    if (status == PH_OK)
        status = make_queues(view, reterr);
    if (status != PH_OK) {
        phi_view_destroy(&view);
        return status;
    }
    *ret_view = view;
    return PH_OK;
}

void phi_view_destroy(struct phi_view **view)
{
    struct phi_view *v = view ? *view : NULL;

    if (!v)
        return;
    phi_mailbox_destroy(&v->volume);
    phi_shown_destroy(&v->shown);
    for (size_t i = 0; i < PHI_VIEW_SLOTS; i++) {
        phi_mailbox_destroy(&v->latents[i]);
        for (size_t g = 0; g < PHI_VIEW_GENERATORS; g++)
            phi_mailbox_destroy(&v->pictures[g][i]);
    }
    for (size_t g = 0; g < PHI_VIEW_GENERATORS; g++)
        phi_mailbox_destroy(&v->moving[g]);
    phi_records_destroy(&v->points);
    phi_records_destroy(&v->events);
    phi_records_destroy(&v->lines);
    phi_latency_destroy(&v->latency);
    for (size_t i = 0; i < PHI_VIEW_STAGES; i++)
        phi_latency_destroy(&v->stages[i].latency);
    phi_free(v);
    *view = NULL;
}

const struct phi_view_info *phi_view_info(const struct phi_view *view)
{
    return &view->info;
}

struct phi_shown *phi_view_shown(struct phi_view *view)
{
    return view->shown;
}

static bool newest_frame(struct phi_mailbox *mailbox, const struct ph_frame **ret_frame)
{
    const void *block = NULL;
    bool fresh = mailbox && phi_mailbox_newest(mailbox, &block);

    *ret_frame = block;
    return fresh;
}

bool phi_view_volume(struct phi_view *view, const struct ph_frame **ret_frame)
{
    return newest_frame(view->volume, ret_frame);
}

bool phi_view_picture(struct phi_view *view, size_t g, size_t slot,
                      const struct ph_frame **ret_frame)
{
    return newest_frame(view->pictures[g % PHI_VIEW_GENERATORS][slot % PHI_VIEW_SLOTS], ret_frame);
}

bool phi_view_moving(struct phi_view *view, size_t g, const struct ph_frame **ret_frame)
{
    return newest_frame(view->moving[g % PHI_VIEW_GENERATORS], ret_frame);
}

bool phi_view_latent(struct phi_view *view, size_t slot, const struct ph_frame **ret_frame)
{
    return newest_frame(view->latents[slot % PHI_VIEW_SLOTS], ret_frame);
}

bool phi_view_newest_slot(struct phi_view *view, size_t *ret_slot)
{
    int slot = atomic_load_explicit(&view->newest_slot, memory_order_acquire);

    if (slot < 0)
        return false;
    *ret_slot = (size_t)slot;
    return true;
}

bool phi_view_next_point(struct phi_view *view, struct phi_view_point *ret_point)
{
    return phi_records_pop(view->points, ret_point);
}

bool phi_view_next_event(struct phi_view *view, struct ph_event *ret_event)
{
    return phi_records_pop(view->events, ret_event);
}

bool phi_view_next_line(struct phi_view *view, struct phi_view_line *ret_line)
{
    return phi_records_pop(view->lines, ret_line);
}

void phi_view_run_stats(const struct phi_view *view, struct ph_run_stats *ret_stats)
{
    struct phi_latency_stats latency;

    phi_latency_window(view->latency, &latency);
    *ret_stats = (struct ph_run_stats){
        .struct_size = (uint32_t)sizeof *ret_stats,
        .state = (uint32_t)atomic_load_explicit(&view->state, memory_order_relaxed),
        .n_volumes = atomic_load_explicit(&view->n_volumes, memory_order_relaxed),
        .n_missing = atomic_load_explicit(&view->n_missing, memory_order_relaxed),
        .n_censored = atomic_load_explicit(&view->n_censored, memory_order_relaxed),
        .latency_p50_ns = latency.p50_ns,
        .latency_p99_ns = latency.p99_ns,
        .latency_max_ns = latency.max_ns,
    };
}

void phi_view_status(struct phi_view *view, struct phi_view_status *ret_status)
{
    *ret_status = (struct phi_view_status){
        .state = (enum phi_view_state)atomic_load_explicit(&view->state, memory_order_relaxed),
        .n_events = atomic_load_explicit(&view->n_events, memory_order_relaxed),
        .n_late = atomic_load_explicit(&view->n_late, memory_order_relaxed),
        .n_dropped_points = phi_records_dropped(view->points),
        .newest_received_ns = atomic_load_explicit(&view->newest_received_ns, memory_order_acquire),
        .newest_acquired_s =
            (double)atomic_load_explicit(&view->newest_acquired_us, memory_order_relaxed) / 1e6,
        .now_ns = phi_clock_ns(),
        .changes = atomic_load_explicit(&view->changes, memory_order_relaxed),
    };
    phi_view_run_stats(view, &ret_status->stats);
}

void phi_view_stage(struct phi_view *view, size_t i, struct phi_view_stage *ret_stage)
{
    struct phi_latency_stats latency = {0};

    if (i < view->info.n_stages)
        phi_latency_window(view->stages[i].latency, &latency);
    *ret_stage = (struct phi_view_stage){
        .last_ns =
            atomic_load_explicit(&view->stages[i % PHI_VIEW_STAGES].last_ns, memory_order_relaxed),
        .p50_ns = latency.p50_ns,
        .p99_ns = latency.p99_ns,
        .max_ns = latency.max_ns,
        .n = latency.n,
        .depth =
            atomic_load_explicit(&view->stages[i % PHI_VIEW_STAGES].depth, memory_order_relaxed),
    };
}

/* The run's clock, seen from here: the newest volume was acquired at a known time and has been here
 * for a known while. Pictures speak of data up to the end of their volume. */
double phi_view_age_s(struct phi_view *view, const struct ph_frame *frame)
{
    int64_t received_ns = atomic_load_explicit(&view->newest_received_ns, memory_order_acquire);
    double acquired_s =
        (double)atomic_load_explicit(&view->newest_acquired_us, memory_order_relaxed) / 1e6;
    bool over = atomic_load_explicit(&view->state, memory_order_relaxed) == PHI_VIEW_STOPPED;
    double here_s = over ? 0 : (double)(phi_clock_ns() - received_ns) / 1e9;

    if (received_ns == 0 || !frame)
        return 0;
    return acquired_s + here_s - frame->acquired_s;
}

bool phi_view_is_stale(struct phi_view *view, const struct ph_frame *frame)
{
    return view->info.stale_after_s > 0 && phi_view_age_s(view, frame) > view->info.stale_after_s;
}

void phi_view_request_stop(struct phi_view *view)
{
    if (view->control.request_stop)
        view->control.request_stop(view->control.arg);
}

enum ph_status phi_view_set_param(struct phi_view *view, const char *key, const char *value,
                                  struct ph_error *reterr)
{
    if (!view->control.set_param)
        return phi_error(reterr, PH_E_STATE, "parameters cannot be changed in this run");
    return view->control.set_param(view->control.arg, key, value, reterr);
}

void phi_view_move(struct phi_view *view, size_t g, int64_t interval_ns)
{
    if (view->control.move && g < view->info.n_generators)
        view->control.move(view->control.arg, g, interval_ns);
}

void phi_view_mark(struct phi_view *view, const char *text)
{
    if (view->control.mark)
        view->control.mark(view->control.arg, text);
}

/* Copies a frame into a mailbox whose blocks hold `capacity` payload bytes. */
static void put_frame(struct phi_view *view, struct phi_mailbox *mailbox, size_t capacity,
                      const struct ph_frame *frame)
{
    size_t n_bytes = ph_frame_count(frame) * (frame->dtype == PH_DTYPE_U8 ? 1 : sizeof(float));
    struct ph_frame *copy;

    if (!mailbox || n_bytes > capacity)
        return;
    copy = phi_mailbox_back(mailbox);
    *copy = *frame;
    copy->data = (unsigned char *)copy + HEADER_BYTES;
    copy->capacity_bytes = capacity;
    memcpy(copy->data, frame->data, n_bytes);
    phi_mailbox_publish(mailbox);
    touch(view);
}

static size_t slot_of(const struct phi_view *view, const struct ph_latent *latent)
{
    double tr_s = view->info.geometry.tr_s > 0 ? view->info.geometry.tr_s : 1;
    double moment = round(latent->stimulus_s / tr_s);

    if (latent->trial != PH_NO_TRIAL)
        return latent->trial % PHI_VIEW_SLOTS;
    return moment > 0 && moment < 1e15 ? (size_t)moment % PHI_VIEW_SLOTS : 0;
}

void phi_view_put_volume(struct phi_view *view, const struct ph_frame *frame)
{
    put_frame(view, view->volume, view->volume_bytes, frame);
}

void phi_view_put_latent(struct phi_view *view, const struct ph_frame *frame)
{
    size_t slot = slot_of(view, &frame->u.latent);
    struct ph_frame statement = *frame; /* samples are for generators */

    statement.dims[0] = 2;
    put_frame(view, view->latents[slot], view->latent_bytes, &statement);
    atomic_store_explicit(&view->newest_slot, (int)slot, memory_order_release);
}

void phi_view_put_picture(struct phi_view *view, size_t g, const struct ph_frame *frame)
{
    size_t slot = slot_of(view, &frame->u.image.latent);

    if (g < view->info.n_generators)
        put_frame(view, view->pictures[g][slot], view->picture_bytes[g], frame);
}

void phi_view_put_moving(struct phi_view *view, size_t g, const struct ph_frame *frame)
{
    if (g < view->info.n_generators)
        put_frame(view, view->moving[g], view->picture_bytes[g], frame);
}

void phi_view_put_point(struct phi_view *view, const struct phi_view_point *point)
{
    (void)phi_records_push(view->points, point);
    touch(view);
}

void phi_view_put_event(struct phi_view *view, const struct ph_event *event)
{
    (void)phi_records_push(view->events, event);
    atomic_fetch_add_explicit(&view->n_events, 1, memory_order_relaxed);
    touch(view);
}

void phi_view_put_line(struct phi_view *view, const struct phi_view_line *line)
{
    (void)phi_records_push(view->lines, line);
    touch(view);
}

void phi_view_put_state(struct phi_view *view, enum phi_view_state state)
{
    atomic_store_explicit(&view->state, (int)state, memory_order_relaxed);
    touch(view);
}

void phi_view_count(struct phi_view *view, const struct ph_frame *frame, uint64_t n_missing,
                    uint64_t n_late)
{
    atomic_store_explicit(&view->n_missing, n_missing, memory_order_relaxed);
    atomic_store_explicit(&view->n_late, n_late, memory_order_relaxed);
    if (frame->kind != PH_FRAME_VOLUME || frame->flags & PH_FLAG_GAP)
        return;
    atomic_fetch_add_explicit(&view->n_volumes, 1, memory_order_relaxed);
    atomic_store_explicit(&view->newest_acquired_us, (int64_t)(frame->acquired_s * 1e6),
                          memory_order_relaxed);
    atomic_store_explicit(&view->newest_received_ns, frame->received_ns, memory_order_release);
    touch(view);
}

void phi_view_put_latency(struct phi_view *view, int64_t latency_ns, bool censored)
{
    phi_latency_add(view->latency, latency_ns);
    if (censored)
        atomic_fetch_add_explicit(&view->n_censored, 1, memory_order_relaxed);
}

void phi_view_put_stage(struct phi_view *view, size_t i, int64_t took_ns, uint32_t depth)
{
    if (i >= view->info.n_stages)
        return;
    phi_latency_add(view->stages[i].latency, took_ns);
    atomic_store_explicit(&view->stages[i].last_ns, took_ns, memory_order_relaxed);
    atomic_store_explicit(&view->stages[i].depth, depth, memory_order_relaxed);
}
