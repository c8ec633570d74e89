/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "session.h"
#include "types.h"
#include "watch.h"

static int run_live(const struct cli_command *self, int argc, char **argv)
{
    struct session_options session;
    struct cli_list sets = {0};
    struct cli_list plugins = {0};
    bool headless = false;
    const struct cli_option options[] = {
        {CLI_LIST, "set", &sets, "STAGE.KEY=VALUE", "change a value of the run file"},
        {CLI_BOOL, "headless", &headless, NULL, "draw into the recording instead of a window"},
        SESSION_OPTIONS(&session),
        CLI_PLUGINS(&plugins),
        CLI_END};
    struct cli_args args;
    struct phi_registry *registry = NULL;
    struct phi_run *run = NULL;
    struct ph_error err = {0};
    int code;

    session_defaults(&session);
    code = cli_parse(self, options, argc, argv, &args);
    if (code >= 0)
        return code;
    if (args.n != 1)
        return cli_usage(self, "one run file is needed");
    if (types_open(&plugins, &registry, &err) != PH_OK)
        return cli_fail_as(CLI_CONFIG, &err);
    if (phi_run_load(args.operands[0], sets.items, sets.n, registry, &run, &err) == PH_OK)
        code = watch_run(run, &session, headless);
    else
        code = err.status == PH_E_IO ? cli_fail(&err) : cli_fail_as(CLI_CONFIG, &err);
    phi_run_destroy(&run);
    phi_registry_destroy(&registry);
    return code;
}

const struct cli_command cmd_live = {
    .name = "live",
    .summary = "run the engine on volumes as they come",
    .operands = "RUN.yaml",
    .text = "Starts the run that RUN.yaml describes and ends with it. Ctrl-C ends the run in an\n"
            "orderly way: what is under way is finished and written. The summary goes to standard\n"
            "output, the log to standard error.",
    .examples = "phos live run.yaml --out session-1\n"
                "phos live run.yaml --headless --set smooth.fwhm_mm=4 --trace trace.json\n"
                "phos live run.yaml --json",
    .run = run_live,
};
