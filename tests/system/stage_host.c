/* SPDX-License-Identifier: MIT
 *
 * Runs one source stage without an engine behind it, for tests that kill it: stage_host TYPE
 * RUN_DIR [key=value ...]. Prints a line a frame (kind, index, flags, CRC-32C of the payload or the
 * onset), flushed, so that what a killed process had given out is known; "ready" once it listens,
 * "end" at the end of the run. SIGTERM ends it in order. Parameter "delay_ms=N" (of this program)
 * makes the stage behind it slow.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crc.h"
#include "base/mem.h"
#include "base/str.h"
#include "host/registry.h"
#include "host/spec.h"
#include "host/stage.h"
#include "plugins/table.h"

static struct phi_stage *stage;
static volatile sig_atomic_t stopped;
static int64_t delay_ms;
static struct ph_frame volume, event;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
    if (stage)
        phi_stage_wake(stage);
}

static void log_line(void *arg, enum ph_log_level level, const char *name, const char *id,
                     const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%d %s %s: %s\n", (int)level, name, id, text);
}

static struct ph_frame *take(void *self)
{
    (void)self;
    if (stopped)
        return NULL;
    phi_frame_shape(&volume, &stage->out);
    volume.flags = 0;
    return &volume;
}

static struct ph_frame *take_event(void *self)
{
    (void)self;
    event = (struct ph_frame){.struct_size = sizeof event, .kind = PH_FRAME_EVENT};
    return stopped ? NULL : &event;
}

static void emit(void *self, struct ph_frame *frame)
{
    struct timespec wait = {.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000};

    (void)self;
    if (frame->kind == PH_FRAME_EVENT) {
        printf("event %u %.9g %s\n", frame->u.event.number, frame->u.event.onset_s,
               frame->u.event.trial_type);
    } else {
        printf("volume %llu %u %08x\n", (unsigned long long)frame->index, frame->flags,
               phi_crc32c(0, frame->data, ph_frame_count(frame) * sizeof(float)));
        (void)nanosleep(&wait, NULL);
    }
    (void)fflush(stdout);
}

static enum ph_status set_params(struct phi_params *params, int n, char **settings,
                                 struct ph_error *reterr)
{
    enum ph_status status = PH_OK;

    for (int i = 0; i < n && !status; i++) {
        char *equals = strchr(settings[i], '=');

        if (!equals)
            continue;
        *equals = '\0';
        if (strcmp(settings[i], "delay_ms") == 0)
            (void)phi_parse_i64(equals + 1, &delay_ms);
        else
            status = phi_params_set(params, settings[i], equals + 1, NULL, reterr);
    }
    return status ? status : phi_params_check(params, reterr);
}

static enum ph_status open_stage(const struct phi_registry *registry, int argc, char **argv,
                                 struct ph_error *reterr)
{
    const struct phi_services services = {.n_workers = 1, .run_dir = argv[2], .log = log_line};
    const struct phi_registered *found = phi_registry_find(registry, argv[1]);
    struct phi_params *params = NULL;
    enum ph_status status;

    if (!found)
        return PH_E_INVAL;
    status = phi_params_create(found->type, &params, reterr);
    if (!status)
        status = set_params(params, argc - 3, argv + 3, reterr);
    if (!status)
        status = phi_stage_create(found->type, "source", &params, &services, &stage, reterr);
    if (!status)
        status = phi_stage_init(stage, reterr);
    phi_params_destroy(&params);
    return status;
}

static enum ph_status run(struct ph_error *reterr)
{
    struct ph_io io = {
        .struct_size = sizeof io, .take = take, .emit = emit, .take_event = take_event};
    enum ph_status status = PH_AGAIN;
    size_t n_bytes = 0;

    printf("ready\n");
    (void)fflush(stdout);
    while (status == PH_AGAIN && !stopped)
        status = phi_stage_discover(stage, reterr);
    if (status)
        return status;
    status = phi_spec_bytes(&stage->out, &n_bytes, reterr);
    volume.data = phi_calloc(n_bytes, 1);
    volume.capacity_bytes = n_bytes;
    while (volume.data && !stopped && (status == PH_OK || status == PH_AGAIN))
        status = stage->type->ops->process(stage->state, &io);
    phi_free(volume.data);
    return status;
}

int main(int argc, char **argv)
{
    struct ph_error err = {0};
    struct phi_registry *registry = NULL;
    enum ph_status status;

    if (argc < 3)
        return 2;
    (void)signal(SIGTERM, on_signal);
    status = phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, &err);
    if (!status)
        status = open_stage(registry, argc, argv, &err);
    if (!status)
        status = run(&err);
    phi_stage_destroy(&stage);
    phi_registry_destroy(&registry);
    if (status == PH_EOS)
        printf("end\n");
    if (status < 0)
        (void)fprintf(stderr, "status %d: %s\n", (int)status, err.text);
    return status < 0 ? 1 : 0;
}
