/* SPDX-License-Identifier: MIT
 *
 * The models of filter/glm: one for all voxels, or, where slices have their own times, one for each
 * slice, as their designs differ. One owner; only open allocates.
 */
#ifndef PLUGINS_FILTER_GLM_MODEL_H
#define PLUGINS_FILTER_GLM_MODEL_H

#include "phosphene/plugin.h"
#include "plugins/filter/glm/params.h"
#include "signal/iglm.h"
#include "signal/regressors.h"

/* Vectors of each model; maps follow. */
enum glm_vector { GLM_NUISANCE = 0, GLM_CONTRAST = 1, GLM_FIRST_MAP = 2 };

#define GLM_MAX_MAPS 4

/* "a, b,c" taken apart; the names point into text. */
struct glm_names {
    char text[1024];
    const char *name[PHI_REGRESSORS_MAX_CONDITIONS];
    size_t n;
};

/* The voxels of a slice, or all. */
struct glm_part {
    struct phi_iglm *model;
    struct phi_regressors *regressors;
    double *row;      /* [n_columns] */
    double *nuisance; /* [n_columns] the row less its mean so far; level and task 0 */
    double *row_mean; /* [n_columns] over the rows learnt */
    double ref_s;     /* instant from the start of a volume that the row stands for */
    size_t first, n;  /* of the frame's values */
};

struct glm_model {
    struct glm_part *parts; /* [n_parts] */
    size_t n_parts;
    size_t n_columns;
    size_t n_nuisance; /* columns before the conditions, the level included */
    size_t slice_size; /* voxels of a slice; 0: one part for all */
    size_t n_vectors;
    size_t n_weighted; /* columns of a condition that contrasts weigh: 1, or all delays */
};

/* Splits a list; PH_E_LIMIT for too many. */
PH_NODISCARD enum ph_status glm_names_split(const char *text, struct glm_names *ret_names,
                                            struct ph_error *reterr);

/* Models for frames of `in` with `n_maps` maps beside the vectors above. Owned by the caller. */
PH_NODISCARD enum ph_status glm_model_open(const struct params *given, const struct ph_spec *in,
                                           const struct glm_names *names, size_t n_maps,
                                           struct glm_model *ret_model, struct ph_error *reterr);

/* Frees; accepts a zeroed or half-made model. */
void glm_model_close(struct glm_model *model);

/* Sets vector `k` of all models to the contrast `text`, on the responses, not their derivatives. */
PH_NODISCARD enum ph_status glm_model_contrast(struct glm_model *model, size_t k, const char *text,
                                               const struct glm_names *names,
                                               struct ph_error *reterr);

/* Begins anew, with frames of n values; voxels[n] are their places in the grid, NULL for whole
 * volumes. PH_E_STATE if slices are told apart and the places are not known. */
PH_NODISCARD enum ph_status glm_model_fit(struct glm_model *model, size_t n,
                                          const uint32_t *voxels);

/* Begins anew. */
void glm_model_reset(struct glm_model *model);

/* Another autocorrelation for all; begins anew, row means stay. */
PH_NODISCARD enum ph_status glm_model_set_rho(struct glm_model *model, double rho);

/* A volume is missing. */
void glm_model_skip(struct glm_model *model);

/* An event, for all. */
PH_NODISCARD enum ph_status glm_model_event(struct glm_model *model, const struct phi_event *event);

/* The rows of volume `index`; false if one holds a value that is not finite. */
bool glm_model_rows(struct glm_model *model, const struct ph_frame *frame, const double *motion,
                    const double *extra);

/* Begins a volume with the rows, nuisance vectors set. */
PH_NODISCARD enum ph_status glm_model_begin(struct glm_model *model, bool learn);

/* Residual degrees of freedom, the least of all models. */
size_t glm_model_dof(const struct glm_model *model);

/* Whether all models can answer: vector `k` estimable; variance of the nuisance
 * fit at most `limit`. */
bool glm_model_estimable(const struct glm_model *model, size_t k);
bool glm_model_steady(const struct glm_model *model, double limit);

/* What a volume's pass makes; NULL pointers are not made. */
struct glm_pass {
    float *y; /* [n] in, and out where changed */
    float *fit;
    size_t fit_vector;
    bool fit_is_t, fit_is_residual;
    bool subtract, replace; /* y less fit, except where y is 0; y = fit */
    float *t[GLM_MAX_MAPS]; /* [n] */
};

/* One volume through all models, on the host's workers. */
void glm_model_pass(const struct glm_model *model, const struct ph_host *host,
                    const struct glm_pass *pass);

#endif
