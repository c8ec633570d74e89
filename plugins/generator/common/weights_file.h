/* SPDX-License-Identifier: MIT
 *
 * Weights of a network from a model file into the store that networks are made from. Set-up code;
 * may block on the disk.
 */
#ifndef PLUGINS_GENERATOR_COMMON_WEIGHTS_FILE_H
#define PLUGINS_GENERATOR_COMMON_WEIGHTS_FILE_H

#include "io/safetensors.h"
#include "nn/weights.h"

/* Adds all tensors of `file` whose names begin with `prefix` to `weights`, as float32. PH_E_FORMAT
 * if there is none or a value is not finite. */
PH_NODISCARD enum ph_status phi_weights_read(struct phi_weights *weights,
                                             const struct phi_safetensors *file, const char *prefix,
                                             struct ph_error *reterr);

/* As phi_weights_read from the file at `path`. */
PH_NODISCARD enum ph_status phi_weights_load(struct phi_weights *weights, const char *path,
                                             const char *prefix, struct ph_error *reterr);

#endif
