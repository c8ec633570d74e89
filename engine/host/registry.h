/* SPDX-License-Identifier: MIT
 *
 * The stage types that a run may use: those linked in, and those of shared objects loaded later
 * (host/loader.h). Filled at start by one thread, read-only afterwards.
 */
#ifndef PHI_HOST_REGISTRY_H
#define PHI_HOST_REGISTRY_H

#include <stddef.h>

#include "phosphene/plugin.h"

struct phi_registry;

struct phi_registered {
    const struct ph_stage_type *type;
    const struct ph_plugin *plugin;
    const char *origin; /* path of the shared object; "" if linked in */
};

/* A registry of the `n` linked-in plugins of a table such as phi_static_plugins (plugins/table.h).
 * Every description is checked; a faulty one is an error that names plugin and field. */
PH_NODISCARD enum ph_status phi_registry_create(const struct ph_plugin *const *const *plugins,
                                                size_t n, struct phi_registry **ret_registry,
                                                struct ph_error *reterr);

/* Frees and closes all loaded shared objects; accepts NULL and *registry == NULL. No stage of it
 * may be alive. */
void phi_registry_destroy(struct phi_registry **registry);

/* Adds the types of one plugin. `origin` is copied; `library` (a dlopen handle, may be NULL) is
 * closed with the registry, taken over only on success. PH_E_ABI names both ABI numbers. */
PH_NODISCARD enum ph_status phi_registry_add(struct phi_registry *registry,
                                             const struct ph_plugin *plugin, const char *origin,
                                             void *library, struct ph_error *reterr);

/* How many types there are, and number `i` of them, in ascending order of id. */
size_t phi_registry_count(const struct phi_registry *registry);
const struct phi_registered *phi_registry_at(const struct phi_registry *registry, size_t i);

/* The type `id` ("filter/smooth"), or NULL. */
const struct phi_registered *phi_registry_find(const struct phi_registry *registry, const char *id);

/* The type called `name` ("smooth") of one kind; the error suggests the nearest name. */
PH_NODISCARD enum ph_status phi_registry_lookup(const struct phi_registry *registry,
                                                enum ph_stage_kind kind, const char *name,
                                                const struct ph_stage_type **ret_type,
                                                struct ph_error *reterr);

/* "source", "filter", "decoder", "generator", "sink"; "unknown" outside the enum. */
const char *phi_kind_name(uint32_t kind);

/* Checks one stage type's description: id, sizes, parameter table, operations of its kind. */
PH_NODISCARD enum ph_status phi_type_check(const struct ph_stage_type *type,
                                           struct ph_error *reterr);

#endif
