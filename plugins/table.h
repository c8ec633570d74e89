/* SPDX-License-Identifier: MIT
 *
 * The plugins of this tree, linked in. The table is made from the list in plugins/meson.build.
 */
#ifndef PLUGINS_TABLE_H
#define PLUGINS_TABLE_H

#include <stddef.h>

#include "phosphene/plugin.h"

/* [phi_n_static_plugins] pointers to the plugins' descriptions, as phi_registry_create takes them.
 */
extern const struct ph_plugin *const *const phi_static_plugins[];
extern const size_t phi_n_static_plugins;

#endif
