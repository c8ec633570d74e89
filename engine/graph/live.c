/* SPDX-License-Identifier: MIT */
#include "graph/live.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/live_internal.h"
#include "rt/clock.h"

void phi_live_fail(struct phi_live *live, enum ph_status status, const char *format, ...)
{
    struct ph_error err;
    char text[PH_ERROR_TEXT];
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    (void)phi_error(&err, status, "%s", text);
    phi_live_fail_as(live, &err);
}

void phi_live_fail_as(struct phi_live *live, const struct ph_error *err)
{
    (void)pthread_mutex_lock(&live->lock);
    if (live->failed == PH_OK) {
        live->err = *err;
        live->failed = (enum ph_status)err->status;
    }
    (void)pthread_mutex_unlock(&live->lock);
    phi_log_write(live->options.log, PH_LOG_ERROR, "", "run.failed", "%s", err->text);
    atomic_store(&live->stop, true);
    phi_stage_wake(live->seats[0].stage);
    phi_live_wake_all(live);
}

void phi_live_count_failure(struct phi_live *live, size_t i, enum ph_status status,
                            const struct ph_frame *frame)
{
    atomic_fetch_add_explicit(&live->n_failures, 1, memory_order_relaxed);
    if (frame)
        phi_log_write(live->options.log, PH_LOG_WARNING, live->seats[i].stage->name, "stage.failed",
                      "failed on volume %llu: %s", (unsigned long long)frame->index,
                      phi_status_name(status));
    else
        phi_log_write(live->options.log, PH_LOG_WARNING, live->seats[i].stage->name, "stage.failed",
                      "failed at the end of the run: %s", phi_status_name(status));
}

/* Doorbells of nodes that are not planned yet do not exist; `planned` publishes the others. */
void phi_live_wake_all(struct phi_live *live)
{
    if (phi_live_state(live) < PHI_LIVE_PLANNED) {
        phi_doorbell_ring(live->nodes[0].bell);
        return;
    }
    for (size_t i = 0; i < live->n_nodes; i++)
        if (live->nodes[i].bell)
            phi_doorbell_ring(live->nodes[i].bell);
}

static enum phi_view_state view_state(enum phi_live_state state)
{
    return state == PHI_LIVE_RUNNING    ? PHI_VIEW_RUNNING
           : state == PHI_LIVE_DRAINING ? PHI_VIEW_DRAINING
           : state == PHI_LIVE_STOPPED  ? PHI_VIEW_STOPPED
                                        : PHI_VIEW_WAITING;
}

void phi_live_advance(struct phi_live *live, enum phi_live_state state)
{
    (void)pthread_mutex_lock(&live->lock);
    if ((int)state > atomic_load(&live->state)) {
        atomic_store(&live->state, (int)state);
        if (live->view)
            phi_view_put_state(live->view, view_state(state));
    }
    (void)pthread_cond_broadcast(&live->changed);
    (void)pthread_mutex_unlock(&live->lock);
}

enum phi_live_state phi_live_state(const struct phi_live *live)
{
    return (enum phi_live_state)atomic_load(&live->state);
}

void phi_live_leave(struct phi_live *live)
{
    (void)pthread_mutex_lock(&live->lock);
    atomic_fetch_sub(&live->n_running, 1);
    (void)pthread_cond_broadcast(&live->changed);
    (void)pthread_mutex_unlock(&live->lock);
}

bool phi_live_finished(const struct phi_live *live)
{
    return phi_live_state(live) >= PHI_LIVE_DRAINING && atomic_load(&live->n_running) == 0;
}

static bool is_there(const struct phi_live *live, enum phi_live_state state)
{
    return phi_live_state(live) >= state || (state == PHI_LIVE_STOPPED && phi_live_finished(live));
}

bool phi_live_wait(struct phi_live *live, enum phi_live_state state, int64_t timeout_ns)
{
    int64_t deadline_ns = phi_clock_ns() + timeout_ns;
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / PHI_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % PHI_NS_PER_S)};
    bool there;
    int code = 0;

    (void)pthread_mutex_lock(&live->lock);
    while (!is_there(live, state) && code == 0)
        code = timeout_ns < 0 ? pthread_cond_wait(&live->changed, &live->lock)
                              : pthread_cond_timedwait(&live->changed, &live->lock, &until);
    there = is_there(live, state);
    (void)pthread_mutex_unlock(&live->lock);
    return there;
}

/* Services. */

static void service_log(void *arg, enum ph_log_level level, const char *stage, const char *id,
                        const char *text)
{
    const struct phi_live *live = arg;

    phi_log_write(live->options.log, level, stage, id, "%s", text);
}

static int64_t service_now(void *arg)
{
    (void)arg;
    return phi_clock_ns();
}

static void service_for(void *arg, size_t n, void (*fn)(void *fn_arg, size_t i), void *fn_arg)
{
    struct phi_live *live = arg;

    phi_team_for(live->team, n, fn, fn_arg);
}

static void service_stop(void *arg)
{
    phi_live_stop(arg);
}

static enum ph_status service_set(void *arg, const char *key, const char *value,
                                  struct ph_error *reterr)
{
    return phi_live_set_param(arg, key, value, reterr);
}

static void service_stats(void *arg, struct ph_run_stats *ret_stats)
{
    const struct phi_live *live = arg;

    if (phi_live_state(live) >= PHI_LIVE_PLANNED && live->view)
        phi_view_run_stats(live->view, ret_stats);
}

static void service_show_map(void *arg, const struct ph_map *map)
{
    struct phi_live *live = arg;

    (void)phi_shown_put_map(phi_view_shown(live->view), map);
}

static void service_show_curves(void *arg, const struct ph_curves *curves)
{
    struct phi_live *live = arg;

    (void)phi_shown_put_curves(phi_view_shown(live->view), curves);
}

static size_t n_workers(const struct phi_run *run)
{
    int64_t wanted = phi_run_engine(run)->workers;
    int cores = phi_thread_cores();

    if (wanted > 0)
        return (size_t)wanted;
    return (size_t)(cores < 8 ? cores : 8);
}

static enum ph_status add_seat(struct phi_live *live, const struct phi_run_stage *from,
                               struct ph_error *reterr)
{
    struct phi_services services = {
        .arg = live,
        .n_workers = (uint32_t)phi_team_size(live->team),
        .run_dir = live->run_dir,
        .log = service_log,
        .now_ns = service_now,
        .parallel_for = service_for,
        .request_stop = service_stop,
        .set_param = service_set,
        .run_stats = service_stats,
        .voxels = &live->voxels,
        .show_map = service_show_map,
        .show_curves = service_show_curves,
    };
    struct seat *seat = &live->seats[live->n_seats];
    struct phi_params *params = NULL;
    enum ph_status status;

    if (from->type->caps & PH_CAP_OFFLINE_ONLY && !live->options.offline)
        return phi_error(reterr, PH_E_INVAL, "%s:%d:%d: %s works offline only, not in a live run",
                         live->run->path, from->line, from->column, from->type->id);
    status = phi_params_copy(from->params, &seat->newest, reterr);
    live->n_seats++;
    if (status == PH_OK)
        status = phi_params_copy(from->params, &params, reterr);
    if (status == PH_OK)
        status = phi_stage_create(from->type, from->name, &params, &services, &seat->stage, reterr);
    seat->from = from;
    return status;
}

static enum ph_status add_seats(struct phi_live *live, struct ph_error *reterr)
{
    const struct phi_run *run = live->run;
    enum ph_status status = add_seat(live, &run->source, reterr);

    for (size_t i = 0; i < run->n_filters && status == PH_OK; i++)
        status = add_seat(live, &run->filters[i], reterr);
    if (run->decoder.type && status == PH_OK)
        status = add_seat(live, &run->decoder, reterr);
    for (size_t i = 0; i < run->n_generators && status == PH_OK; i++)
        status = add_seat(live, &run->generators[i], reterr);
    for (size_t i = 0; i < run->n_sinks && status == PH_OK; i++)
        status = add_seat(live, &run->sinks[i], reterr);
    return status;
}

static void init_sync(struct phi_live *live)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&live->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&live->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static enum ph_status set_up(struct phi_live *live, struct ph_error *reterr)
{
    const struct phi_run *run = live->run;
    struct node *source = &live->nodes[0];
    enum ph_status status;

    if (!run->source.type)
        return phi_error(reterr, PH_E_INVAL, "%s: the run has no source", run->path);
    if (phi_run_engine(run)->realtime && mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        phi_log_write(live->options.log, PH_LOG_WARNING, "", "run.mlock",
                      "memory cannot be locked here; pages may be swapped out");
    status = phi_team_create(n_workers(run), &live->team, reterr);
    if (status == PH_OK)
        status = add_seats(live, reterr);
    if (status == PH_OK)
        status = phi_doorbell_create(&source->bell, reterr);
    if (status == PH_OK)
        status = phi_stage_init(live->seats[0].stage, reterr);
    if (status != PH_OK)
        return status;
    source->live = live;
    source->run = phi_node_run_source;
    (void)phi_str_copy(source->name, sizeof source->name, run->source.name);
    live->n_nodes = 1;
    return PH_OK;
}

enum ph_status phi_live_create(const struct phi_run *run, const struct phi_live_options *options,
                               struct phi_live **ret_live, struct ph_error *reterr)
{
    struct phi_live *live = phi_calloc(1, sizeof *live);
    enum ph_status status;

    if (!live)
        return phi_error_nomem(reterr, "the run", sizeof *live);
    live->run = run;
    if (options)
        live->options = *options;
    live->n_filters = run->n_filters;
    live->has_decoder = run->decoder.type != NULL;
    live->n_generators = run->n_generators;
    live->n_sinks = run->n_sinks;
    (void)phi_str_copy(live->run_dir, sizeof live->run_dir,
                       live->options.run_dir ? live->options.run_dir : "");
    init_sync(live);
    status = set_up(live, reterr);
    if (status != PH_OK) {
        phi_live_destroy(&live);
        return status;
    }
    *ret_live = live;
    return PH_OK;
}

static void source_main(void *arg)
{
    struct node *node = arg;

    node->run(node);
    phi_live_leave(node->live);
}

enum ph_status phi_live_start(struct phi_live *live, struct ph_error *reterr)
{
    enum ph_status status;

    if (live->started)
        return phi_error(reterr, PH_E_STATE, "the run has been started already");
    atomic_store(&live->n_running, 1);
    status = phi_thread_create(live->nodes[0].name, -1, source_main, &live->nodes[0],
                               &live->nodes[0].thread, reterr);
    live->started = status == PH_OK;
    return status;
}

struct phi_view *phi_live_view(struct phi_live *live)
{
    enum phi_live_state state = phi_live_state(live);

    return state == PHI_LIVE_CREATED ? NULL : live->view;
}

void phi_live_stop(struct phi_live *live)
{
    if (atomic_exchange(&live->stop, true))
        return;
    phi_stage_wake(live->seats[0].stage);
    phi_live_wake_all(live);
}

void phi_live_abort(struct phi_live *live)
{
    atomic_store(&live->aborted, true);
    atomic_store(&live->stop, true);
    phi_stage_wake(live->seats[0].stage);
    phi_live_wake_all(live);
}

/* Live parameters. */

static struct seat *find_seat(struct phi_live *live, const char *name)
{
    for (size_t i = 0; i < live->n_seats; i++)
        if (strcmp(live->seats[i].stage->name, name) == 0)
            return &live->seats[i];
    return NULL;
}

static void free_snapshot(struct phi_snapshot *snapshot)
{
    if (!snapshot)
        return;
    phi_params_destroy(&snapshot->params);
    phi_free(snapshot);
}

static void free_retired(struct phi_live *live)
{
    struct phi_snapshot *snapshot =
        atomic_exchange_explicit(&live->retired, NULL, memory_order_acquire);

    while (snapshot) {
        struct phi_snapshot *next = snapshot->next;

        free_snapshot(snapshot);
        snapshot = next;
    }
}

/* Sends a copy of `params` to the stage and keeps `params` as its newest values. */
static enum ph_status publish(struct seat *seat, struct phi_params *params, struct ph_error *reterr)
{
    struct phi_snapshot *snapshot = phi_calloc(1, sizeof *snapshot);
    enum ph_status status;

    if (!snapshot)
        return phi_error_nomem(reterr, "a parameter change", sizeof *snapshot);
    status = phi_params_copy(params, &snapshot->params, reterr);
    if (status != PH_OK) {
        phi_free(snapshot);
        return status;
    }
    snapshot->generation = ++seat->generation;
    phi_params_destroy(&seat->newest);
    seat->newest = params;
    free_snapshot(atomic_exchange_explicit(&seat->pending, snapshot, memory_order_acq_rel));
    return PH_OK;
}

static enum ph_status set_param(struct phi_live *live, const char *name, const char *key,
                                const char *value, struct ph_error *reterr)
{
    struct seat *seat = find_seat(live, name);
    const struct ph_param *param = seat ? phi_param_find(seat->stage->type, key) : NULL;
    struct phi_params *params = NULL;
    enum ph_status status;

    if (!seat)
        return phi_error(reterr, PH_E_INVAL, "there is no stage '%s' in this run", name);
    if (param && !(param->flags & PH_PARAM_LIVE))
        return phi_error(reterr, PH_E_STATE, "'%s' of stage '%s' cannot change during a run", key,
                         name);
    if (seat->stage->type->kind == PH_STAGE_SOURCE)
        return phi_error(reterr, PH_E_STATE, "a source has no live parameters");
    status = phi_params_copy(seat->newest, &params, reterr);
    if (status == PH_OK)
        status = phi_params_set(params, key, value, NULL, reterr);
    if (status == PH_OK)
        status = publish(seat, params, reterr);
    if (status != PH_OK)
        phi_params_destroy(&params);
    return status;
}

enum ph_status phi_live_set_param(struct phi_live *live, const char *key, const char *value,
                                  struct ph_error *reterr)
{
    char name[64];
    const char *dot = strchr(key, '.');
    enum ph_status status;

    if (!dot || (size_t)(dot - key) >= sizeof name)
        return phi_error(reterr, PH_E_INVAL, "'%s' is not of the form stage.key", key);
    memcpy(name, key, (size_t)(dot - key));
    name[dot - key] = '\0';
    (void)pthread_mutex_lock(&live->lock);
    status = set_param(live, name, dot + 1, value, reterr);
    free_retired(live);
    (void)pthread_mutex_unlock(&live->lock);
    if (status == PH_OK)
        phi_log_write(live->options.log, PH_LOG_INFO, name, "run.param", "%s = %s", dot + 1, value);
    return status;
}

static void summarise(struct phi_live *live, struct phi_live_summary *ret_summary)
{
    *ret_summary = (struct phi_live_summary){
        .n_volumes = live->order.n_volumes,
        .n_missing = live->order.n_missing,
        .n_late = live->order.n_late,
        .n_events = atomic_load(&live->n_events),
        .n_failures = atomic_load(&live->n_failures),
        .interrupted = atomic_load(&live->stop) && live->failed == PH_OK,
    };
    if (live->latency)
        phi_latency_total(live->latency, &ret_summary->latency);
}

/* The source's thread is number 0: it starts the others, so it is joined first. */
static void join_all(struct phi_live *live)
{
    for (size_t i = 0; i < PHI_MAX_NODES; i++)
        phi_thread_join(&live->nodes[i].thread);
    phi_live_advance(live, PHI_LIVE_STOPPED);
    live->joined = true;
}

enum ph_status phi_live_join(struct phi_live *live, struct phi_live_summary *ret_summary,
                             struct ph_error *reterr)
{
    join_all(live);
    summarise(live, ret_summary);
    if (live->failed != PH_OK && reterr)
        *reterr = live->err;
    return live->failed;
}

const struct phi_trace *phi_live_trace(const struct phi_live *live)
{
    return live->trace;
}

static void destroy_node(struct node *node)
{
    for (size_t k = 0; k < PHI_MAX_FILTERS; k++) {
        phi_pool_destroy(&node->pools[k]);
        free_snapshot(node->pipe.stages[k].live);
    }
    if (node->moving)
        phi_free(node->moving->data);
    if (node->aimed)
        phi_free(node->aimed->data);
    phi_free(node->moving);
    phi_free(node->aimed);
    phi_doorbell_destroy(&node->bell);
}

static void free_parts(struct phi_live *live)
{
    for (size_t i = 0; i < live->n_seats; i++) {
        phi_stage_destroy(&live->seats[i].stage);
        phi_params_destroy(&live->seats[i].newest);
        free_snapshot(atomic_load(&live->seats[i].pending));
    }
    free_retired(live);
    phi_pool_destroy(&live->volumes);
    phi_pool_destroy(&live->events);
    for (size_t i = 0; i < PHI_MAX_NODES; i++)
        destroy_node(&live->nodes[i]);
    for (size_t i = 0; i < live->n_edges; i++)
        phi_ring_destroy(&live->edges[i].ring);
    phi_view_destroy(&live->view);
    phi_trace_destroy(&live->trace);
    phi_latency_destroy(&live->latency);
    phi_team_destroy(&live->team);
}

void phi_live_destroy(struct phi_live **live)
{
    struct phi_live *g = live ? *live : NULL;

    if (!g)
        return;
    if (g->started && !g->joined) {
        phi_live_abort(g);
        join_all(g);
    }
    free_parts(g);
    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->lock);
    phi_free(g);
    *live = NULL;
}
