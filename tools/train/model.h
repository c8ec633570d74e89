/* SPDX-License-Identifier: MIT
 *
 * What the training loop asks of a network: one step, a sheet of pictures, everything that a
 * checkpoint must hold, and the finished model. A network draws its noise from (seed, step), so
 * weights, optimiser slots and step counts are all that a training carries over.
 */
#ifndef TOOLS_TRAIN_MODEL_H
#define TOOLS_TRAIN_MODEL_H

#include "io/safetensors.h"
#include "nn/optim.h"
#include "nn/weights.h"
#include "train/data.h"

#define TRAIN_MAX_LOSSES 8
#define TRAIN_MAX_STORES 6
#define TRAIN_MAX_PAIRS  48

/* Where a network keeps what it has learnt. */
struct train_state {
    size_t n_stores;
    struct {
        const char *name; /* of the store in a checkpoint: "weights", "average" */
        struct phi_weights *weights;
    } stores[TRAIN_MAX_STORES];
    size_t n_optims;
    struct phi_optim *optims[TRAIN_MAX_STORES];
    struct train_log *log; /* set by the loop */
};

/* Losses since the last line of the log, so that a resumed log has the same lines. */
struct train_log {
    double sums[TRAIN_MAX_LOSSES];
    uint64_t n;
};

/* What a finished model file holds besides the recipe. */
struct train_export {
    struct phi_weights *weights; /* to be written under their own names */
    const char *prefix;          /* only those whose names begin with it; "" for all */
    const char *left_out;        /* but not those that begin with this; NULL for none */
    size_t n_pairs;
    struct {
        char key[48];
        char value[128];
    } pairs[TRAIN_MAX_PAIRS]; /* phosphene.kind, sizes, normalisation */
};

struct train_setup {
    const struct recipe *recipe;
    const struct train_data *data;
    const char *out_dir;
};

struct train_model; /* each type's own */

struct train_model_type {
    struct ph_stage_type section;         /* id "model/NAME" and the keys of the model section */
    const char *losses[TRAIN_MAX_LOSSES]; /* names of what step reports; NULL-terminated */
    PH_NODISCARD enum ph_status (*create)(const struct train_setup *setup,
                                          struct train_model **ret_model, struct ph_error *reterr);
    /* One step on `batch`, with the learning rate times `factor`; losses in the order of names. */
    PH_NODISCARD enum ph_status (*step)(struct train_model *model, const struct train_batch *batch,
                                        uint64_t step, float factor, double *ret_losses);
    /* Draws n x n pictures of size x size into rgb[n * size][n * size][3]; the same for the same
     * weights. NULL where there is nothing to draw. */
    PH_NODISCARD enum ph_status (*sample)(struct train_model *model, size_t n, uint8_t *rgb);
    void (*state)(struct train_model *model, struct train_state *ret_state);
    PH_NODISCARD enum ph_status (*export)(struct train_model *model,
                                          struct train_export *ret_export, struct ph_error *reterr);
    void (*destroy)(struct train_model **model);
};

extern const struct train_model_type train_vae, train_encoder, train_dand, train_prednet;

/* Adds a pair to an export; the value is formatted as by printf. */
void train_note(struct train_export *export, const char *key, const char *format, ...)
    PH_PRINTF(3, 4);

/* Optimiser numbers of a recipe as the library takes them. */
struct phi_optim_config train_optim_config(const struct train_optim_params *params);

#endif
