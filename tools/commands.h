/* SPDX-License-Identifier: MIT
 *
 * The subcommands, made from the list in tools/meson.build.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "cli.h"

/* NULL-terminated, in the order of the list. */
extern const struct cli_command *const commands[];

#endif
