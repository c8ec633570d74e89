/* SPDX-License-Identifier: MIT */
#include "rt/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "rt/clock.h"
#include "rt/doorbell.h"
#include "rt/json.h"
#include "rt/records.h"
#include "rt/thread.h"

#define QUEUE_LINES 512

struct phi_log {
    struct phi_log_config config;
    struct phi_mrecords *queue;
    struct phi_doorbell *bell;
    struct phi_thread *thread;
    FILE *json;
    _Atomic bool stop;
    uint64_t dropped_said;
};

const char *phi_log_level_name(enum ph_log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug", "trace"};

    return (unsigned)level < 5 ? names[level] : "unknown";
}

static void write_person(const struct phi_log *log, const struct phi_log_line *line)
{
    time_t seconds = (time_t)(line->wall_ns / PHI_NS_PER_S);
    struct tm local;
    char text[512];
    struct phi_str out = phi_str_over(text, sizeof text);

    if (!localtime_r(&seconds, &local))
        return;
    phi_str_addf(&out, "%02d:%02d:%02d.%03d %-7s %s%s%s", local.tm_hour, local.tm_min, local.tm_sec,
                 (int)(line->wall_ns / PHI_NS_PER_MS % 1000), phi_log_level_name(line->level),
                 line->stage, line->stage[0] ? ": " : "", line->text);
    if (out.length > sizeof text - 2)
        out.length = sizeof text - 2;
    text[out.length] = '\n';
    if (write(log->config.fd, text, out.length + 1) < 0)
        return; /* a closed terminal must not end the run */
}

static void write_json(const struct phi_log *log, const struct phi_log_line *line)
{
    (void)fprintf(log->json, "{\"wall_ns\":%lld,\"mono_ns\":%lld,\"level\":\"%s\",\"stage\":",
                  (long long)line->wall_ns, (long long)line->mono_ns,
                  phi_log_level_name(line->level));
    phi_json_string(log->json, line->stage);
    (void)fputs(",\"id\":", log->json);
    phi_json_string(log->json, line->id);
    (void)fputs(",\"text\":", log->json);
    phi_json_string(log->json, line->text);
    (void)fputs("}\n", log->json);
}

static void handle(const struct phi_log *log, const struct phi_log_line *line)
{
    if (log->config.fd >= 0 && line->level <= log->config.level)
        write_person(log, line);
    if (log->json && line->level < PH_LOG_TRACE)
        write_json(log, line);
    if (log->config.tee && line->level <= log->config.tee_level)
        log->config.tee(log->config.arg, line);
}

static void fill(struct phi_log_line *line, enum ph_log_level level, const char *stage,
                 const char *id)
{
    line->wall_ns = phi_clock_wall_ns();
    line->mono_ns = phi_clock_ns();
    line->level = level;
    (void)phi_str_copy(line->stage, sizeof line->stage, stage);
    (void)phi_str_copy(line->id, sizeof line->id, id);
    line->text[0] = '\0';
}

static void say_dropped(struct phi_log *log)
{
    uint64_t dropped = phi_mrecords_dropped(log->queue);
    struct phi_log_line line;

    if (dropped == log->dropped_said)
        return;
    fill(&line, PH_LOG_WARNING, "", "log.dropped");
    (void)snprintf(line.text, sizeof line.text, "%llu log lines were dropped in a flood",
                   (unsigned long long)(dropped - log->dropped_said));
    log->dropped_said = dropped;
    handle(log, &line);
}

static void drain(struct phi_log *log)
{
    struct phi_log_line line;
    bool any = false;

    while (phi_mrecords_pop(log->queue, &line)) {
        handle(log, &line);
        any = true;
    }
    say_dropped(log);
    if (any && log->json)
        (void)fflush(log->json);
}

static void run(void *self)
{
    struct phi_log *log = self;

    while (!atomic_load(&log->stop)) {
        drain(log);
        phi_doorbell_arm(log->bell);
        drain(log);
        if (!atomic_load(&log->stop))
            (void)phi_doorbell_wait(log->bell, -1);
    }
    drain(log);
}

static enum ph_status open_parts(struct phi_log *log, struct ph_error *reterr)
{
    enum ph_status status =
        phi_mrecords_create(QUEUE_LINES, sizeof(struct phi_log_line), &log->queue, reterr);

    if (status == PH_OK)
        status = phi_doorbell_create(&log->bell, reterr);
    if (status == PH_OK && log->config.json_path) {
        log->json = fopen(log->config.json_path, "ae");
        if (!log->json)
            status = phi_error_os(reterr, PH_E_IO, errno, "cannot write the log file '%s'",
                                  log->config.json_path);
    }
    if (status == PH_OK)
        status = phi_thread_create("log", -1, run, log, &log->thread, reterr);
    return status;
}

enum ph_status phi_log_create(const struct phi_log_config *config, struct phi_log **ret_log,
                              struct ph_error *reterr)
{
    struct phi_log *log = phi_calloc(1, sizeof *log);
    enum ph_status status;

    if (!log)
        return phi_error_nomem(reterr, "the log", sizeof *log);
    log->config = *config;
    status = open_parts(log, reterr);
    if (status != PH_OK) {
        phi_log_destroy(&log);
        return status;
    }
    *ret_log = log;
    return PH_OK;
}

void phi_log_destroy(struct phi_log **log)
{
    if (!log || !*log)
        return;
    atomic_store(&(*log)->stop, true);
    if ((*log)->bell)
        phi_doorbell_ring((*log)->bell);
    phi_thread_join(&(*log)->thread);
    phi_doorbell_destroy(&(*log)->bell);
    phi_mrecords_destroy(&(*log)->queue);
    if ((*log)->json)
        (void)fclose((*log)->json);
    phi_free(*log);
    *log = NULL;
}

void phi_log_write(struct phi_log *log, enum ph_log_level level, const char *stage, const char *id,
                   const char *format, ...)
{
    struct phi_log_line line;
    va_list args;

    if (!log)
        return;
    fill(&line, level, stage, id);
    va_start(args, format);
    if (vsnprintf(line.text, sizeof line.text, format, args) < 0)
        line.text[0] = '\0';
    va_end(args);
    (void)phi_mrecords_push(log->queue, &line);
    phi_doorbell_ring(log->bell);
}
