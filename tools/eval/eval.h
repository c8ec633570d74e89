/* SPDX-License-Identifier: MIT
 *
 * The kinds of `phos eval`: each is a command of its own behind one name. A new kind is one line in
 * cmd_eval.c.
 */
#ifndef TOOLS_EVAL_H
#define TOOLS_EVAL_H

#include "cli.h"

extern const struct cli_command eval_categories;
extern const struct cli_command eval_dand;
extern const struct cli_command eval_features;
extern const struct cli_command eval_identification;
extern const struct cli_command eval_images;
extern const struct cli_command eval_streaming;
extern const struct cli_command eval_prednet;

#endif
