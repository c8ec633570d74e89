/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"
#include "cli.h"
#include "files.h"
#include "graph/run.h"
#include "types.h"
#include "watch.h"

#define TEXT_SIZE ((size_t)1 << 20)

static int print_run(const struct phi_run *run)
{
    char *text = phi_calloc(TEXT_SIZE, 1);
    struct phi_str out;

    if (!text)
        return CLI_TRY_LATER;
    out = phi_str_over(text, TEXT_SIZE);
    phi_run_format(run, &out);
    (void)fputs(text, stdout);
    phi_free(text);
    return CLI_DONE;
}

static void print_json(bool good, const char *text)
{
    json_t *root = json_pack("{s:b, s:s}", "valid", (int)good, "error", text);

    (void)json_dumpf(root, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(root);
}

/* As 'phos live' would meet it: the run file, then what it points at, then the display. */
static enum ph_status load(const char *path, const struct cli_list *sets, bool with_files,
                           const struct phi_registry *registry, struct phi_run **ret_run,
                           struct ph_error *reterr)
{
    enum ph_status status = phi_run_load(path, sets->items, sets->n, registry, ret_run, reterr);

    if (status == PH_OK && with_files)
        status = files_check(*ret_run, reterr);
    if (status == PH_OK)
        status = watch_check(*ret_run, with_files, reterr);
    return status;
}

static int run_check(const struct cli_command *self, int argc, char **argv)
{
    struct cli_list sets = {0};
    struct cli_list plugins = {0};
    bool print = false;
    bool json = false;
    bool no_files = false;
    const struct cli_option options[] = {
        {CLI_LIST, "set", &sets, "STAGE.KEY=VALUE", "change a value of the run file"},
        {CLI_BOOL, "no-files", &no_files, NULL, "do not look at the files it names"},
        {CLI_BOOL, "print", &print, NULL, "print the complete effective configuration"},
        CLI_JSON(&json),
        CLI_PLUGINS(&plugins),
        CLI_END};
    struct cli_args args;
    struct phi_registry *registry = NULL;
    struct phi_run *run = NULL;
    struct ph_error err = {0};
    int code = cli_parse(self, options, argc, argv, &args);

    if (code >= 0)
        return code;
    if (args.n != 1)
        return cli_usage(self, "one run file is needed");
    if (types_open(&plugins, &registry, &err) != PH_OK)
        return cli_fail_as(CLI_CONFIG, &err);
    if (load(args.operands[0], &sets, !no_files && !print, registry, &run, &err) == PH_OK)
        code = print ? print_run(run) : CLI_DONE;
    else
        code = !run && err.status == PH_E_IO ? cli_fail(&err) : cli_fail_as(CLI_CONFIG, &err);
    if (json && !print)
        print_json(code == CLI_DONE, err.text);
    else if (code == CLI_DONE && !print)
        printf("%s: valid\n", args.operands[0]);
    phi_run_destroy(&run);
    phi_registry_destroy(&registry);
    return code;
}

const struct cli_command cmd_check = {
    .name = "check",
    .summary = "say whether a run file is right, or what it means",
    .operands = "RUN.yaml",
    .text =
        "Reads RUN.yaml as 'phos live' would, without starting anything: are all values right,\n"
        "the files it names there and of the right kind, the display's settings good? Exit code\n"
        "78 and a message with line and column if something is wrong. Whether a model fits the\n"
        "scan shows when the scanner has told its geometry. --print shows every value that\n"
        "would be used, defaults included, and looks at no files.",
    .examples = "phos check run.yaml\nphos check run.yaml --print\n"
                "phos check run.yaml --set engine.workers=1 --json",
    .run = run_check,
};
