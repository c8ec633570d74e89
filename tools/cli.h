/* SPDX-License-Identifier: MIT
 *
 * What the subcommands of phos share: options from a table, help with examples, exit codes, error
 * lines, progress on a terminal, interruption. Main thread only.
 *
 *     struct args { bool json; int64_t n; };
 *     static int run_x(const struct cli_command *self, int argc, char **argv)
 *     {
 *         bool json = false;
 *         const struct cli_option options[] = {CLI_JSON(&json), CLI_END};
 *         struct cli_args args;
 *         int code = cli_parse(self, options, argc, argv, &args);
 *
 *         if (code >= 0)
 *             return code;
 *         ...
 *     }
 *     const struct cli_command cmd_x = {"x", "does x", "FILE", "Longer text.", "phos x a.nii",
 * run_x};
 */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phosphene/status.h"

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1, /* a check failed or the run was degraded */
    CLI_USAGE = 2,
    CLI_DATA = 65,        /* bad input data */
    CLI_NO_INPUT = 66,    /* input missing */
    CLI_UNAVAILABLE = 69, /* peer unavailable */
    CLI_INTERNAL = 70,
    CLI_CANNOT_WRITE = 73,
    CLI_TRY_LATER = 75,
    CLI_CONFIG = 78, /* bad run file */
    CLI_INTERRUPTED = 130
};

#define CLI_MAX_LIST 64

/* Values of an option that may be given several times. */
struct cli_list {
    size_t n;
    const char *items[CLI_MAX_LIST];
};

enum cli_type {
    CLI_NONE = 0,
    CLI_BOOL, /* bool: --name */
    CLI_INT,  /* int64_t: --name N */
    CLI_REAL, /* double: --name X */
    CLI_TEXT, /* const char *: --name TEXT */
    CLI_LIST  /* struct cli_list: --name TEXT, repeated */
};

struct cli_option {
    enum cli_type type;
    const char *name; /* without the dashes */
    void *into;       /* keeps its value, the default, when the option is not given */
    const char *arg;  /* what the value is called in the help, as "DIR"; NULL for CLI_BOOL */
    const char *help; /* one line */
};

#define CLI_END                                                                                    \
    {                                                                                              \
        CLI_NONE, NULL, NULL, NULL, NULL                                                           \
    }
#define CLI_JSON(into_bool)                                                                        \
    {                                                                                              \
        CLI_BOOL, "json", (into_bool), NULL, "answer in JSON on standard output"                   \
    }

struct cli_command {
    const char *name;
    const char *summary;  /* one line, lower case, for the list of commands */
    const char *operands; /* "RUN.yaml", "[NAME]"; "" if it takes none */
    const char *text;     /* a paragraph or two for --help */
    const char *examples; /* one a line */
    int (*run)(const struct cli_command *self, int argc, char **argv);
};

/* Operands in the order they came. */
struct cli_args {
    int n;
    char **operands;
};

/* Reads options and operands of `self` (argv[0] is the subcommand's name; argv is reordered).
 * Returns -1 to go on, else the exit code to end with: help was asked for, or the usage is wrong
 * and has been explained on stderr. */
int cli_parse(const struct cli_command *self, const struct cli_option *options, int argc,
              char **argv, struct cli_args *ret_args);

/* Explains wrong usage in one line and points to --help. Returns CLI_USAGE. */
int cli_usage(const struct cli_command *self, const char *format, ...) PH_PRINTF(2, 3);

/* Prints "phos: <text>" and returns the exit code that fits the status: format, shape, limit 65;
 * a file that is not there 66; peer 69; no memory 75; others 70. */
int cli_fail(const struct ph_error *err);

/* As cli_fail, with this exit code. */
int cli_fail_as(int code, const struct ph_error *err);

/* Progress of `done` of `total` (0: unknown) with a short text, on stderr, at most ten times a
 * second and only on a terminal. cli_progress_end clears the line. */
void cli_progress(const char *what, uint64_t done, uint64_t total);
void cli_progress_end(void);

/* From here on SIGINT and SIGTERM only set a mark, which cli_interrupted reads; a second one ends
 * the process at once with exit code 130. */
void cli_catch_interrupts(void);
bool cli_interrupted(void);

#endif
