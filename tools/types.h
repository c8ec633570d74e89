/* SPDX-License-Identifier: MIT
 *
 * The stage types a command may use: those linked in and those of --plugin PATH.
 */
#ifndef TOOLS_TYPES_H
#define TOOLS_TYPES_H

#include "cli.h"
#include "host/registry.h"

#define CLI_PLUGINS(into_list)                                                                     \
    {                                                                                              \
        CLI_LIST, "plugin", (into_list), "FILE.so", "load stage types from a plugin file"          \
    }

/* A registry of all linked-in types and of the plugin files in `paths` (may be NULL). Owned by the
 * caller, freed with phi_registry_destroy. */
PH_NODISCARD enum ph_status types_open(const struct cli_list *paths,
                                       struct phi_registry **ret_registry, struct ph_error *reterr);

#endif
