/* SPDX-License-Identifier: MIT
 *
 * A training recipe: one YAML file of four sections.
 *
 *     model: {type: vae, latents: 64}      # which network; its other keys depend on the type
 *     data: {type: faces, count: 20000}
 *     optimiser: {type: adam, rate: 0.001}
 *     training: {steps: 3000, batch: 64, seed: 1}
 *
 * Unknown keys, wrong types and values out of range are refused with file, line and column, as in
 * run files. Set-up code; one thread.
 */
#ifndef TOOLS_TRAIN_RECIPE_H
#define TOOLS_TRAIN_RECIPE_H

#include "host/param.h"
#include "phosphene/plugin.h"

enum train_data_type {
    TRAIN_FACES = 0,
    TRAIN_FOLDER = 1,
    TRAIN_TENSORS = 2,
    TRAIN_FILMS = 3, /* from here on examples are clips */
    TRAIN_FRAMES = 4,
    TRAIN_VIDEO = 5
};

struct train_data_params {
    int32_t type;           /* enum train_data_type */
    int64_t count;          /* items to use; 0: all there are */
    int64_t first;          /* index of the first procedural item */
    int64_t size;           /* height and width in pixels */
    int64_t width;          /* of clips, where it is another; 0: as size */
    int64_t seed;           /* of the procedural set */
    const char *path;       /* folder or file */
    const char *attributes; /* TSV or CelebA list beside a folder; "" for none */
    const char *tensor;     /* name of the array in a file */
    bool flip;              /* mirror half of the pictures */
    int64_t crop;           /* take a random window this much smaller than the picture */
    int32_t kind;           /* of procedural films; 3 for all */
    int64_t length;         /* frames of a clip */
    int64_t frames;         /* consecutive ones of them in an example */
    double fps;
};

struct train_optim_params {
    int32_t type; /* sgd, rmsprop, adam, adamw */
    double rate;
    double momentum;
    double beta1, beta2;
    double eps;
    double weight_decay;
    double clip_norm; /* 0: none */
    int32_t schedule; /* constant, step, linear, cosine */
    int64_t warmup, period;
    double factor;
    double ema; /* decay of the weights' average that is saved; 0: none */
};

struct train_run_params {
    int64_t steps, batch, seed;
    int64_t checkpoint_every, sample_every, log_every;
    int64_t samples; /* pictures along a side of the sample grid */
    int64_t threads; /* of the networks' arithmetic; 0: one per core */
    bool half;       /* save weights as 16-bit floats */
    bool recompute;  /* gradient checkpointing */
};

struct recipe {
    char *path;
    char *dir;  /* absolute folder that relative paths start from */
    char *text; /* the file as it is, to be stored with the model */
    struct phi_params *model, *data, *optim, *run;
    const struct ph_stage_type *model_type;
};

/* Tables of the sections other than `model`, for --help and manuals. */
extern const struct ph_stage_type recipe_data_type, recipe_optim_type, recipe_run_type;

/* Reads `path`. `models` are the types that `model: {type: ...}` may name ("model/vae"), with the
 * tables of their other keys; NULL-terminated. `sets` are n_sets texts "section.key=value" applied
 * afterwards. Owned by the caller. PH_E_INVAL and PH_E_FORMAT messages start with
 * "file:line:column: ". */
PH_NODISCARD enum ph_status recipe_load(const char *path, const char *const *sets, size_t n_sets,
                                        const struct ph_stage_type *const *models,
                                        struct recipe **ret_recipe, struct ph_error *reterr);

/* Frees; accepts NULL, clears *recipe. */
void recipe_destroy(struct recipe **recipe);

const struct train_data_params *recipe_data(const struct recipe *recipe);
const struct train_optim_params *recipe_optim(const struct recipe *recipe);
const struct train_run_params *recipe_run(const struct recipe *recipe);

#endif
