/* SPDX-License-Identifier: MIT */
#include "kinds.h"

#include <stdio.h>
#include <string.h>

/* "ridge" of "fit ridge". */
static const char *last_word(const char *name)
{
    const char *space = strrchr(name, ' ');

    return space ? space + 1 : name;
}

int kinds_run(const struct cli_command *family, const struct cli_command *const *kinds, size_t n,
              int argc, char **argv)
{
    const struct cli_option options[] = {CLI_END};
    struct cli_args args;
    int code;

    for (size_t i = 0; argc > 1 && i < n; i++)
        if (strcmp(argv[1], last_word(kinds[i]->name)) == 0)
            return kinds[i]->run(kinds[i], argc - 1, argv + 1);
    code = cli_parse(family, options, argc, argv, &args);
    if (code == CLI_DONE) {
        printf("\nKinds:\n");
        for (size_t i = 0; i < n; i++)
            printf("  %-12s %s\n", last_word(kinds[i]->name), kinds[i]->summary);
    }
    if (code >= 0)
        return code;
    if (args.n)
        return cli_usage(family, "there is no kind '%s'", args.operands[0]);
    return cli_usage(family, "which kind? See --help");
}
