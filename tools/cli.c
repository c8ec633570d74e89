/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

static volatile sig_atomic_t n_signals;
static bool progress_shown;

static void print_options(const struct cli_option *options)
{
    printf("\nOptions:\n");
    for (; options->type != CLI_NONE; options++) {
        char left[64];
        struct phi_str str = phi_str_over(left, sizeof left);

        phi_str_addf(&str, "--%s%s%s", options->name, options->arg ? " " : "",
                     options->arg ? options->arg : "");
        printf("  %-26s %s%s\n", left, options->help,
               options->type == CLI_LIST ? " (may be repeated)" : "");
    }
    printf("  %-26s %s\n", "--help", "this text");
}

static void print_lines(const char *text, const char *indent)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        printf("%s%.*s\n", indent, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void print_help(const struct cli_command *self, const struct cli_option *options)
{
    printf("Usage: phos %s [options]%s%s\n\n%s\n", self->name, self->operands[0] ? " " : "",
           self->operands, self->text);
    print_options(options);
    printf("\nExamples:\n");
    print_lines(self->examples, "  ");
}

int cli_usage(const struct cli_command *self, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fprintf(stderr, "phos %s: ", self->name);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\nTry 'phos %s --help'.\n", self->name);
    va_end(args);
    return CLI_USAGE;
}

/* The option that "--name" or "--name=value" means. */
static const struct cli_option *find_option(const struct cli_option *options, const char *text)
{
    size_t n = strcspn(text, "=");

    for (; options->type != CLI_NONE; options++)
        if (strlen(options->name) == n && strncmp(options->name, text, n) == 0)
            return options;
    return NULL;
}

static bool store(const struct cli_option *option, const char *value)
{
    struct cli_list *list = option->into;

    switch (option->type) {
    case CLI_INT:
        return phi_parse_i64(value, option->into);
    case CLI_REAL:
        return phi_parse_double(value, option->into);
    case CLI_TEXT:
        *(const char **)option->into = value;
        return true;
    case CLI_LIST:
        if (list->n == CLI_MAX_LIST)
            return false;
        list->items[list->n++] = value;
        return true;
    default:
        return false;
    }
}

/* Takes the option at argv[*at]; moves *at past its value. -1, or an exit code. */
static int take_option(const struct cli_command *self, const struct cli_option *options, int *at,
                       int argc, char **argv)
{
    const char *text = argv[*at] + 2;
    const struct cli_option *option = find_option(options, text);
    const char *value = strchr(text, '=');

    if (!option)
        return cli_usage(self, "unknown option '%s'", argv[*at]);
    if (option->type == CLI_BOOL) {
        if (value)
            return cli_usage(self, "--%s takes no value", option->name);
        *(bool *)option->into = true;
        return -1;
    }
    if (value)
        value++;
    else if (*at + 1 < argc)
        value = argv[++*at];
    else
        return cli_usage(self, "--%s needs %s", option->name, option->arg);
    if (!store(option, value))
        return cli_usage(self, "'%s' is no value for --%s %s", value, option->name, option->arg);
    return -1;
}

int cli_parse(const struct cli_command *self, const struct cli_option *options, int argc,
              char **argv, struct cli_args *ret_args)
{
    int n = 0;
    bool only_operands = false;

    for (int i = 1; i < argc; i++) {
        int code = -1;

        if (only_operands || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[n++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(self, options);
            return CLI_DONE;
        } else if (argv[i][1] == '-') {
            code = take_option(self, options, &i, argc, argv);
        } else {
            code = cli_usage(self, "unknown option '%s'", argv[i]);
        }
        if (code >= 0)
            return code;
    }
    *ret_args = (struct cli_args){n, argv};
    return -1;
}

static int exit_of(const struct ph_error *err)
{
    switch (err->status) {
    case PH_E_FORMAT:
    case PH_E_SHAPE:
    case PH_E_LIMIT:
        return CLI_DATA;
    case PH_E_IO:
        return err->os_errno == ENOENT || err->os_errno == ENOTDIR ? CLI_NO_INPUT : CLI_INTERNAL;
    case PH_E_PEER:
        return CLI_UNAVAILABLE;
    case PH_E_NOMEM:
        return CLI_TRY_LATER;
    default:
        return CLI_INTERNAL;
    }
}

int cli_fail_as(int code, const struct ph_error *err)
{
    cli_progress_end();
    (void)fprintf(stderr, "phos: %s\n", err->text);
    return code;
}

int cli_fail(const struct ph_error *err)
{
    return cli_fail_as(exit_of(err), err);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cli_progress(const char *what, uint64_t done, uint64_t total)
{
    static int64_t last_ms;
    int64_t ms = now_ms();

    if (!isatty(STDERR_FILENO) || (ms - last_ms < 100 && done != total))
        return;
    last_ms = ms;
    progress_shown = true;
    if (total)
        (void)fprintf(stderr, "\r\033[K%s %llu/%llu (%llu %%)", what, (unsigned long long)done,
                      (unsigned long long)total, (unsigned long long)(done * 100 / total));
    else
        (void)fprintf(stderr, "\r\033[K%s %llu", what, (unsigned long long)done);
    (void)fflush(stderr);
}

void cli_progress_end(void)
{
    if (!progress_shown)
        return;
    progress_shown = false;
    (void)fprintf(stderr, "\r\033[K");
}

static void on_signal(int number)
{
    (void)number;
    if (n_signals++ > 0)
        _exit(CLI_INTERRUPTED);
}

void cli_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return n_signals > 0;
}
