/* SPDX-License-Identifier: MIT */
#include "bench/times.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define MAX_SKIPPED 20 /* the first volumes touch memory and estimators for the first time */

/* What is known of one volume; 0: nothing. */
struct volume {
    int64_t received_ns, filters_ns, decoded_ns, first_picture_ns, last_picture_ns;
};

struct gathering {
    const struct phi_trace *trace;
    const struct phi_view_info *info;
    struct bench_result *result;
    struct volume *volumes; /* [result->n_volumes] */
    double *values;         /* room for the longest list of times */
};

static void note(struct volume *volume, uint32_t kind, const struct phi_span_record *span)
{
    switch (kind) {
    case PH_STAGE_SOURCE:
        volume->received_ns = span->start_ns;
        break;
    case PH_STAGE_FILTER:
        volume->filters_ns += span->end_ns - span->start_ns;
        volume->decoded_ns = span->end_ns;
        break;
    case PH_STAGE_DECODER:
        volume->decoded_ns = span->end_ns;
        break;
    case PH_STAGE_GENERATOR:
        if (!volume->first_picture_ns)
            volume->first_picture_ns = span->end_ns;
        volume->last_picture_ns = span->end_ns;
        break;
    default:
        break;
    }
}

/* Calls of stage `i` on frames that count: either the time they took or the time they waited. */
static size_t list_times(const struct gathering *g, size_t i, bool waits)
{
    const struct phi_span_record *span;
    size_t n = 0;

    for (size_t k = 0; (span = phi_trace_at(g->trace, i, k)); k++) {
        if (span->kind == PH_FRAME_EVENT || span->index < g->result->n_skipped ||
            (waits && span->queued_ns == 0))
            continue;
        g->values[n++] =
            (double)(waits ? span->start_ns - span->queued_ns : span->end_ns - span->start_ns) /
            1e6;
    }
    return n;
}

static void gather_stage(struct gathering *g, size_t i)
{
    struct bench_stage *stage = &g->result->stages[i];
    const struct phi_span_record *span;
    uint64_t newest = 0;

    (void)phi_str_copy(stage->name, sizeof stage->name, g->info->stages[i].name);
    stage->busy = bench_stats_of(g->values, list_times(g, i, false));
    stage->waits = bench_stats_of(g->values, list_times(g, i, true));
    for (size_t k = 0; (span = phi_trace_at(g->trace, i, k)); k++) {
        if (span->kind == PH_FRAME_EVENT || span->index >= g->result->n_volumes)
            continue;
        note(&g->volumes[span->index], g->info->stages[i].kind, span);
        /* a sink hears of the same volume from several stages, each at its own time */
        if (g->info->stages[i].kind != PH_STAGE_SINK && span->index < newest)
            g->result->stages_in_order = false;
        newest = span->index;
    }
    if (g->info->stages[i].kind == PH_STAGE_GENERATOR)
        g->result->n_pictures += phi_trace_count(g->trace, i);
}

/* Where both ends of a stretch stand in a volume, and the sender's time of it. */
enum stretch { DECODED, LAST_PICTURE, FIRST_PICTURE, SHOWN, ACKED, FILTERS };

static int64_t length_of(const struct gathering *g, size_t i, enum stretch stretch)
{
    const struct volume *v = &g->volumes[i];
    int64_t sent_ns = g->result->sent.sent_ns[i], acked_ns = g->result->sent.acked_ns[i];
    int64_t from = v->received_ns, to = v->decoded_ns;

    if (stretch == FILTERS)
        return v->filters_ns ? v->filters_ns : -1;
    if (stretch == LAST_PICTURE || stretch == SHOWN)
        to = v->last_picture_ns;
    if (stretch == FIRST_PICTURE)
        to = v->first_picture_ns;
    if (stretch == ACKED)
        to = acked_ns;
    if (stretch == SHOWN || stretch == ACKED)
        from = sent_ns;
    return from && to ? to - from : -1;
}

static struct bench_stats stretch_of(const struct gathering *g, enum stretch stretch)
{
    size_t n = 0;

    for (size_t i = g->result->n_skipped; i < g->result->n_volumes; i++) {
        int64_t ns = length_of(g, i, stretch);

        if (ns >= 0)
            g->values[n++] = (double)ns / 1e6;
    }
    return bench_stats_of(g->values, n);
}

static void gather_run(struct gathering *g)
{
    struct bench_result *r = g->result;
    int64_t begun_ns = INT64_MAX, done_ns = 0, acked_ns = 0;

    r->acks_in_order = true;
    for (size_t i = 0; i < r->n_volumes; i++) {
        const struct volume *v = &g->volumes[i];
        int64_t end_ns = v->last_picture_ns ? v->last_picture_ns : v->decoded_ns;

        if (i > 0 && r->sent.sent_ns[i] && r->sent.sent_ns[i] < begun_ns)
            begun_ns = r->sent.sent_ns[i];
        if (end_ns > done_ns)
            done_ns = end_ns;
        if (r->sent.acked_ns[i] && r->sent.acked_ns[i] < acked_ns)
            r->acks_in_order = false;
        if (r->sent.acked_ns[i])
            acked_ns = r->sent.acked_ns[i];
    }
    r->seconds = done_ns > begun_ns ? (double)(done_ns - begun_ns) / 1e9 : 0;
    if (r->sent.acked_ns[0])
        r->planned_ms = (double)(r->sent.acked_ns[0] - r->sent.sent_ns[0]) / 1e6;
    r->decoded = stretch_of(g, DECODED);
    r->picture = stretch_of(g, LAST_PICTURE);
    r->first = stretch_of(g, FIRST_PICTURE);
    r->shown = stretch_of(g, SHOWN);
    r->ack = stretch_of(g, ACKED);
    r->filters = stretch_of(g, FILTERS);
}

enum ph_status bench_times_of(const struct phi_trace *trace, const struct phi_view_info *info,
                              struct bench_result *result, struct ph_error *reterr)
{
    struct gathering g = {.trace = trace, .info = info, .result = result};
    size_t room = result->n_volumes > PHI_TRACE_SPANS ? result->n_volumes : PHI_TRACE_SPANS;

    g.volumes = phi_calloc(result->n_volumes, sizeof *g.volumes);
    g.values = phi_calloc(room, sizeof *g.values);
    if (!g.volumes || !g.values) {
        phi_free(g.volumes);
        phi_free(g.values);
        return phi_error_nomem(reterr, "the times of a run", room * sizeof *g.values);
    }
    result->n_skipped = 1 + result->n_volumes / 10;
    if (result->n_skipped > MAX_SKIPPED)
        result->n_skipped = MAX_SKIPPED;
    result->n_stages = info->n_stages;
    result->stages_in_order = true;
    for (size_t i = 0; i < info->n_stages; i++)
        gather_stage(&g, i);
    gather_run(&g);
    phi_free(g.volumes);
    phi_free(g.values);
    return PH_OK;
}
