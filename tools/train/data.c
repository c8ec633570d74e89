/* SPDX-License-Identifier: MIT */
#include "train/data.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"

#define MAX_PIXEL_BYTES ((size_t)12 << 30)

enum ph_status train_data_take(struct train_data *data, size_t n, size_t n_attributes,
                               struct ph_error *reterr)
{
    size_t n_bytes;

    if (n == 0)
        return phi_error(reterr, PH_E_INVAL, "there are no pictures to train on");
    if (!phi_mul_size(n, data->n_stored * data->side * data->side_w * 3, &n_bytes) ||
        n_bytes > MAX_PIXEL_BYTES)
        return phi_error(reterr, PH_E_LIMIT, "%zu pictures of %zu x %zu do not fit into %zu GiB", n,
                         data->side, data->side_w, MAX_PIXEL_BYTES >> 30);
    data->pixels = phi_calloc(n_bytes, 1);
    data->attributes = n_attributes ? phi_calloc2(n, n_attributes, sizeof(float)) : NULL;
    data->names = phi_calloc(n_attributes, sizeof *data->names);
    if (!data->pixels || !data->names || (n_attributes && !data->attributes))
        return phi_error_nomem(reterr, "the training pictures", n_bytes);
    data->n = n;
    data->n_attributes = n_attributes;
    return PH_OK;
}

enum ph_status train_data_load(const struct train_data_params *params, train_progress_fn *progress,
                               void *context, struct train_data **ret_data, struct ph_error *reterr)
{
    struct train_data *data = phi_calloc(1, sizeof *data);
    enum ph_status status;

    if (!data)
        return phi_error_nomem(reterr, "training data", sizeof *data);
    data->size = (size_t)params->size;
    data->width = (size_t)(params->width ? params->width : params->size);
    data->side = data->size + (size_t)params->crop;
    data->side_w = data->width + (size_t)params->crop;
    data->flip = params->flip;
    data->n_stored = data->n_frames = 1;
    if (params->type >= TRAIN_FILMS) {
        data->n_stored = (size_t)params->length;
        data->n_frames = (size_t)params->frames;
        if (params->frames > params->length)
            status =
                phi_error(reterr, PH_E_INVAL, "data.frames is over data.length: a clip has %lld",
                          (long long)params->length);
        else if (params->type == TRAIN_FILMS)
            status = train_data_films(data, params, progress, context, reterr);
        else if (params->type == TRAIN_FRAMES)
            status = train_data_folder(data, params, progress, context, reterr);
        else
            status = train_data_video(data, params, reterr);
    } else if (data->width != data->size)
        status = phi_error(reterr, PH_E_INVAL,
                           "data.width is for films, frames and videos; pictures are squares");
    else if (params->type == TRAIN_FOLDER)
        status = train_data_folder(data, params, progress, context, reterr);
    else if (params->type == TRAIN_TENSORS)
        status = train_data_tensors(data, params, reterr);
    else
        status = train_data_faces(data, params, progress, context, reterr);
    if (status != PH_OK) {
        train_data_destroy(&data);
        return status;
    }
    *ret_data = data;
    return PH_OK;
}

void train_data_destroy(struct train_data **data)
{
    if (!data || !*data)
        return;
    phi_free((*data)->pixels);
    phi_free((*data)->attributes);
    phi_free((*data)->names);
    phi_free(*data);
    *data = NULL;
}

/* Where example number `i` of an endless sequence of shuffled epochs stands. The order within an
 * epoch is a keyed permutation of [0, n): a four-round Feistel network over the next power of four,
 * walked until it falls below n, so that no table has to be kept or rebuilt on resuming. */
static uint32_t shuffled(uint64_t seed, uint64_t i, size_t n)
{
    uint64_t epoch = i / n;
    uint64_t at = i % n;
    unsigned half = 1;
    uint64_t keys[4];
    struct phi_rng rng;

    while (((uint64_t)1 << 2 * half) < n)
        half++;
    phi_rng_init(&rng, seed, epoch + 1);
    for (int r = 0; r < 4; r++)
        keys[r] = phi_rng_u64(&rng);
    do {
        uint64_t mask = ((uint64_t)1 << half) - 1;
        uint64_t left = at >> half;
        uint64_t right = at & mask;

        for (int r = 0; r < 4; r++) {
            uint64_t mixed = (right + keys[r]) * 0x9e3779b97f4a7c15ULL;
            uint64_t next = left ^ ((mixed ^ mixed >> 29) >> 7 & mask);

            left = right;
            right = next;
        }
        at = left << half | right;
    } while (at >= n);
    return (uint32_t)at;
}

/* A window of a picture: the same for all frames of a clip. */
struct window {
    size_t x0, y0;
    bool mirror;
};

static void copy_picture(const struct train_data *data, const uint8_t *picture,
                         const struct window *window, float *out)
{
    size_t plane = data->size * data->width;

    for (size_t y = 0; y < data->size; y++)
        for (size_t x = 0; x < data->width; x++) {
            size_t sx = window->x0 + (window->mirror ? data->width - 1 - x : x);
            const uint8_t *pixel = picture + ((window->y0 + y) * data->side_w + sx) * 3;

            for (size_t c = 0; c < 3; c++)
                out[c * plane + y * data->width + x] = (float)pixel[c] / 255.0f;
        }
}

static void copy_example(const struct train_data *data, size_t index, struct phi_rng *rng,
                         const struct train_batch *batch, size_t i)
{
    size_t room = data->side - data->size + 1;
    size_t frame_bytes = data->side * data->side_w * 3;
    struct window window = {.x0 = (size_t)phi_rng_below(rng, room),
                            .y0 = (size_t)phi_rng_below(rng, room)};
    size_t first = (size_t)phi_rng_below(rng, data->n_stored - data->n_frames + 1);

    window.mirror = data->flip && (phi_rng_u64(rng) & 1);
    for (size_t t = 0; t < data->n_frames; t++)
        copy_picture(data, data->pixels + (index * data->n_stored + first + t) * frame_bytes,
                     &window, batch->images + (t * batch->n + i) * 3 * data->size * data->width);
}

void train_batch_fill(const struct train_data *data, uint64_t seed, uint64_t step,
                      struct train_batch *batch)
{
    struct phi_rng rng;

    phi_rng_init(&rng, seed ^ 0x5bd1e995u, step);
    for (size_t i = 0; i < batch->n; i++) {
        size_t index = shuffled(seed, step * batch->n + i, data->n);

        batch->index[i] = (uint32_t)index;
        copy_example(data, index, &rng, batch, i);
        if (batch->attributes)
            memcpy(batch->attributes + i * data->n_attributes,
                   data->attributes + index * data->n_attributes,
                   data->n_attributes * sizeof(float));
    }
}
