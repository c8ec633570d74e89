/* SPDX-License-Identifier: MIT
 *
 * Commands that are a family: `phos fit ridge`, `phos eval images`. Each kind is a cli_command
 * whose name holds the family's, as "fit ridge". Main thread only.
 */
#ifndef TOOLS_KINDS_H
#define TOOLS_KINDS_H

#include "cli.h"

/* Runs the kind that argv[1] names out of kinds[n]; without one explains the family and lists them.
 * Returns the exit code. */
int kinds_run(const struct cli_command *family, const struct cli_command *const *kinds, size_t n,
              int argc, char **argv);

#endif
