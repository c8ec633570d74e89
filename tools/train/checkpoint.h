/* SPDX-License-Identifier: MIT
 *
 * Saving a training and going on with it: all weights, optimiser slots and step counts in one
 * safetensors file, replaced atomically, tied to its recipe by a checksum. Set-up code; one thread.
 */
#ifndef TOOLS_TRAIN_CHECKPOINT_H
#define TOOLS_TRAIN_CHECKPOINT_H

#include "train/model.h"

/* Writes the state of a training that has made `step` steps. */
PH_NODISCARD enum ph_status train_checkpoint_save(const char *path, const struct recipe *recipe,
                                                  const struct train_state *state, uint64_t step,
                                                  struct ph_error *reterr);

/* Reads it back into the same networks. PH_E_STATE if another recipe made it; PH_E_FORMAT or _SHAPE
 * with the tensor's name if it does not fit. *ret_step is the number of steps made. */
PH_NODISCARD enum ph_status train_checkpoint_load(const char *path, const struct recipe *recipe,
                                                  const struct train_state *state,
                                                  uint64_t *ret_step, struct ph_error *reterr);

/* Writes the finished model. `half` saves weights as 16-bit floats. */
PH_NODISCARD enum ph_status train_model_save(const char *path, const struct recipe *recipe,
                                             const struct train_export *export, bool half,
                                             struct ph_error *reterr);

#endif
