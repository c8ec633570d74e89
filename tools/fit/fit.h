/* SPDX-License-Identifier: MIT
 *
 * The kinds of `phos fit`: each is a command of its own behind one name. A new kind is one line in
 * cmd_fit.c.
 */
#ifndef TOOLS_FIT_H
#define TOOLS_FIT_H

#include "cli.h"

extern const struct cli_command fit_posterior;
extern const struct cli_command fit_ridge;
extern const struct cli_command fit_trials;

#endif
