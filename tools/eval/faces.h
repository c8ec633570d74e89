/* SPDX-License-Identifier: MIT
 *
 * A trained DAND model as reports use it: pictures to features and latents, latents to pictures,
 * all 64 x 64 RGB in bytes. One thread.
 */
#ifndef TOOLS_EVAL_FACES_H
#define TOOLS_EVAL_FACES_H

#include <stddef.h>
#include <stdint.h>

#include "models/dand_live.h"
#include "nn/weights.h"
#include "phosphene/status.h"

#define EVAL_FACE_SIDE  PHI_DAND_SIDE
#define EVAL_FACE_BYTES ((size_t)PHI_DAND_SIDE * PHI_DAND_SIDE * 3)

struct eval_faces {
    struct phi_weights *weights;
    struct phi_dand_live *live;
    size_t n_latent, n_features;
};

/* Opens a model file of kind dand that holds its encoder. */
PH_NODISCARD enum ph_status eval_faces_open(const char *path, struct eval_faces *ret_faces,
                                            struct ph_error *reterr);

/* Frees; accepts zeroed ones. */
void eval_faces_close(struct eval_faces *faces);

/* The picture of z[n_latent]. */
PH_NODISCARD enum ph_status eval_faces_draw(struct eval_faces *faces, const float *z,
                                            uint8_t *ret_rgb, struct ph_error *reterr);

/* Features ret[n][n_features] of rgb[n][64][64][3]: a new block, freed with phi_free. */
PH_NODISCARD enum ph_status eval_faces_features(const struct eval_faces *faces, const uint8_t *rgb,
                                                size_t n, float **ret_features,
                                                struct ph_error *reterr);

#endif
