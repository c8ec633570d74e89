/* SPDX-License-Identifier: MIT
 *
 * Training examples: 8-bit pictures held in memory, and batches of them made ahead by a thread.
 * Which examples a step sees, and how they are flipped and cut, follows from (seed, step) alone, so
 * a resumed training sees what an unbroken one would have seen, and no state needs saving.
 */
#ifndef TOOLS_TRAIN_DATA_H
#define TOOLS_TRAIN_DATA_H

#include <stdint.h>

#include "train/recipe.h"

struct train_data {
    size_t n;            /* examples: pictures, or clips of a film */
    size_t side, side_w; /* stored height and width: those of a batch + crop */
    size_t size, width;  /* height and width that a batch has; equal but for clips */
    size_t n_stored;     /* frames stored of an example; 1 for pictures */
    size_t n_frames;     /* consecutive frames of it that a batch has; 1 for pictures */
    uint8_t *pixels;     /* [n][n_stored][side][side_w][3] */
    size_t n_attributes; /* 0 where there are none */
    float *attributes;   /* [n][n_attributes], about -1..1 */
    char (*names)[64];   /* [n_attributes] */
    bool flip;
};

/* Called now and then while data are made; false asks to stop. */
typedef bool train_progress_fn(void *context, size_t done, size_t total);

/* Loads or draws everything. PH_E_STATE if `progress` asked to stop. Owned by the caller. */
PH_NODISCARD enum ph_status train_data_load(const struct train_data_params *params,
                                            train_progress_fn *progress, void *context,
                                            struct train_data **ret_data, struct ph_error *reterr);

/* The sources behind train_data_load; each fills a struct of which only the sizes are set. */
PH_NODISCARD enum ph_status train_data_faces(struct train_data *data,
                                             const struct train_data_params *params,
                                             train_progress_fn *progress, void *context,
                                             struct ph_error *reterr);
PH_NODISCARD enum ph_status train_data_folder(struct train_data *data,
                                              const struct train_data_params *params,
                                              train_progress_fn *progress, void *context,
                                              struct ph_error *reterr);
PH_NODISCARD enum ph_status train_data_films(struct train_data *data,
                                             const struct train_data_params *params,
                                             train_progress_fn *progress, void *context,
                                             struct ph_error *reterr);
PH_NODISCARD enum ph_status train_data_video(struct train_data *data,
                                             const struct train_data_params *params,
                                             struct ph_error *reterr);
PH_NODISCARD enum ph_status train_data_tensors(struct train_data *data,
                                               const struct train_data_params *params,
                                               struct ph_error *reterr);

/* Room for n examples of data->n_stored frames (and n_attributes each). */
PH_NODISCARD enum ph_status train_data_take(struct train_data *data, size_t n, size_t n_attributes,
                                            struct ph_error *reterr);

/* Frees; accepts NULL, clears *data. */
void train_data_destroy(struct train_data **data);

/* One batch. */
struct train_batch {
    size_t n;
    float *images;     /* [n_frames][n][3][size][width], 0..1 */
    float *attributes; /* [n][n_attributes] or NULL */
    uint32_t *index;   /* [n] which example */
};

/* Fills `batch` (with memory for its n) with what step `step` of a training with `seed` sees: each
 * epoch is a new random order of all examples, and a batch may reach over its end. */
void train_batch_fill(const struct train_data *data, uint64_t seed, uint64_t step,
                      struct train_batch *batch);

struct train_feed;

/* Starts a thread that makes batches of `n` from step `first` on. `data` must outlive the feed. */
PH_NODISCARD enum ph_status train_feed_create(const struct train_data *data, size_t n,
                                              const uint64_t seed_and_first[2],
                                              struct train_feed **ret_feed,
                                              struct ph_error *reterr);

/* The next step's batch; waits for it. Valid until the next call. */
const struct train_batch *train_feed_next(struct train_feed *feed);

/* Stops the thread and frees; accepts NULL, clears *feed. */
void train_feed_destroy(struct train_feed **feed);

#endif
