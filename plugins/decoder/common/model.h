/* SPDX-License-Identifier: MIT
 *
 * The decoder's model file (docs/formats.md, kind "posterior"): the reduced Gaussian decoder, the
 * voxels and preprocessing it was fitted behind, the response it assumes, and, where the latents
 * are principal components of pictures, those components. Set-up code; may block on the disk. One
 * object, one thread; read-only once loaded.
 */
#ifndef PLUGINS_DECODER_COMMON_MODEL_H
#define PLUGINS_DECODER_COMMON_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "decode/pca.h"
#include "decode/posterior_fit.h"
#include "phosphene/frame.h"
#include "signal/hrf.h"

#define PHI_DECODER_KIND    "posterior"
#define PHI_DECODER_VERSION 1
#define PHI_DECODER_SPACE   16

/* The assumed response; `scale` is 1 over the peak of the response to a stick. */
struct phi_decoder_shape {
    struct phi_hrf hrf;
    double scale;
};

struct phi_decoder_model {
    struct phi_posterior *posterior; /* owned */
    double *on;                      /* [p], owned; x of the response that every event has alike */
    struct phi_pca *pca;             /* owned; NULL if the file has none */
    size_t image[3];                 /* height, width, channels of the pictures behind pca */
    char space[PHI_DECODER_SPACE];   /* whose latents they are: of an encoder (phos encode) or of
                                        components of pixels; "" unknown */
    struct ph_geometry geometry;     /* of the volumes; tr_s with it */
    uint32_t *voxels;                /* [q], owned, ascending voxel numbers */
    uint64_t layout;                 /* ph_layout_hash of them */
    char *chain;                     /* owned; the filters it was fitted behind */
    struct phi_decoder_shape shape;
    double ref;           /* share of the TR at which a volume counts as taken */
    double nis_threshold; /* 99.9 % quantile in training; 0 if unknown */
};

/* Reads `path` and checks that its parts fit together. Owned by the caller. */
PH_NODISCARD enum ph_status phi_decoder_model_open(const char *path,
                                                   struct phi_decoder_model **ret_model,
                                                   struct ph_error *reterr);

/* An empty model for a fit to fill: takes copies of voxels[q] and chain, and `*posterior` over. */
PH_NODISCARD enum ph_status phi_decoder_model_create(const uint32_t *voxels, const char *chain,
                                                     struct phi_posterior **posterior,
                                                     struct phi_decoder_model **ret_model,
                                                     struct ph_error *reterr);

/* Writes the model whole; `made_by` is a sentence on how it was made. */
PH_NODISCARD enum ph_status phi_decoder_model_write(const struct phi_decoder_model *model,
                                                    const char *path, const char *made_by,
                                                    struct ph_error *reterr);

/* Frees; accepts NULL and *model == NULL, clears *model. */
void phi_decoder_model_destroy(struct phi_decoder_model **model);

/* The shape of `hrf`, which must be valid. */
struct phi_decoder_shape phi_decoder_shape_of(const struct phi_hrf *hrf);

/* The response to an event `delay_s` after its onset, over the peak of the response to a stick: the
 * unit of every regressor in fitting and decoding. A phi_response_fn; `shape` a phi_decoder_shape.
 */
double phi_decoder_response(void *shape, double delay_s, double duration_s);

#endif
