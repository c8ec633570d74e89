/* SPDX-License-Identifier: MIT
 *
 * The training loop: steps, losses, sheets of pictures, checkpoints; goes on where it was
 * interrupted. Main thread.
 */
#ifndef TOOLS_TRAIN_LOOP_H
#define TOOLS_TRAIN_LOOP_H

#include "train/model.h"

struct train_options {
    const char *out_dir;
    bool restart; /* ignore a checkpoint that is there */
    bool quiet;
};

struct train_result {
    uint64_t steps;      /* made in all */
    uint64_t resumed_at; /* 0: from the beginning */
    double seconds;      /* of this process' steps */
    double items_per_s;
    double losses[TRAIN_MAX_LOSSES]; /* means of the last lines of the log */
    uint32_t model_crc32c;
    bool interrupted;
};

/* Trains `type` by `recipe` into options->out_dir: model.safetensors, checkpoint.safetensors,
 * losses.tsv, losses.png, samples-STEP.png, recipe.yaml. An interruption saves a checkpoint. */
PH_NODISCARD enum ph_status train_run(const struct recipe *recipe,
                                      const struct train_model_type *type,
                                      const struct train_options *options,
                                      struct train_result *ret_result, struct ph_error *reterr);

/* Draws losses.tsv as curves into `png`. */
PH_NODISCARD enum ph_status train_draw_losses(const char *tsv, const char *png,
                                              struct ph_error *reterr);

#endif
