/* SPDX-License-Identifier: MIT */
#include "cli.h"
#include "eval/eval.h"
#include "kinds.h"

/* One kind a line. */
static const struct cli_command *const kinds[] = {
    &eval_categories, &eval_dand,      &eval_features, &eval_identification,
    &eval_images,     &eval_streaming, &eval_prednet,
};

static int run_eval(const struct cli_command *self, int argc, char **argv)
{
    return kinds_run(self, kinds, sizeof kinds / sizeof *kinds, argc, argv);
}

const struct cli_command cmd_eval = {
    .name = "eval",
    .summary = "score decoded features and pictures against the truth",
    .operands = "KIND",
    .text =
        "Every score comes with its chance level, a test against it and an interval. 'phos eval "
        "KIND --help'\nexplains a kind.",
    .examples = "phos eval features --estimate decoded.safetensors --truth latents.safetensors "
                "--series 1 --out report",
    .run = run_eval,
};
