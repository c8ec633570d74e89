/* SPDX-License-Identifier: MIT
 *
 * The keys of a recipe's sections. Defaults suit small networks on small machines.
 */
#include "train/recipe.h"

static const char *const data_types[] = {"faces",  "folder", "tensors", "films",
                                         "frames", "video",  NULL};
static const char *const film_kinds[] = {"faces", "shapes", "scenes", "all", NULL};
static const char *const optim_types[] = {"sgd", "rmsprop", "adam", "adamw", NULL};
static const char *const schedules[] = {"constant", "step", "linear", "cosine", NULL};

static const struct ph_param data_params[] = {
    PH_ENUM(struct train_data_params, type, TRAIN_FACES, data_types, 0,
            "Procedural faces; a folder of PNG and JPEG pictures; an array of a safetensors file; "
            "procedural films; a folder of frames in the order of their names, or of such folders, "
            "one a "
            "recording; a video file "
            "(through ffmpeg)."),
    PH_INT(struct train_data_params, count, 0, 0, 10000000, "pictures", 0,
           "How many to use; 0 takes all of a folder or file, and 10,000 faces."),
    PH_INT(struct train_data_params, first, 0, 0, 1e15, "", 0,
           "Index of the first procedural face, so that training and test faces differ."),
    PH_INT(struct train_data_params, size, 64, 8, 512, "pixels", 0,
           "Height and width; other pictures are cropped to this shape and resized."),
    PH_INT(
        struct train_data_params, width, 0, 0, 1024, "pixels", 0,
        "Width of the frames of films, frames and video where it is not their height, as 160 for "
        "a size of 128; 0: the same."),
    PH_INT(struct train_data_params, seed, 1, 0, 1e15, "", 0, "Seed of the procedural set."),
    PH_PATH(struct train_data_params, path, "", 0, "The folder or file."),
    PH_PATH(struct train_data_params, attributes, "", 0,
            "Attributes of a folder's pictures: TSV with a header, or CelebA's list_attr layout."),
    PH_STRING(struct train_data_params, tensor, "images", 0,
              "Name of the array [n][3][h][w] or [n][h][w][3] in the file."),
    PH_BOOL(struct train_data_params, flip, false, 0, "Mirror each picture with probability 1/2."),
    PH_INT(struct train_data_params, crop, 0, 0, 256, "pixels", 0,
           "Read pictures this much larger and cut a random window of `size` from each."),
    PH_ENUM(struct train_data_params, kind, 3, film_kinds, 0, "Procedural films to draw."),
    PH_INT(struct train_data_params, length, 20, 2, 100000, "frames", 0,
           "Frames of a clip; longer films are cut into clips of this length."),
    PH_INT(struct train_data_params, frames, 10, 2, 1000, "frames", 0,
           "Consecutive frames of a clip that a training step sees."),
    PH_FLOAT(struct train_data_params, fps, 10, 0.1, 240, "1/s", 0,
             "Frames a second, of procedural films and taken from a video."),
};

static const struct ph_param optim_params[] = {
    PH_ENUM(struct train_optim_params, type, 2, optim_types, 0, "Kind of optimiser."),
    PH_FLOAT(struct train_optim_params, rate, 1e-3, 0, 10, "", 0, "Learning rate."),
    PH_FLOAT(struct train_optim_params, momentum, 0.9, 0, 1, "", 0, "Momentum of SGD."),
    PH_FLOAT(struct train_optim_params, beta1, 0.9, 0, 1, "", 0, "Adam's first decay."),
    PH_FLOAT(struct train_optim_params, beta2, 0.999, 0, 1, "", 0, "Adam's second decay."),
    PH_FLOAT(struct train_optim_params, eps, 1e-8, 0, 1, "", 0, "Guard of the division."),
    PH_FLOAT(struct train_optim_params, weight_decay, 0, 0, 1, "", 0,
             "Added to gradients (adam, sgd, rmsprop) or taken from weights (adamw)."),
    PH_FLOAT(struct train_optim_params, clip_norm, 0, 0, 1e9, "", 0,
             "Longest gradient; longer ones are scaled down. 0 leaves them."),
    PH_ENUM(struct train_optim_params, schedule, 0, schedules, 0, "How the rate changes."),
    PH_INT(struct train_optim_params, warmup, 0, 0, 1e9, "steps", 0, "Rise of the rate from 0."),
    PH_INT(struct train_optim_params, period, 0, 0, 1e9, "steps", 0,
           "Between drops (step), or to the end (linear, cosine; 0 takes the training's length)."),
    PH_FLOAT(struct train_optim_params, factor, 0.1, 0, 1, "", 0,
             "Of a drop, or of the rate at the end."),
    PH_FLOAT(struct train_optim_params, ema, 0, 0, 1, "", 0,
             "Decay of a running average of the weights, which is then what is saved; 0 for none."),
};

static const struct ph_param run_params[] = {
    PH_INT(struct train_run_params, steps, 1000, 1, 1e9, "steps", 0, "Length of the training."),
    PH_INT(struct train_run_params, batch, 32, 1, 4096, "items", 0, "Items a step."),
    PH_INT(struct train_run_params, seed, 1, 0, 1e15, "", 0, "Of weights, order and noise."),
    PH_INT(struct train_run_params, checkpoint_every, 500, 1, 1e9, "steps", 0,
           "How often everything is saved, so that a killed training goes on."),
    PH_INT(struct train_run_params, sample_every, 500, 1, 1e9, "steps", 0,
           "How often a sheet of pictures is drawn."),
    PH_INT(struct train_run_params, log_every, 10, 1, 1e9, "steps", 0,
           "How often losses are written to losses.tsv (each line is the mean since the last)."),
    PH_INT(struct train_run_params, samples, 8, 1, 32, "pictures", 0, "Along a side of the sheet."),
    PH_INT(struct train_run_params, threads, 0, 0, 64, "", 0,
           "Of the arithmetic; results are the same bits for the same number. 0: one per core."),
    PH_BOOL(struct train_run_params, half, false, 0, "Save the model's weights as 16-bit floats."),
    PH_BOOL(struct train_run_params, recompute, false, 0,
            "Compute the steps of a recurrent network again on the way back instead of keeping "
            "them: same bits, much less memory, about a third more time."),
};

#define N(table) (uint32_t)(sizeof(table) / sizeof *(table))

const struct ph_stage_type recipe_data_type = {.struct_size = sizeof(struct ph_stage_type),
                                               .id = "recipe/data",
                                               .summary = "where training examples come from",
                                               .n_params = N(data_params),
                                               .params = data_params,
                                               .params_size = sizeof(struct train_data_params)};
const struct ph_stage_type recipe_optim_type = {.struct_size = sizeof(struct ph_stage_type),
                                                .id = "recipe/optimiser",
                                                .summary = "how weights are changed",
                                                .n_params = N(optim_params),
                                                .params = optim_params,
                                                .params_size = sizeof(struct train_optim_params)};
const struct ph_stage_type recipe_run_type = {.struct_size = sizeof(struct ph_stage_type),
                                              .id = "recipe/training",
                                              .summary = "length, batches, seeds, files",
                                              .n_params = N(run_params),
                                              .params = run_params,
                                              .params_size = sizeof(struct train_run_params)};
