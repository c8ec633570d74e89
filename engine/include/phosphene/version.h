/* SPDX-License-Identifier: MIT
 *
 * The version of the plugin interface. The major number changes when an existing field or rule
 * changes and must match exactly; the minor number grows when something is appended.
 */
#ifndef PHOSPHENE_VERSION_H
#define PHOSPHENE_VERSION_H

#define PH_ABI_MAJOR 1u
#define PH_ABI_MINOR 1u

#endif
