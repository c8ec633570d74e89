/* SPDX-License-Identifier: MIT */
#include "eval/faces.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "nn/prim.h"
#include "plugins/generator/common/weights_file.h"
#include "train/encoder.h"

static enum ph_status read_config(const char *path, struct phi_dand_config *config,
                                  struct ph_error *reterr)
{
    const char *const keys[] = {"dand.latents", "dand.code", "dand.width"};
    size_t *const into[] = {&config->n_latent, &config->n_code, &config->width};
    const int64_t range[2] = {0, 65536};
    struct phi_safetensors *file = NULL;
    int64_t value = 0;
    enum ph_status status = phi_safetensors_open(path, &file, reterr);

    if (status == PH_OK)
        status = phi_safetensors_expect_kind(file, "dand", 1, &value, reterr);
    for (size_t i = 0; status == PH_OK && i < 3; i++) {
        status = phi_safetensors_metadata_i64(file, keys[i], range, &value, reterr);
        *into[i] = (size_t)value;
    }
    phi_safetensors_close(&file);
    return status;
}

enum ph_status eval_faces_open(const char *path, struct eval_faces *ret_faces,
                               struct ph_error *reterr)
{
    struct eval_faces faces = {0};
    struct phi_dand_config config = {0};
    enum ph_status status = read_config(path, &config, reterr);

    if (status == PH_OK && phi_weights_create(&faces.weights) != PH_OK)
        status = phi_error_nomem(reterr, "weights", 0);
    if (status == PH_OK)
        status = phi_weights_load(faces.weights, path, "dand.", reterr);
    if (status == PH_OK)
        status = train_encoder_check(faces.weights, path, reterr);
    if (status == PH_OK)
        status = phi_dand_live_create(faces.weights, &config, NULL, &faces.live, reterr);
    if (status != PH_OK) {
        eval_faces_close(&faces);
        return status;
    }
    phi_nn_set_threads(1); /* pictures are small: more threads wait for each other */
    faces.n_latent = config.n_latent;
    faces.n_features = train_encoder_features(faces.weights);
    *ret_faces = faces;
    return PH_OK;
}

void eval_faces_close(struct eval_faces *faces)
{
    phi_dand_live_destroy(&faces->live);
    phi_weights_destroy(&faces->weights);
}

enum ph_status eval_faces_draw(struct eval_faces *faces, const float *z, uint8_t *ret_rgb,
                               struct ph_error *reterr)
{
    const size_t n_pixels = EVAL_FACE_BYTES / 3;
    const float *picture = NULL;
    enum ph_status status = phi_dand_live_run(faces->live, z, &picture);

    if (status != PH_OK)
        return phi_error(reterr, status, "the generator cannot be run");
    for (size_t k = 0; k < n_pixels; k++)
        for (size_t c = 0; c < 3; c++) {
            float value = picture[c * n_pixels + k] * 127.5f + 127.5f;

            value = value > 0 ? value < 255 ? value : 255 : 0;
            ret_rgb[k * 3 + c] = (uint8_t)(value + 0.5f);
        }
    return PH_OK;
}

enum ph_status eval_faces_features(const struct eval_faces *faces, const uint8_t *rgb, size_t n,
                                   float **ret_features, struct ph_error *reterr)
{
    struct train_data data = {.n = n,
                              .side = EVAL_FACE_SIDE,
                              .size = EVAL_FACE_SIDE,
                              .n_stored = 1,
                              .n_frames = 1,
                              .pixels = phi_calloc2(n, EVAL_FACE_BYTES, 1)};
    enum ph_status status;

    if (!data.pixels)
        return phi_error_nomem(reterr, "pictures", n * EVAL_FACE_BYTES);
    memcpy(data.pixels, rgb, n * EVAL_FACE_BYTES);
    status = train_encoder_run(faces->weights, &data, faces->n_features, NULL, NULL, ret_features,
                               reterr);
    phi_free(data.pixels);
    return status;
}
