/* SPDX-License-Identifier: MIT
 *
 * Loads plugins from shared objects. The file must be named by an absolute path without symbolic
 * links, and neither it nor any folder above it may be writable by other users: whoever can replace
 * the file runs code in the engine. It is opened once, checked and loaded through that descriptor,
 * so that it cannot be exchanged in between. Main thread, before a run.
 */
#ifndef PHI_HOST_LOADER_H
#define PHI_HOST_LOADER_H

#include "host/registry.h"

/* Loads `path` and adds its types to `registry`, which keeps the library open. PH_E_INVAL for a
 * path that is not safe, PH_E_IO if it cannot be opened, PH_E_FORMAT if it is no plugin, PH_E_ABI
 * if it was built for another engine (both numbers in the message). */
PH_NODISCARD enum ph_status phi_loader_load(struct phi_registry *registry, const char *path,
                                            struct ph_error *reterr);

#endif
