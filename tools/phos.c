/* SPDX-License-Identifier: MIT
 *
 * The phos command: finds the subcommand and hands over. The table is made from the list in
 * tools/meson.build.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli.h"
#include "commands.h"
#include "version.h"

static void print_overview(FILE *out)
{
    (void)fprintf(out, "Usage: phos COMMAND [options]\n\nReal-time neurofeedback: fMRI volumes in, "
                       "decoded pictures out.\n\nCommands:\n");
    for (size_t i = 0; commands[i]; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)fprintf(out,
                  "\n'phos COMMAND --help' explains one. Exit codes: 0 done, 1 check failed, 2 "
                  "usage,\n65 bad data, 66 no input, 69 no peer, 70 internal, 73 cannot write, "
                  "75 try later,\n78 bad run file, 130 interrupted.\n");
}

static int unknown_command(const char *name)
{
    const char *near = NULL;
    size_t least = 3;

    for (size_t i = 0; commands[i]; i++) {
        size_t distance = phi_str_distance(name, commands[i]->name);

        if (distance < least) {
            least = distance;
            near = commands[i]->name;
        }
    }
    (void)fprintf(stderr, "phos: there is no command '%s'", name);
    if (near)
        (void)fprintf(stderr, "; did you mean '%s'?", near);
    (void)fprintf(stderr, "\nTry 'phos --help'.\n");
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    /* A full disk and a reader that has gone are errors of the call that meets them. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_overview(stdout);
        return CLI_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("phos %s (plugin interface %s)\n", PHOS_VERSION, PHOS_ABI);
        return CLI_DONE;
    }
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i]->run(commands[i], argc - 1, argv + 1);
    return unknown_command(name);
}
