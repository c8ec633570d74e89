/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "fit/fit.h"

static const struct cli_command *const kinds[] = {
    &fit_ridge,
};

static int run_fit(const struct cli_command *self, int argc, char **argv)
{
    const struct cli_option options[] = {CLI_END};
    struct cli_args args;
    int code;

    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[1], strrchr(kinds[i]->name, ' ') + 1) == 0)
            return kinds[i]->run(kinds[i], argc - 1, argv + 1);
    code = cli_parse(self, options, argc, argv, &args);
    if (code == CLI_DONE)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            printf("  phos %-14s %s\n", kinds[i]->name, kinds[i]->summary);
    if (code >= 0)
        return code;
    return args.n ? cli_usage(self, "there is no fit of the kind '%s'", args.operands[0])
                  : cli_usage(self, "which kind of fit?");
}

const struct cli_command cmd_fit = {
    .name = "fit",
    .summary = "fit a decoder to recorded runs",
    .operands = "KIND",
    .text = "Fits a decoder and writes it as a model file. 'phos fit KIND --help' explains a kind.",
    .examples = "phos fit ridge --bold run-1.nii.gz --targets latents.safetensors --out "
                "ridge.safetensors",
    .run = run_fit,
};
