/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <cblas.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "rt/clock.h"

#define POLL_NS       (100 * PHI_NS_PER_MS)
#define RUN_TEXT_SIZE ((size_t)1 << 20)

struct session {
    const struct session_options *options;
    char out_dir[PATH_MAX];
    struct phi_log *log;
    struct phi_live *live;
    pthread_mutex_t lock; /* protects teed: the logger's thread looks at it */
    struct phi_live *teed;
    bool stop_sent;
};

void session_defaults(struct session_options *options)
{
    *options = (struct session_options){
        .out_dir = "", .trace_path = "", .log_json = "", .log_level = "info"};
}

/* Makes the folder with those above it. */
static enum ph_status make_folder(const char *path, struct ph_error *reterr)
{
    char part[PATH_MAX];

    if (!phi_str_copy(part, sizeof part, path))
        return phi_error(reterr, PH_E_LIMIT, "the path '%.60s...' is too long", path);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        (void)mkdir(part, 0777); /* the last one tells */
        *at = '/';
    }
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot make the folder '%s'", path);
    return PH_OK;
}

static enum ph_status write_text(const char *path, const char *text, struct ph_error *reterr)
{
    char temporary[PATH_MAX + 32];
    FILE *file;
    bool good;

    (void)snprintf(temporary, sizeof temporary, "%s.tmp", path);
    file = fopen(temporary, "we");
    if (!file)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", temporary);
    good = fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    good = fclose(file) == 0 && good;
    if (!good || rename(temporary, path) != 0)
        return phi_error_os(reterr, PH_E_IO, errno, "cannot write '%s'", path);
    return PH_OK;
}

/* The recording begins with the complete configuration: a replay starts from it. */
static enum ph_status store_run(const struct phi_run *run, const char *dir, struct ph_error *reterr)
{
    char path[PATH_MAX + 16];
    char *text = phi_calloc(RUN_TEXT_SIZE, 1);
    struct phi_str out;
    enum ph_status status;

    if (!text)
        return phi_error_nomem(reterr, "the run file", RUN_TEXT_SIZE);
    out = phi_str_over(text, RUN_TEXT_SIZE);
    phi_run_format(run, &out);
    (void)snprintf(path, sizeof path, "%s/run.yaml", dir);
    status = out.cut ? phi_error(reterr, PH_E_LIMIT, "the run file is too long")
                     : write_text(path, text, reterr);
    phi_free(text);
    return status;
}

const char *session_out_dir(const struct phi_run *run, const struct session_options *options)
{
    return options->out_dir[0] ? options->out_dir : phi_run_engine(run)->out_dir;
}

static enum ph_status open_folder(struct session *session, const struct phi_run *run,
                                  struct ph_error *reterr)
{
    const char *wanted = session_out_dir(run, session->options);
    char full[PATH_MAX];
    enum ph_status status;

    if (!wanted[0])
        return PH_OK;
    status = make_folder(wanted, reterr);
    if (status != PH_OK)
        return status;
    if (!realpath(wanted, full))
        return phi_error_os(reterr, PH_E_IO, errno, "cannot find the folder '%s'", wanted);
    (void)phi_str_copy(session->out_dir, sizeof session->out_dir, full);
    return store_run(run, full, reterr);
}

/* Warnings and errors also go to the display. */
static void tee(void *arg, const struct phi_log_line *line)
{
    struct session *session = arg;
    struct phi_view_line out = {.wall_ns = line->wall_ns, .level = line->level};
    struct phi_view *view;

    (void)phi_str_copy(out.stage, sizeof out.stage, line->stage);
    (void)phi_str_copy(out.id, sizeof out.id, line->id);
    (void)phi_str_copy(out.text, sizeof out.text, line->text);
    (void)pthread_mutex_lock(&session->lock);
    view = session->teed ? phi_live_view(session->teed) : NULL;
    if (view)
        phi_view_put_line(view, &out);
    (void)pthread_mutex_unlock(&session->lock);
}

static void set_teed(struct session *session, struct phi_live *live)
{
    (void)pthread_mutex_lock(&session->lock);
    session->teed = live;
    (void)pthread_mutex_unlock(&session->lock);
}

static enum ph_status open_log(struct session *session, struct ph_error *reterr)
{
    static const enum ph_log_level levels[] = {PH_LOG_ERROR, PH_LOG_WARNING, PH_LOG_INFO,
                                               PH_LOG_DEBUG};
    struct phi_log_config config = {.fd = STDERR_FILENO,
                                    .level = PH_LOG_INFO,
                                    .tee_level = PH_LOG_WARNING,
                                    .tee = tee,
                                    .arg = session};
    bool known = false;

    for (size_t i = 0; i < 4; i++)
        if (strcmp(session->options->log_level, phi_log_level_name(levels[i])) == 0) {
            config.level = levels[i];
            known = true;
        }
    if (!known)
        return phi_error(reterr, PH_E_INVAL, "there is no log level '%s'",
                         session->options->log_level);
    if (session->options->log_json[0])
        config.json_path = session->options->log_json;
    return phi_log_create(&config, &session->log, reterr);
}

/* Asks the run to end once the user has pressed Ctrl-C; true when it has ended. */
static bool ended(void *context)
{
    struct session *session = context;

    if (cli_interrupted() && !session->stop_sent) {
        session->stop_sent = true;
        phi_log_write(session->log, PH_LOG_INFO, "", "run.interrupt",
                      "interrupted: finishing what is under way");
        phi_live_stop(session->live);
    }
    return phi_live_state(session->live) == PHI_LIVE_STOPPED || phi_live_finished(session->live);
}

static void show_progress(struct session *session)
{
    struct phi_view *view = phi_live_view(session->live);
    struct phi_view_status status;

    if (!view)
        return;
    phi_view_status(view, &status);
    cli_progress("volumes", status.stats.n_volumes, phi_view_info(view)->n_volumes);
}

static void look_on(struct session *session)
{
    const struct session_options *options = session->options;
    bool attended = false;

    while (!ended(session)) {
        (void)phi_live_wait(session->live, PHI_LIVE_STOPPED, POLL_NS);
        show_progress(session);
        if (options->attend && !attended && phi_live_view(session->live)) {
            attended = true;
            options->attend(options->arg, phi_live_view(session->live), ended, session);
        }
    }
    /* A run that was over before anybody could look still leaves its pictures. */
    if (options->attend && !attended && phi_live_view(session->live))
        options->attend(options->arg, phi_live_view(session->live), ended, session);
    cli_progress_end();
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static void print_json(const struct phi_live_summary *summary)
{
    const struct phi_latency_stats *latency = &summary->latency;
    json_t *root =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:{s:f, s:f, s:f, s:f, s:I}}", "volumes",
                  (json_int_t)summary->n_volumes, "missing", (json_int_t)summary->n_missing, "late",
                  (json_int_t)summary->n_late, "events", (json_int_t)summary->n_events, "failures",
                  (json_int_t)summary->n_failures, "interrupted", (int)summary->interrupted,
                  "latency_ms", "p50", ms(latency->p50_ns), "p99", ms(latency->p99_ns), "p999",
                  ms(latency->p999_ns), "max", ms(latency->max_ns), "n", (json_int_t)latency->n);

    (void)json_dumpf(root, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(root);
}

static void print_text(const struct phi_live_summary *summary)
{
    const struct phi_latency_stats *latency = &summary->latency;

    printf("%llu volumes, %llu missing, %llu late, %llu events, %llu failures\n",
           (unsigned long long)summary->n_volumes, (unsigned long long)summary->n_missing,
           (unsigned long long)summary->n_late, (unsigned long long)summary->n_events,
           (unsigned long long)summary->n_failures);
    if (latency->n)
        printf("latency: median %.2f ms, 99th percentile %.2f ms, largest %.2f ms\n",
               ms(latency->p50_ns), ms(latency->p99_ns), ms(latency->max_ns));
}

static int finish(struct session *session)
{
    struct phi_live_summary summary;
    struct ph_error err = {0};
    enum ph_status status = phi_live_join(session->live, &summary, &err);
    const struct phi_trace *trace = phi_live_trace(session->live);
    struct ph_error trace_err;

    if (trace && session->options->trace_path[0] &&
        phi_trace_write(trace, session->options->trace_path, &trace_err) != PH_OK)
        return cli_fail_as(CLI_CANNOT_WRITE, &trace_err);
    if (session->options->json)
        print_json(&summary);
    else
        print_text(&summary);
    if (status != PH_OK)
        return status == PH_E_INVAL ? cli_fail_as(CLI_CONFIG, &err) : cli_fail(&err);
    if (cli_interrupted())
        return CLI_INTERRUPTED;
    return summary.n_missing || summary.n_failures ? CLI_FAILED : CLI_DONE;
}

static int start_and_run(struct session *session, const struct phi_run *run)
{
    struct phi_live_options options = {
        .log = session->log, .run_dir = session->out_dir, .offline = session->options->offline};
    struct ph_error err = {0};
    enum ph_status status = phi_live_create(run, &options, &session->live, &err);

    if (status != PH_OK)
        return status == PH_E_INVAL ? cli_fail_as(CLI_CONFIG, &err) : cli_fail(&err);
    set_teed(session, session->live);
    status = phi_live_start(session->live, &err);
    if (status != PH_OK)
        return cli_fail(&err);
    look_on(session);
    return finish(session);
}

int session_run(struct phi_run *run, const struct session_options *options)
{
    static struct session session; /* the paths in it are large */
    struct ph_error err = {0};
    int code;

    session = (struct session){.options = options};
    (void)pthread_mutex_init(&session.lock, NULL);
    /* Stage threads are the parallelism; BLAS threads of its own would change sums between runs. */
    openblas_set_num_threads(1);
    cli_catch_interrupts();
    if (open_folder(&session, run, &err) != PH_OK)
        return cli_fail_as(CLI_CANNOT_WRITE, &err);
    if (open_log(&session, &err) != PH_OK)
        return cli_fail_as(err.status == PH_E_INVAL ? CLI_USAGE : CLI_CANNOT_WRITE, &err);
    code = start_and_run(&session, run);
    set_teed(&session, NULL);
    phi_live_destroy(&session.live);
    phi_log_destroy(&session.log);
    (void)pthread_mutex_destroy(&session.lock);
    return code;
}
