/* SPDX-License-Identifier: MIT */
#include "rt/trace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "rt/json.h"

struct track {
    char name[32];
    uint64_t n;
    struct phi_span_record *spans; /* [n_spans] */
};

struct phi_trace {
    size_t n_tracks;
    size_t n_spans;
    struct track *tracks;
};

enum ph_status phi_trace_create(size_t n_tracks, size_t n_spans, struct phi_trace **ret_trace,
                                struct ph_error *reterr)
{
    struct phi_trace *trace = phi_calloc(1, sizeof *trace);
    bool whole;

    n_spans = n_spans ? n_spans : PHI_TRACE_SPANS;
    if (trace)
        trace->tracks = phi_calloc(n_tracks, sizeof *trace->tracks);
    whole = trace && trace->tracks;
    for (size_t i = 0; whole && i < n_tracks; i++) {
        trace->n_tracks = i + 1;
        trace->tracks[i].spans = phi_calloc(n_spans, sizeof *trace->tracks[i].spans);
        whole = trace->tracks[i].spans != NULL;
    }
    if (!whole) {
        phi_trace_destroy(&trace);
        return phi_error_nomem(reterr, "the trace", n_spans * sizeof(struct phi_span_record));
    }
    trace->n_spans = n_spans;
    *ret_trace = trace;
    return PH_OK;
}

void phi_trace_destroy(struct phi_trace **trace)
{
    if (!trace || !*trace)
        return;
    for (size_t i = 0; i < (*trace)->n_tracks; i++)
        phi_free((*trace)->tracks[i].spans);
    phi_free((*trace)->tracks);
    phi_free(*trace);
    *trace = NULL;
}

void phi_trace_name(struct phi_trace *trace, size_t track, const char *name)
{
    (void)phi_str_copy(trace->tracks[track].name, sizeof trace->tracks[track].name, name);
}

void phi_trace_add(struct phi_trace *trace, size_t track, const struct phi_span_record *span)
{
    struct track *t = &trace->tracks[track];

    t->spans[t->n % trace->n_spans] = *span;
    t->n++;
}

uint64_t phi_trace_count(const struct phi_trace *trace, size_t track)
{
    return trace->tracks[track].n;
}

const struct phi_span_record *phi_trace_at(const struct phi_trace *trace, size_t track, size_t i)
{
    const struct track *t = &trace->tracks[track];
    uint64_t first = t->n > trace->n_spans ? t->n - trace->n_spans : 0;

    return first + i < t->n ? &t->spans[(first + i) % trace->n_spans] : NULL;
}

static void write_span(FILE *file, const struct track *track, size_t id,
                       const struct phi_span_record *span)
{
    double wait_us = span->queued_ns ? (double)(span->start_ns - span->queued_ns) / 1e3 : 0;

    (void)fprintf(file, ",\n{\"name\":");
    phi_json_string(file, track->name);
    (void)fprintf(file,
                  ",\"ph\":\"X\",\"pid\":1,\"tid\":%zu,\"ts\":%.3f,\"dur\":%.3f,\"args\":{"
                  "\"index\":%llu,\"kind\":%u,\"depth\":%u,\"wait_us\":%.3f}}",
                  id + 1, (double)span->start_ns / 1e3,
                  (double)(span->end_ns - span->start_ns) / 1e3, (unsigned long long)span->index,
                  (unsigned)span->kind, (unsigned)span->depth, wait_us);
}

static void write_tracks(const struct phi_trace *trace, FILE *file)
{
    (void)fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
                "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"phos\"}}",
                file);
    for (size_t id = 0; id < trace->n_tracks; id++) {
        const struct phi_span_record *span;

        (void)fprintf(
            file,
            ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%zu,\"args\":{\"name\":",
            id + 1);
        phi_json_string(file, trace->tracks[id].name);
        (void)fputs("}}", file);
        for (size_t i = 0; (span = phi_trace_at(trace, id, i)); i++)
            write_span(file, &trace->tracks[id], id, span);
    }
    (void)fputs("\n]}\n", file);
}

enum ph_status phi_trace_write(const struct phi_trace *trace, const char *path,
                               struct ph_error *reterr)
{
    FILE *file = fopen(path, "we");
    int failed;

    if (!file)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write the trace '%s'", path);
    write_tracks(trace, file);
    failed = ferror(file);
    if (fclose(file) != 0 || failed)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write the trace '%s'", path);
    return PH_OK;
}
