/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli.h"
#include "rt/clock.h"
#include "rt/latency.h"
#include "rt/thread.h"

#define N_SLEEPS 300
#define N_SYNCS  20
#define BLOCK    ((size_t)1 << 20)

/* What a figure means for a run. */
static void note(json_t *root, const char *name, json_t *value, bool good, const char *advice)
{
    json_t *entry = json_pack("{s:o, s:b, s:s}", "value", value, "good", (int)good, "advice",
                              good ? "" : advice);

    (void)json_object_set_new(root, name, entry);
}

static void check_machine(json_t *root)
{
    struct sysinfo info;
    struct rlimit locked;
    struct rlimit realtime;
    int cores = phi_thread_cores();

    note(root, "cores", json_integer(cores), cores >= 2,
         "stages take turns on one core; expect higher latency");
    if (sysinfo(&info) == 0)
        note(root, "memory_mb", json_integer((json_int_t)(info.totalram / 1048576 * info.mem_unit)),
             info.totalram / 1048576 * info.mem_unit >= 2000, "2 GB or more are advised");
    if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0)
        note(root, "memory_lock",
             json_string(locked.rlim_cur == RLIM_INFINITY ? "unlimited" : "limited"),
             locked.rlim_cur == RLIM_INFINITY,
             "engine.realtime cannot lock memory; raise 'ulimit -l'");
    if (getrlimit(RLIMIT_RTPRIO, &realtime) == 0)
        note(root, "realtime_priority", json_integer((json_int_t)realtime.rlim_cur),
             realtime.rlim_cur >= 10 || geteuid() == 0,
             "engine.realtime cannot raise priority; raise 'ulimit -r'");
}

/* How late a 1 ms sleep ends. */
static void check_clock(json_t *root)
{
    struct phi_latency *latency = NULL;
    struct phi_latency_stats stats;
    struct timespec resolution = {0};
    struct ph_error err;

    (void)clock_getres(CLOCK_MONOTONIC, &resolution);
    note(root, "clock_resolution_ns", json_integer(resolution.tv_nsec), resolution.tv_nsec <= 1000,
         "the monotonic clock is coarse; times in the record are too");
    if (phi_latency_create(&latency, &err) != PH_OK)
        return;
    for (int i = 0; i < N_SLEEPS; i++) {
        int64_t deadline_ns = phi_clock_ns() + PHI_NS_PER_MS;

        phi_clock_sleep_until(deadline_ns);
        phi_latency_add(latency, phi_clock_ns() - deadline_ns);
    }
    phi_latency_total(latency, &stats);
    phi_latency_destroy(&latency);
    note(root, "sleep_error_p99_ms", json_real((double)stats.p99_ns / 1e6),
         stats.p99_ns < 5 * PHI_NS_PER_MS,
         "threads are woken late; close other programs before a run");
}

static enum ph_status time_syncs(int fd, struct phi_latency *latency, struct ph_error *reterr)
{
    char *block = phi_calloc(BLOCK, 1);
    enum ph_status status = PH_OK;

    if (!block)
        return phi_error_nomem(reterr, "a block", BLOCK);
    for (int i = 0; i < N_SYNCS && status == PH_OK; i++) {
        int64_t start_ns = phi_clock_ns();

        if (write(fd, block, BLOCK) != (ssize_t)BLOCK || fdatasync(fd) != 0)
            status = phi_error_os(reterr, PH_E_IO, errno, "cannot write a test file");
        phi_latency_add(latency, phi_clock_ns() - start_ns);
    }
    phi_free(block);
    return status;
}

/* How long a volume takes to reach the disk in the folder of recordings. */
static enum ph_status check_disk(json_t *root, const char *dir, struct ph_error *reterr)
{
    char path[PATH_MAX];
    struct phi_latency *latency = NULL;
    struct phi_latency_stats stats;
    enum ph_status status;
    int fd;

    (void)snprintf(path, sizeof path, "%s/phos-doctor-XXXXXX", dir);
    fd = mkstemp(path);
    if (fd < 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write in '%s'", dir);
    (void)unlink(path);
    status = phi_latency_create(&latency, reterr);
    if (status == PH_OK)
        status = time_syncs(fd, latency, reterr);
    (void)close(fd);
    if (status == PH_OK) {
        phi_latency_total(latency, &stats);
        note(root, "disk_sync_max_ms", json_real((double)stats.max_ns / 1e6),
             stats.max_ns < 20 * PHI_NS_PER_MS,
             "an acknowledgement waits for the disk; record to a faster one");
    }
    phi_latency_destroy(&latency);
    return status;
}

static void list_libraries(json_t *root)
{
    const dnnl_version_t *dnnl = dnnl_version();
    int zmq[3];
    char text[64];

    zmq_version(&zmq[0], &zmq[1], &zmq[2]);
    note(root, "openblas", json_string(openblas_get_config()), true, "");
    (void)snprintf(text, sizeof text, "%d.%d.%d", dnnl->major, dnnl->minor, dnnl->patch);
    note(root, "onednn", json_string(text), true, "");
    (void)snprintf(text, sizeof text, "%d.%d.%d", zmq[0], zmq[1], zmq[2]);
    note(root, "zeromq", json_string(text), true, "");
    note(root, "curve", json_boolean(zmq_has("curve")), zmq_has("curve") == 1,
         "ZeroMQ has no CURVE; only loopback connections are possible");
}

static void print_text(json_t *root)
{
    const char *name;
    json_t *entry;

    json_object_foreach(root, name, entry)
    {
        char *value =
            json_dumps(json_object_get(entry, "value"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(4));
        const char *advice = json_string_value(json_object_get(entry, "advice"));

        printf("%-4s %-22s %s%s%s\n", json_is_true(json_object_get(entry, "good")) ? "ok" : "!",
               name, value ? value : "", advice[0] ? "  -> " : "", advice);
        free(value);
    }
}

static int run_doctor(const struct cli_command *self, int argc, char **argv)
{
    bool json = false;
    const char *dir = ".";
    const struct cli_option options[] = {
        {CLI_TEXT, "dir", &dir, "DIR", "folder that recordings will go to"},
        CLI_JSON(&json),
        CLI_END};
    struct cli_args args;
    struct ph_error err = {0};
    const char *name;
    json_t *entry;
    json_t *root;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n > 0)
        return cli_usage(self, "it takes no operand");
    root = json_object();
    check_machine(root);
    check_clock(root);
    list_libraries(root);
    if (check_disk(root, dir, &err) != PH_OK) {
        json_decref(root);
        return cli_fail_as(CLI_CANNOT_WRITE, &err);
    }
    if (json)
        (void)json_dumpf(root, stdout, JSON_INDENT(2));
    else
        print_text(root);
    code = CLI_DONE;
    json_object_foreach(root, name, entry) if (!json_is_true(json_object_get(entry, "good"))) code =
        CLI_FAILED;
    json_decref(root);
    return code;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .summary = "say whether this machine is fit for a run",
    .operands = "",
    .text =
        "Measures the clock, how late threads wake, and how long the disk takes to keep a volume;\n"
        "lists limits and library versions. Exit code 1 if something deserves attention.",
    .examples = "phos doctor\nphos doctor --dir /data/recordings\nphos doctor --json",
    .run = run_doctor,
};
