/* SPDX-License-Identifier: MIT
 *
 * Plays a NIfTI run to an engine as a scanner would: a volume when its acquisition is over. What to
 * send next is decided by io/wire_sender; here are the sockets, the clock and the files. Volumes
 * are read from the file again when the engine asks for earlier ones, so nothing has to be kept.
 *
 * An event is sent when the run's clock has reached its onset, and a volume waits until the events
 * that began before its end are answered, and an event until the volumes that ended before it are
 * acknowledged: so the order in which the engine sees them does not depend on the machine's speed.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "io/events.h"
#include "io/nifti_file.h"
#include "io/sidecar.h"
#include "io/wire_payload.h"
#include "io/wire_sender.h"
#include "io/wire_socket.h"

#define NS_PER_S     1000000000.0
#define MS           ((int64_t)1000000)
#define EVENT_RETRY  (1000 * MS)
#define NO_ANSWER_NS (10000 * MS) /* events count as failed after this without any answer */

struct options {
    const char *to, *control, *speed, *events, *session, *run, *subject;
    double tr_s, wait_s;
    bool json, compress;
};

/* One run being sent. */
struct sending {
    struct options options;
    double speed; /* 0: as fast as the engine takes it */
    struct phi_nifti_reader *reader;
    uint32_t at; /* volume the reader gives next */
    double tr_s;
    struct phi_wire_message hello;
    struct phi_events events;
    uint32_t next_event; /* the first that is not answered */
    bool event_sent;
    int64_t event_sent_ns, event_heard_ns;
    uint64_t n_events_failed;
    void *context, *volumes, *control;
    struct phi_wire_sender sender;
    int64_t begun_ns; /* the run's time 0; 0 before the first WELCOME */
    unsigned char *image, *packed;
    size_t n_prefix, n_image, packed_capacity;
    unsigned char prefix[PHI_NIFTI_MAX_PREFIX];
};

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Value of a BIDS entity in a file name: "sub" in "sub-02_task-x" gives "02". */
static bool entity(const char *path, const char *key, char out[PHI_WIRE_LABEL])
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n_key = strlen(key);

    for (const char *p = name; p; p = strchr(p, '_') ? strchr(p, '_') + 1 : NULL) {
        size_t n = strcspn(p, "_.");

        if (strncmp(p, key, n_key) != 0 || p[n_key] != '-' || n <= n_key + 1 ||
            n - n_key - 1 >= PHI_WIRE_LABEL)
            continue;
        (void)snprintf(out, PHI_WIRE_LABEL, "%.*s", (int)(n - n_key - 1), p + n_key + 1);
        return phi_wire_is_label(out);
    }
    return false;
}

static enum ph_status name_run(const struct options *options, const char *path,
                               struct phi_wire_message *hello, struct ph_error *reterr)
{
    const struct {
        const char *given, *key, *otherwise, *option;
        char *into;
    } labels[] = {{options->session, "ses", "1", "session", hello->session},
                  {options->run, "run", "1", "run", hello->run},
                  {options->subject, "sub", "", "subject", hello->subject}};

    for (size_t i = 0; i < 3; i++) {
        if (!labels[i].given[0]) {
            if (!entity(path, labels[i].key, labels[i].into))
                (void)phi_str_copy(labels[i].into, PHI_WIRE_LABEL, labels[i].otherwise);
        } else if (!phi_wire_is_label(labels[i].given)) {
            return phi_error(reterr, PH_E_INVAL,
                             "--%s '%.40s': letters, digits, '_', '-' and '.' only",
                             labels[i].option, labels[i].given);
        } else {
            (void)phi_str_copy(labels[i].into, PHI_WIRE_LABEL, labels[i].given);
        }
    }
    return PH_OK;
}

/* Repetition time: --tr before the sidecar before the header. */
static enum ph_status find_timing(struct sending *s, const char *path, struct ph_error *reterr)
{
    const struct phi_nifti_info *info = phi_nifti_reader_info(s->reader);
    struct phi_sidecar sidecar;
    enum ph_status status = phi_sidecar_read_beside(path, &sidecar, reterr);

    if (status)
        return status;
    s->tr_s = s->options.tr_s > 0 ? s->options.tr_s : sidecar.tr_s > 0 ? sidecar.tr_s : info->tr_s;
    if (!(s->tr_s > 0))
        return phi_error(reterr, PH_E_FORMAT,
                         "'%s' tells no repetition time, and there is no JSON file beside it that "
                         "does; give --tr SECONDS",
                         path);
    s->hello.n_slices = sidecar.n_slices;
    memcpy(s->hello.slice_timing_s, sidecar.slice_timing_s, sizeof s->hello.slice_timing_s);
    return PH_OK;
}

_Static_assert(PHI_SIDECAR_MAX_SLICES == PHI_WIRE_MAX_SLICES, "copied as a whole");

static enum ph_status make_hello(struct sending *s, const char *path, struct ph_error *reterr)
{
    const struct phi_nifti_info *info = phi_nifti_reader_info(s->reader);
    enum ph_status status;

    s->hello = phi_wire_message_of(PHI_WIRE_HELLO);
    if ((status = name_run(&s->options, path, &s->hello, reterr)) ||
        (status = find_timing(s, path, reterr)))
        return status;
    s->hello.tr_s = s->tr_s;
    s->hello.dims[0] = info->n_x;
    s->hello.dims[1] = info->n_y;
    s->hello.dims[2] = info->n_z;
    s->hello.n_volumes = info->n_volumes;
    (void)phi_str_copy(s->hello.datatype, sizeof s->hello.datatype,
                       phi_nifti_type_name((int)info->type));
    (void)phi_str_copy(s->hello.sender, sizeof s->hello.sender, "phos send");
    return PH_OK;
}

static enum ph_status open_files(struct sending *s, const char *path, struct ph_error *reterr)
{
    enum ph_status status = phi_nifti_reader_open(path, &s->reader, reterr);
    const struct phi_nifti_info *info;

    if (status || (status = make_hello(s, path, reterr)))
        return status;
    info = phi_nifti_reader_info(s->reader);
    if (s->options.events[0] && (status = phi_events_read(s->options.events, &s->events, reterr)))
        return status;
    if (phi_nifti_reheader(info, 1, s->tr_s, s->prefix, &s->n_prefix))
        return phi_error(reterr, PH_E_INTERNAL, "'%s': no header for one volume", path);
    s->n_image = s->n_prefix + info->n_volume_bytes;
    s->packed_capacity = s->options.compress ? ZSTD_compressBound(s->n_image) : 1;
    s->image = phi_calloc(s->n_image, 1);
    s->packed = phi_calloc(s->packed_capacity, 1);
    if (!s->image || !s->packed)
        return phi_error_nomem(reterr, "a volume", s->n_image);
    memcpy(s->image, s->prefix, s->n_prefix);
    return PH_OK;
}

static enum ph_status open_volumes(struct sending *s, struct ph_error *reterr)
{
    struct phi_wire_socket_config config = {
        .type = ZMQ_DEALER, .endpoint = s->options.to, .linger_ms = 500};

    return phi_wire_socket_open(s->context, &config, &s->volumes, reterr);
}

static enum ph_status open_control(struct sending *s, struct ph_error *reterr)
{
    struct phi_wire_socket_config config = {
        .type = ZMQ_DEALER, .endpoint = s->options.control, .linger_ms = 500};

    if (s->events.n == 0)
        return PH_OK;
    return phi_wire_socket_open(s->context, &config, &s->control, reterr);
}

static void close_all(struct sending *s)
{
    if (s->volumes)
        (void)zmq_close(s->volumes);
    if (s->control)
        (void)zmq_close(s->control);
    if (s->context)
        (void)zmq_ctx_term(s->context);
    phi_wire_sender_fini(&s->sender);
    phi_nifti_reader_close(&s->reader);
    phi_events_free(&s->events);
    phi_free(s->image);
    phi_free(s->packed);
}

/* Seconds on the run's clock; all of it at once when there is no pace. */
static double run_time_s(const struct sending *s, int64_t now)
{
    if (s->begun_ns == 0)
        return -1;
    return s->speed > 0 ? (double)(now - s->begun_ns) / NS_PER_S * s->speed : (double)INFINITY;
}

/* Volumes whose acquisition was over when the event began. */
static uint64_t n_volumes_before(const struct sending *s, const struct ph_event *event)
{
    double n = floor(event->onset_s / s->tr_s);

    return (uint64_t)fmax(fmin(n, (double)s->sender.config.n_volumes), 0);
}

/* How many volumes may go out: those acquired, and no further than the events are answered. */
static uint64_t n_available(const struct sending *s, int64_t now)
{
    double t = run_time_s(s, now);
    double n = t < 0 ? 0 : floor(t / s->tr_s);

    if (s->next_event < s->events.n)
        n = fmin(n, (double)n_volumes_before(s, &s->events.rows[s->next_event]));
    return (uint64_t)fmin(n, (double)s->sender.config.n_volumes);
}

static enum ph_status read_volume(struct sending *s, uint64_t index, struct ph_error *reterr)
{
    const unsigned char *data = NULL;
    enum ph_status status = PH_OK;

    if (index != s->at)
        status = phi_nifti_reader_seek(s->reader, (uint32_t)index, reterr);
    if (!status)
        status = phi_nifti_reader_next(s->reader, &data, reterr);
    if (status)
        return status;
    s->at = (uint32_t)index + 1;
    memcpy(s->image + s->n_prefix, data, s->n_image - s->n_prefix);
    return PH_OK;
}

static enum ph_status send_volume(struct sending *s, uint64_t index, struct ph_error *reterr)
{
    struct phi_wire_message volume = phi_wire_message_of(PHI_WIRE_VOLUME);
    const unsigned char *payload = s->image;
    size_t n_payload = s->n_image;
    enum ph_status status = read_volume(s, index, reterr);

    if (status)
        return status;
    if (s->options.compress) {
        n_payload = ZSTD_compress(s->packed, s->packed_capacity, s->image, s->n_image, 1);
        if (ZSTD_isError(n_payload))
            return phi_error(reterr, PH_E_INTERNAL, "volume %llu cannot be compressed: %s",
                             (unsigned long long)index, ZSTD_getErrorName(n_payload));
        payload = s->packed;
        volume.encoding = PHI_WIRE_NIFTI_ZSTD;
    }
    volume.has_index = true;
    volume.index = index;
    volume.acquired_s = (double)index * s->tr_s;
    volume.sent_ns = now_ns();
    volume.crc32 = phi_wire_crc32(payload, n_payload);
    if (phi_wire_send(s->volumes, NULL, &volume, payload, n_payload))
        phi_wire_sender_unsent(&s->sender, index); /* no connection just now */
    return PH_OK;
}

static void send_small(struct sending *s, enum phi_wire_type type)
{
    struct phi_wire_message m = phi_wire_message_of(type);

    m.n_volumes = s->sender.config.n_volumes;
    m.sent_ns = now_ns();
    /* said again by the state machine until it is answered */
    (void)!phi_wire_send(s->volumes, NULL, type == PHI_WIRE_HELLO ? &s->hello : &m, NULL, 0);
}

static void send_event(struct sending *s, int64_t now)
{
    struct phi_wire_message m = phi_wire_message_of(PHI_WIRE_EVENT);
    const struct ph_event *row;

    if (s->next_event >= s->events.n || s->begun_ns == 0)
        return;
    row = &s->events.rows[s->next_event];
    if (row->onset_s > run_time_s(s, now) || s->sender.base < n_volumes_before(s, row) ||
        (s->event_sent && now - s->event_sent_ns < EVENT_RETRY))
        return;
    m.onset_s = row->onset_s;
    m.duration_s = row->duration_s;
    m.amplitude = row->amplitude;
    m.stim_index = row->stim_index;
    m.has_id = true;
    m.id = row->number;
    m.sent_ns = now_ns();
    (void)phi_str_copy(m.trial_type, sizeof m.trial_type, row->trial_type);
    (void)phi_str_copy(m.stim, sizeof m.stim, row->stim_file);
    if (!s->event_sent)
        s->event_heard_ns = now;
    s->event_sent = phi_wire_send(s->control, NULL, &m, NULL, 0) == PH_OK || s->event_sent;
    s->event_sent_ns = now;
    if (now - s->event_heard_ns > NO_ANSWER_NS) {
        s->n_events_failed++;
        s->next_event++;
        s->event_sent = false;
    }
}

static void hear_control(struct sending *s, const struct phi_wire_message *m, int64_t now)
{
    if (!m->has_id || s->next_event >= s->events.n || m->id != s->next_event)
        return;
    s->event_heard_ns = now;
    if (m->type == PHI_WIRE_OK || (m->type == PHI_WIRE_ERROR && m->fatal)) {
        s->n_events_failed += m->type == PHI_WIRE_ERROR;
        s->next_event++;
        s->event_sent = false;
    }
}

static void hear_volumes(struct sending *s, const struct phi_wire_message *m, int64_t now)
{
    uint64_t n_greeted = s->sender.n_greeted;

    phi_wire_sender_heard(&s->sender, m, now);
    if (s->sender.n_greeted == n_greeted)
        return;
    if (s->begun_ns == 0)
        s->begun_ns = now;
    if (n_greeted > 0 && m->next == 0) { /* an engine without memory needs the events as well */
        s->next_event = 0;
        s->event_sent = false;
    }
}

/* The engine measures the clocks' offset too. */
static void answer_ping(void *socket, const struct phi_wire_message *ping)
{
    struct phi_wire_message pong = phi_wire_message_of(PHI_WIRE_PONG);

    pong.sent_ns = ping->sent_ns;
    pong.now_ns = now_ns();
    (void)!phi_wire_send(socket, NULL, &pong, NULL, 0); /* the next one will do */
}

static void hear(struct sending *s, void *socket)
{
    struct phi_wire_received received;
    struct phi_wire_message m;
    struct ph_error ignored;

    while (socket && phi_wire_receive(socket, false, &received) == PH_OK) {
        if (!received.is_odd && !phi_wire_parse(zmq_msg_data(&received.json),
                                                zmq_msg_size(&received.json), &m, &ignored)) {
            if (m.type == PHI_WIRE_PING)
                answer_ping(socket, &m);
            else if (socket == s->control)
                hear_control(s, &m, now_ns());
            else
                hear_volumes(s, &m, now_ns());
        }
        phi_wire_release(&received);
    }
}

/* When something may have to be done although nothing is heard. */
static int64_t next_due_ns(const struct sending *s, int64_t now)
{
    int64_t due = phi_wire_sender_due_ns(&s->sender);
    double t = run_time_s(s, now);

    if (t >= 0 && s->speed > 0) {
        double next_s = (floor(t / s->tr_s) + 1) * s->tr_s;

        if (s->next_event < s->events.n && !s->event_sent &&
            s->events.rows[s->next_event].onset_s < next_s)
            next_s = s->events.rows[s->next_event].onset_s;
        due = (int64_t)fmin((double)due, (double)s->begun_ns + next_s / s->speed * NS_PER_S);
    }
    if (s->event_sent && s->event_sent_ns + EVENT_RETRY < due)
        due = s->event_sent_ns + EVENT_RETRY;
    return due;
}

static void wait_for_news(struct sending *s)
{
    zmq_pollitem_t items[2] = {{s->volumes, 0, ZMQ_POLLIN, 0}, {s->control, 0, ZMQ_POLLIN, 0}};
    int64_t now = now_ns();
    int64_t wait_ns = next_due_ns(s, now) - now;
    long wait_ms = wait_ns <= 0 ? 0 : (long)((wait_ns + MS - 1) / MS);

    (void)zmq_poll(items, s->control ? 2 : 1, wait_ms > 200 ? 200 : wait_ms);
}

/* One thing to do; false if there is nothing but waiting. */
static bool act(struct sending *s, enum ph_status *ret_status, struct ph_error *reterr)
{
    uint64_t index = 0;
    int64_t now = now_ns();

    switch (phi_wire_sender_next(&s->sender, n_available(s, now), now, &index)) {
    case PHI_WIRE_STEP_HELLO:
        send_small(s, PHI_WIRE_HELLO);
        return true;
    case PHI_WIRE_STEP_VOLUME:
        *ret_status = send_volume(s, index, reterr);
        return s->sender.resend == UINT64_MAX; /* unsent: wait a little */
    case PHI_WIRE_STEP_PING:
        send_small(s, PHI_WIRE_PING);
        return true;
    case PHI_WIRE_STEP_END:
        send_small(s, PHI_WIRE_END);
        return true;
    case PHI_WIRE_STEP_RECONNECT:
        (void)zmq_close(s->volumes);
        s->volumes = NULL;
        *ret_status = open_volumes(s, reterr);
        return true;
    default:
        return false;
    }
}

static bool waited_too_long(const struct sending *s, int64_t since)
{
    return s->sender.state == PHI_WIRE_GREETING &&
           (double)(now_ns() - since) > s->options.wait_s * NS_PER_S;
}

static int refused(const struct sending *s)
{
    struct ph_error err;

    (void)phi_error(&err, PH_E_PEER, "the engine refuses this run (%s): %s",
                    s->sender.last_error.code, s->sender.last_error.text);
    return cli_fail_as(CLI_FAILED, &err);
}

/* Until DONE; an exit code. */
static int send_all(struct sending *s)
{
    enum ph_status status = PH_OK;
    struct ph_error err = {0};
    int64_t greeted_ns = now_ns(); /* last time we were not waiting for an engine */

    while (s->sender.state != PHI_WIRE_DONE_STATE) {
        if (cli_interrupted())
            return CLI_INTERRUPTED;
        if (s->sender.state == PHI_WIRE_REFUSED)
            return refused(s);
        if (s->sender.state != PHI_WIRE_GREETING)
            greeted_ns = now_ns();
        if (waited_too_long(s, greeted_ns)) {
            (void)phi_error(&err, PH_E_PEER, "no engine answers at %s; start 'phos live' there",
                            s->options.to);
            return cli_fail(&err);
        }
        send_event(s, now_ns());
        while (status == PH_OK && act(s, &status, &err))
            ;
        if (status)
            return cli_fail(&err);
        wait_for_news(s);
        hear(s, s->volumes);
        hear(s, s->control);
        cli_progress("volumes acknowledged", s->sender.n_acked, s->sender.config.n_volumes);
    }
    return CLI_DONE;
}

static int report(const struct sending *s, int64_t began_ns)
{
    const struct phi_wire_message *done = &s->sender.done;
    bool whole = done->n_lost == 0 && s->n_events_failed == 0;
    double seconds = (double)(now_ns() - began_ns) / NS_PER_S;

    if (s->options.json) {
        json_t *root = json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:{s:f, s:f, s:f}}", "volumes",
            (json_int_t)s->sender.config.n_volumes, "acknowledged", (json_int_t)s->sender.n_acked,
            "resent", (json_int_t)s->sender.n_resent, "received", (json_int_t)done->n_received,
            "lost", (json_int_t)done->n_lost, "duplicates", (json_int_t)done->n_duplicates,
            "events", (json_int_t)s->events.n, "events_failed", (json_int_t)s->n_events_failed,
            "seconds", seconds, "clock_offset_ms", (double)s->sender.offset_ns / 1e6,
            "round_trip_ms", (double)s->sender.round_trip_ns / 1e6, "latency_ms", "p50",
            done->latency_ms[0], "p99", done->latency_ms[1], "max", done->latency_ms[2]);

        (void)json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        (void)putchar('\n');
        json_decref(root);
    } else {
        printf("%llu volumes acknowledged in %.1f s (%llu sent again, %llu lost), %zu events",
               (unsigned long long)s->sender.n_acked, seconds,
               (unsigned long long)s->sender.n_resent, (unsigned long long)done->n_lost,
               s->events.n);
        printf(s->n_events_failed ? " (%llu of them not taken)\n" : "\n",
               (unsigned long long)s->n_events_failed);
    }
    return whole ? CLI_DONE : CLI_FAILED;
}

static int send_run(struct sending *s, const char *path)
{
    struct phi_wire_sender_config config = {0};
    struct ph_error err;
    int64_t began_ns = now_ns();
    enum ph_status status = open_files(s, path, &err);
    int code;

    if (status == PH_E_INVAL)
        return cli_fail_as(CLI_USAGE, &err);
    if (status)
        return err.os_errno == ENOENT ? cli_fail_as(CLI_NO_INPUT, &err) : cli_fail(&err);
    config.n_volumes = phi_nifti_reader_info(s->reader)->n_volumes;
    s->context = zmq_ctx_new();
    if (!s->context || phi_wire_sender_init(&s->sender, &config, now_ns())) {
        (void)phi_error_nomem(&err, "the sender", 0);
        return cli_fail(&err);
    }
    if (open_volumes(s, &err) || open_control(s, &err))
        return err.status == PH_E_INVAL ? cli_fail_as(CLI_USAGE, &err) : cli_fail(&err);
    cli_catch_interrupts();
    code = send_all(s);
    cli_progress_end();
    return code == CLI_DONE ? report(s, began_ns) : code;
}

static int run_send(const struct cli_command *self, int argc, char **argv)
{
    struct sending s = {.options = {.to = "tcp://127.0.0.1:5570",
                                    .control = "tcp://127.0.0.1:5572",
                                    .speed = "1",
                                    .events = "",
                                    .session = "",
                                    .run = "",
                                    .subject = "",
                                    .wait_s = 30}};
    const struct cli_option options[] = {
        {CLI_TEXT, "to", &s.options.to, "ENDPOINT", "volumes socket (tcp://127.0.0.1:5570)"},
        {CLI_TEXT, "control", &s.options.control, "ENDPOINT",
         "control socket, for events (tcp://127.0.0.1:5572)"},
        {CLI_TEXT, "events", &s.options.events, "FILE.tsv", "send these events at their onsets"},
        {CLI_TEXT, "speed", &s.options.speed, "N|max", "times the scanner's pace (1)"},
        {CLI_REAL, "tr", &s.options.tr_s, "SECONDS", "repetition time, before sidecar and header"},
        {CLI_TEXT, "session", &s.options.session, "LABEL", "session (from the file name, or 1)"},
        {CLI_TEXT, "run", &s.options.run, "LABEL", "run (from the file name, or 1)"},
        {CLI_TEXT, "subject", &s.options.subject, "LABEL", "subject (from the file name)"},
        {CLI_REAL, "wait", &s.options.wait_s, "SECONDS", "how long to wait for an engine (30)"},
        {CLI_BOOL, "compress", &s.options.compress, NULL, "compress volumes (zstd)"},
        CLI_JSON(&s.options.json),
        CLI_END};
    struct cli_args args;
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1)
        return cli_usage(self, "one FILE, please");
    if (strcmp(s.options.speed, "max") != 0 &&
        (!phi_parse_double(s.options.speed, &s.speed) || !(s.speed > 0)))
        return cli_usage(self, "--speed takes a number above 0, or max");
    if (s.options.tr_s < 0 || s.options.wait_s < 0)
        return cli_usage(self, "--tr and --wait take positive numbers");
    code = send_run(&s, args.operands[0]);
    close_all(&s);
    return code;
}

const struct cli_command cmd_send = {
    .name = "send",
    .summary = "play a NIfTI run to an engine at the scanner's pace",
    .operands = "FILE.nii[.gz]",
    .text =
        "Sends each volume when its acquisition would be over, waits for the engine to have it on\n"
        "disk, and goes on where it was after a restart of either side. The repetition time comes\n"
        "from --tr, the BIDS sidecar beside the file, or the header.",
    .examples = "phos send sub-01_task-faces_bold.nii.gz --events sub-01_task-faces_events.tsv\n"
                "phos send bold.nii.gz --speed 8\n"
                "phos send bold.nii --speed max --json",
    .run = run_send,
};
