/* SPDX-License-Identifier: MIT
 *
 * One run of the engine as a command does it: folder, log, threads, interruption, trace, summary.
 * `phos live`, `phos replay` and the demo differ in where the volumes come from and in who looks
 * on. Main thread.
 */
#ifndef TOOLS_SESSION_H
#define TOOLS_SESSION_H

#include "cli.h"
#include "graph/live.h"

struct session_options {
    const char *out_dir;    /* folder of the recording, made if need be; "": engine.out_dir */
    const char *trace_path; /* Chrome trace JSON; "": none */
    const char *log_json;   /* log lines as JSON; "": none */
    const char *log_level;  /* "warning", "info" ...; what goes to the terminal */
    bool offline;
    bool json; /* the summary in JSON */
    /* Called on the main thread once the view is there, with the run under way; returns when the
     * display is closed or `ended(context)` is true. NULL: nobody looks on. */
    void (*attend)(void *arg, struct phi_view *view, bool (*ended)(void *context), void *context);
    void *arg;
};

/* The options that live and replay share: --out, --trace, --log-json, --log-level, --json. */
#define SESSION_OPTIONS(options)                                                                   \
    {CLI_TEXT, "out", &(options)->out_dir, "DIR", "folder of the recording"},                      \
        {CLI_TEXT, "trace", &(options)->trace_path, "FILE",                                        \
         "write what each stage did when (Chrome trace JSON)"},                                    \
        {CLI_TEXT, "log-json", &(options)->log_json, "FILE", "append the log as JSON lines"},      \
        {CLI_TEXT, "log-level", &(options)->log_level, "LEVEL",                                    \
         "error, warning, info or debug on the terminal"},                                         \
        CLI_JSON(&(options)->json)

/* Defaults: nothing recorded, level info. */
void session_defaults(struct session_options *options);

/* The folder that the options or the run file name for the recording; "" for none. */
const char *session_out_dir(const struct phi_run *run, const struct session_options *options);

/* Runs `run` to its end and prints the summary. SIGINT drains. Returns the exit code: 0 done, 1
 * degraded (missing volumes or failed stages), 130 interrupted, else what went wrong. */
int session_run(struct phi_run *run, const struct session_options *options);

#endif
