/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "cli.h"
#include "session.h"
#include "types.h"
#include "watch.h"

struct replay {
    const char *session; /* folder of a recording, or NIfTI file */
    const char *run_path;
    const char *events;
    const char *speed;
    bool is_folder;
    bool window;
};

/* "sub-1_bold.nii.gz" -> "sub-1_events.tsv", if that file is there. */
static void guess_events(const char *nifti, char out[PATH_MAX])
{
    const char *end = strstr(nifti, "_bold.nii");
    struct phi_str str = phi_str_over(out, PATH_MAX);

    if (end)
        phi_str_addf(&str, "%.*s_events.tsv", (int)(end - nifti), nifti);
    if (str.cut || access(out, R_OK) != 0)
        out[0] = '\0';
}

static enum ph_status fill_params(const struct replay *replay, struct phi_params *params,
                                  struct ph_error *reterr)
{
    char events[PATH_MAX];
    const char *speed = strcmp(replay->speed, "max") == 0 ? "0" : replay->speed;
    enum ph_status status = phi_params_set(params, "path", replay->session, NULL, reterr);

    if (status == PH_OK)
        status = phi_params_set(params, "speed", speed, NULL, reterr);
    if (status != PH_OK || replay->is_folder)
        return status;
    guess_events(replay->session, events);
    return phi_params_set(params, "events", replay->events[0] ? replay->events : events, NULL,
                          reterr);
}

static enum ph_status replace_source(const struct replay *replay,
                                     const struct phi_registry *registry, struct phi_run *run,
                                     struct ph_error *reterr)
{
    const struct ph_stage_type *type = NULL;
    struct phi_params *params = NULL;
    enum ph_status status = phi_registry_lookup(
        registry, PH_STAGE_SOURCE, replay->is_folder ? "journal" : "nifti", &type, reterr);

    if (status == PH_OK)
        status = phi_params_create(type, &params, reterr);
    if (status == PH_OK)
        status = fill_params(replay, params, reterr);
    if (status == PH_OK)
        phi_run_replace_source(run, type, &params);
    phi_params_destroy(&params);
    return status;
}

static int load_and_run(const struct replay *replay, const struct cli_list *sets,
                        const struct phi_registry *registry, struct session_options *options)
{
    char path[PATH_MAX];
    struct phi_run *run = NULL;
    struct ph_error err = {0};
    enum ph_status status;
    int code;

    (void)snprintf(path, sizeof path, "%s%s",
                   replay->run_path[0] ? replay->run_path : replay->session,
                   replay->run_path[0] ? "" : "/run.yaml");
    status = phi_run_load(path, sets->items, sets->n, registry, &run, &err);
    if (status == PH_OK)
        status = replace_source(replay, registry, run, &err);
    if (status == PH_OK)
        code = watch_run(run, options, !replay->window);
    else
        code = status == PH_E_IO ? cli_fail(&err) : cli_fail_as(CLI_CONFIG, &err);
    phi_run_destroy(&run);
    return code;
}

static int run_replay(const struct cli_command *self, int argc, char **argv)
{
    struct session_options session;
    struct replay replay = {.run_path = "", .events = "", .speed = "max"};
    struct cli_list sets = {0};
    struct cli_list plugins = {0};
    const struct cli_option options[] = {
        {CLI_TEXT, "run", &replay.run_path, "RUN.yaml", "run file; a recording has its own"},
        {CLI_TEXT, "events", &replay.events, "FILE.tsv", "events of a NIfTI file"},
        {CLI_TEXT, "speed", &replay.speed, "X", "1 is the scanner's pace, max as fast as it goes"},
        {CLI_LIST, "set", &sets, "STAGE.KEY=VALUE", "change a value of the run file"},
        {CLI_BOOL, "window", &replay.window, NULL, "show it in a window"},
        SESSION_OPTIONS(&session),
        CLI_PLUGINS(&plugins),
        CLI_END};
    struct cli_args args;
    struct phi_registry *registry = NULL;
    struct ph_error err = {0};
    struct stat st;
    int code;

    session_defaults(&session);
    session.offline = true;
    code = cli_parse(self, options, argc, argv, &args);
    if (code >= 0)
        return code;
    if (args.n != 1)
        return cli_usage(self, "one recording or NIfTI file is needed");
    replay.session = args.operands[0];
    if (stat(replay.session, &st) != 0) {
        (void)phi_error_os(&err, PH_E_IO, errno, "cannot open '%s'", replay.session);
        return cli_fail(&err);
    }
    replay.is_folder = S_ISDIR(st.st_mode);
    if (!replay.is_folder && !replay.run_path[0])
        return cli_usage(self, "a NIfTI file needs --run RUN.yaml");
    if (types_open(&plugins, &registry, &err) != PH_OK)
        return cli_fail_as(CLI_CONFIG, &err);
    code = load_and_run(&replay, &sets, registry, &session);
    phi_registry_destroy(&registry);
    return code;
}

const struct cli_command cmd_replay = {
    .name = "replay",
    .summary = "run the engine on a recording or on NIfTI and events",
    .operands = "SESSION",
    .text =
        "Sends a recorded run through the stages that 'phos live' uses. SESSION is the folder of\n"
        "a recording, which holds its run file, or a 4-D NIfTI file; its events table is the\n"
        "one beside it (..._bold.nii.gz, ..._events.tsv) unless --events says otherwise.",
    .examples = "phos replay session-1\nphos replay session-1 --speed 1 --set smooth.fwhm_mm=4\n"
                "phos replay sub-01_task-faces_bold.nii.gz --run run.yaml --json",
    .run = run_replay,
};
