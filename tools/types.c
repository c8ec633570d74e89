/* SPDX-License-Identifier: MIT */
#include "types.h"

#include "host/loader.h"
#include "plugins/table.h"

enum ph_status types_open(const struct cli_list *paths, struct phi_registry **ret_registry,
                          struct ph_error *reterr)
{
    struct phi_registry *registry = NULL;
    enum ph_status status =
        phi_registry_create(phi_static_plugins, phi_n_static_plugins, &registry, reterr);

    for (size_t i = 0; paths && i < paths->n && status == PH_OK; i++)
        status = phi_loader_load(registry, paths->items[i], reterr);
    if (status != PH_OK) {
        phi_registry_destroy(&registry);
        return status;
    }
    *ret_registry = registry;
    return PH_OK;
}
