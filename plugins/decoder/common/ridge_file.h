/* SPDX-License-Identifier: MIT
 *
 * The model file of `phos fit ridge` (docs/formats.md, kind "ridge") as a decoder: features of a
 * moment from the volumes some TR later. Where coefficients were kept dual, a volume is multiplied
 * with the training volumes and the result with the coefficients, which for many features reads far
 * less than weights would. Opening is set-up code and may block on the disk; the rest neither
 * allocates nor blocks. One object, one thread.
 */
#ifndef PLUGINS_DECODER_COMMON_RIDGE_FILE_H
#define PLUGINS_DECODER_COMMON_RIDGE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "decode/gemv.h"
#include "phosphene/frame.h"
#include "phosphene/status.h"

#define PHI_RIDGE_MAX_LAGS 32
#define PHI_RIDGE_PIECE    16384

struct phi_ridge_model {
    size_t t, q, n_lags;
    int lags[PHI_RIDGE_MAX_LAGS];                 /* volumes after the moment */
    int first_lag, last_lag;                      /* least and greatest of them */
    struct phi_gemv *weights[PHI_RIDGE_MAX_LAGS]; /* W_l (x - voxel means) */
    double *offset;                               /* [t] the estimate at the voxel means */
    float *sd;                                    /* [t] out-of-fold residual sd */
    uint32_t *voxels;                             /* [q] ascending */
    uint64_t layout;                              /* ph_layout_hash of them */
    struct ph_geometry geometry;
    char *chain;              /* the filters it was fitted behind; "" for none */
    double *part;             /* [t] scratch */
    size_t n_train;           /* training volumes of a dual file, else 0 */
    struct phi_gemv *train;   /* their products with a volume */
    struct phi_gemv **pieces; /* [n_pieces] coefficients of PHI_RIDGE_PIECE features each */
    size_t n_pieces;
    double *products; /* [n_train] scratch */
    float *narrow;    /* [n_train] scratch */
};

/* What is known without the weights: sizes, lags, place, chain. */
PH_NODISCARD enum ph_status
phi_ridge_model_peek(const char *path, struct phi_ridge_model **ret_model, struct ph_error *reterr);

/* All of it. Owned by the caller. */
PH_NODISCARD enum ph_status phi_ridge_model_open(const char *path, enum phi_gemv_format format,
                                                 struct phi_ridge_model **ret_model,
                                                 struct ph_error *reterr);

/* Frees; accepts NULL and *model == NULL, clears *model. */
void phi_ridge_model_destroy(struct phi_ridge_model **model);

/* ret[t] = the estimate from x[n_lags], the volumes at the model's lags ([q] each); a NULL one is
 * taken as the training mean. Returns how many were not NULL. */
size_t phi_ridge_model_run(struct phi_ridge_model *model, const float *const *x,
                           const struct phi_parallel *parallel, float *ret);

#endif
