/* SPDX-License-Identifier: MIT
 *
 * A PredNet from its model file (docs/formats.md, kind "prednet"): sizes from the metadata, weights
 * from the tensors prednet.*. Set-up code; may block on the disk.
 */
#ifndef PLUGINS_GENERATOR_COMMON_PREDNET_FILE_H
#define PLUGINS_GENERATOR_COMMON_PREDNET_FILE_H

#include "models/prednet_live.h"

/* Layers and channels of the file, and the picture size it was trained at (0 x 0 where it does not
 * say). */
PH_NODISCARD enum ph_status phi_prednet_file_config(const char *path,
                                                    struct phi_prednet_config *ret_config,
                                                    struct ph_error *reterr);

/* The network for frames of config->h x config->w, as phi_prednet_live_create; `options` may be
 * NULL.
 */
PH_NODISCARD enum ph_status phi_prednet_file_open(const char *path,
                                                  const struct phi_prednet_config *config,
                                                  const struct phi_prednet_live_options *options,
                                                  struct phi_prednet_live **ret_live,
                                                  struct ph_error *reterr);

/* Values of R of `layer`; 0 if there is no such layer. */
size_t phi_prednet_r_size(const struct phi_prednet_config *config, int layer);

#endif
