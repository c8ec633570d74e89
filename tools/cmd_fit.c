/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "fit/fit.h"
#include "kinds.h"

/* One kind a line. */
static const struct cli_command *const kinds[] = {
    &fit_posterior,
    &fit_ridge,
    &fit_trials,
};

static int run_fit(const struct cli_command *self, int argc, char **argv)
{
    return kinds_run(self, kinds, sizeof kinds / sizeof *kinds, argc, argv);
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
